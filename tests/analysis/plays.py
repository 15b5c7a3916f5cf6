"""Plays runs of groups, accounts and calls against a small honest server, and writes down what both sides saw.

The rules stand here a third time, in plain Python, one request after the other; a test plants a defect by replacing
one of the server's methods, or spoils the recording afterwards.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from analysis import run_files
from tests.analysis.recordings import Recording, event
from tests.analysis.runs import BOOK_2020, DAY_MS, OFFSET_MS, SDKAPPID, a_statement

MONTH: Final = "2026-10"
FIRST_DAY: Final = 20_727
"""2026-10-01."""
CLIENT: Final = "c" * 32
KIND: Final = {name: number for number, name in enumerate(run_files.JOURNAL_KINDS)}
LIMITS: Final[dict[str, dict[str, int]]] = {
    "trial": {"accounts": 100, "dau": 100, "live": 10, "other": 100, "of_user": 50, "members": 20, "net": 100},
    "pro": {"live": 50, "of_user": 500, "members": 200, "net": 10_000},
    "ultimate": {"of_user": 1_000, "members": 2_000, "net": 10_000},
}
UNLIMITED: Final = 10**9
LIVE: Final = "AVChatRoom"


@dataclass
class Group:
    type: str
    max_members: int | None
    members: set[str] = field(default_factory=set)


class Server:
    """The counts of one app; `limits` may be overridden quota by quota."""

    def __init__(self, plan: str, **limits: int) -> None:
        self.plan = plan
        self.overrides = limits
        self.accounts: set[str] = set()
        self.active: defaultdict[int, set[str]] = defaultdict(set)
        self.groups: dict[str, Group] = {}
        self.net: Counter[int] = Counter()
        self.peak = 0

    def limit(self, name: str) -> int:
        return self.overrides.get(name, LIMITS[self.plan].get(name, UNLIMITED))

    def account(self, user: str) -> int:
        return 70398 if user not in self.accounts and len(self.accounts) >= self.limit("accounts") else 0

    def login(self, user: str, day: int) -> int:
        active = self.active[day]
        code = self.account(user) or (72000 if user not in active and len(active) >= self.limit("dau") else 0)
        if not code:
            self.accounts.add(user)
            active.add(user)
        return code

    def create(self, name: str, group: Group, members: list[str], day: int) -> int:
        code = self.refusal_to_create(name, group, members, day)
        if not code:
            group.members = set(members)
            self.groups[name] = group
            self.net[day] += 1
            self.peak = max(self.peak, self.counted())
        return code

    def refusal_to_create(self, name: str, group: Group, members: list[str], day: int) -> int:
        if name in self.groups:
            return 10021
        if group.type == LIVE:
            if self.live() >= self.limit("live"):
                return 10036
        elif len(self.groups) - self.live() >= self.limit("other"):
            return 10058
        if group.type != LIVE:
            if any(self.joined(user) >= self.limit("of_user") for user in members):
                return 10037
            if len(members) > self.room(group):
                return self.full(group)
        return 10006 if self.net[day] >= self.limit("net") else 0

    def join(self, name: str, user: str) -> int:
        group = self.groups.get(name)
        if group is None:
            return 10010
        if user in group.members:
            return 0
        if group.type != LIVE:
            if len(group.members) >= self.room(group):
                return self.full(group)
            if self.joined(user) >= self.limit("of_user"):
                return 10037
        group.members.add(user)
        return 0

    def quit(self, name: str, user: str) -> None:
        self.groups[name].members.discard(user)

    def destroy(self, name: str, day: int) -> int:
        if name not in self.groups:
            return 10010
        del self.groups[name]
        self.net[day] -= 1
        return 0

    def delete(self, user: str) -> int:
        if user not in self.accounts:
            return 70107
        self.accounts.discard(user)
        for group in self.groups.values():
            group.members.discard(user)
        return 0

    def live(self) -> int:
        return sum(group.type == LIVE for group in self.groups.values())

    def counted(self) -> int:
        """What the statement calls the groups that there are."""
        return len(self.groups)

    def joined(self, user: str) -> int:
        return sum(user in group.members for group in self.groups.values() if group.type != LIVE)

    def room(self, group: Group) -> int:
        return min(self.limit("members"), UNLIMITED if group.max_members is None else group.max_members)

    def full(self, group: Group) -> int:
        own = group.max_members is not None and group.max_members < self.limit("members")
        return 10014 if own else 10038


class Play:
    """A run as it happens: each request goes to the server, into the journal and into the ledger."""

    def __init__(self, plan: str = "pro", server: Server | None = None, **planned: Any) -> None:
        self.server = server or Server(plan)
        self.plan, self.planned = plan, planned
        self.day, self.us = FIRST_DAY, 1_000
        self.ledger: list[dict[str, Any]] = []
        self.journal = [event(1, self.time_ms, KIND["app_opened"], {"plan": plan, "fixed_ms": self.time_ms})]
        self.numbers: dict[str, int] = {}
        self.dau: defaultdict[int, set[str]] = defaultdict(set)
        self.calls: dict[str, tuple[int, list[dict[str, str]]]] = {}
        self.seconds: Counter[str] = Counter()
        self.second = 0
        self.write("connected", text=None, connection=1)
        self.journal[-1]["text"] = f"{CLIENT} cn-south"

    @property
    def time_ms(self) -> int:
        return self.day * DAY_MS - OFFSET_MS + getattr(self, "second", 0) * 1_000

    def login(self, user: str) -> int:
        is_new = user not in self.server.accounts
        first = user not in self.server.active[self.day]
        code = self.server.login(user, self.day)
        kind = "login_refused" if code else "logged_in"
        number = self.number(user) if not code else 0
        self.write(kind, user=number, user_id=user if code or is_new else None, code=code, text=None)
        if not code:
            self.dau[self.day].add(user)
            self.journal[-1]["counted_day"] = self.day if first else -1
        return self.saw("login", user, None, code)

    def import_account(self, user: str) -> int:
        is_new = user not in self.server.accounts
        code = self.server.account(user)
        if code or is_new:
            kind = "import_refused" if code else "imported"
            self.write(kind, user=0 if code else self.number(user), user_id=user, code=code, text=None)
        if not code:
            self.server.accounts.add(user)
        return self.saw("import", user, None, code)

    def prepare(self, *users: str) -> None:
        """Import accounts before the run, by calls that carry no request id."""
        for user in users:
            assert self.server.account(user) == 0
            self.server.accounts.add(user)
            self.write("imported", user=self.number(user), user_id=user, text=None, connection=0)

    def delete(self, user: str) -> int:
        code = self.server.delete(user)
        number = 0 if code else self.number(user)
        self.write(
            "delete_refused" if code else "deleted", user=number, user_id=user if code else None, code=code, text=None
        )
        return self.saw("delete", user, None, code)

    def create(
        self, name: str, owner: str = "", type_: str = "Public", max_members: int | None = None, more: Any = ()
    ) -> int:
        members = [user for user in (owner, *more) if user]
        code = self.server.create(name, Group(type_, max_members), members, self.day)
        text: dict[str, Any] = {"group_id": name, "type": type_}
        if code:
            if more:
                text["members"] = [self.number(user) for user in members]
            self.write("create_refused", user_id=owner or None, code=code, text=text)
        else:
            numbers = [self.number(user) for user in members]
            text |= {
                "group": self.number("/" + name),
                "imported": False,
                "max_members": max_members,
                "members": numbers,
            }
            self.write("group_created", user=self.number(owner) if owner else 0, text=text)
        return self.saw("create_group", owner, name, code)

    def live(self, name: str, owner: str = "") -> int:
        return self.create(name, owner, LIVE)

    def destroy(self, name: str, by: str = "") -> int:
        group = self.server.groups.get(name)
        code = self.server.destroy(name, self.day)
        text: dict[str, Any] = {"group_id": name}
        if group and not code:
            text["type"] = group.type
        self.write("destroy_refused" if code else "group_destroyed", user=self.number("/" + name), code=code, text=text)
        return self.saw("destroy_group", by, name, code)

    def join(self, name: str, user: str) -> int:
        code = self.server.join(name, user)
        text = {"group_id": name}
        if code:
            self.write("join_refused", user_id=user, code=code, text=text)
        else:
            self.write("joined", user=self.number(user), text=text | {"type": self.server.groups[name].type})
        return self.saw("join_group", user, name, code)

    def quit(self, name: str, user: str) -> int:
        group = self.server.groups[name]
        if user in group.members:
            self.server.quit(name, user)
            self.write("left", user=self.number(user), text={"group_id": name, "type": group.type})
        return self.saw("quit_group", user, name, 0)

    def resize(self, name: str, max_members: int) -> None:
        self.server.groups[name].max_members = max_members
        self.write("group_changed", text={"group_id": name, "max_members": max_members}, connection=0)

    def change_plan(self, plan: str) -> None:
        self.write("plan_changed", text={"plan": plan, "from": self.server.plan, "month": MONTH}, connection=0)
        self.server.plan = plan

    def open_trial(self, code: int = 0) -> int:
        self.write("trial_refused" if code else "trial_opened", code=code, text=None if code else {"number": 1})
        return self.saw("open_call_trial", "", None, code)

    def refuse_call(self, name: str, code: int) -> int:
        self.write("call_refused", code=code, text={"call_id": name})
        return self.saw("start_call", "", name, code)

    def start_call(self, name: str, participants: dict[str, str]) -> int:
        listed = [{"user_id": user, "tier": tier} for user, tier in participants.items()]
        self.calls[name] = self.second, listed
        self.write("call_started", text={"call_id": name, "participants": listed})
        return self.saw("start_call", "", name, 0)

    def end_call(self, name: str) -> int:
        began, listed = self.calls.pop(name)
        seconds = Counter({one["tier"]: 0 for one in listed})
        for one in listed:
            seconds[one["tier"]] += self.second - began
        self.seconds += seconds
        self.write("call_ended", text={"call_id": name, "seconds": dict(seconds)})
        return self.saw("end_call", "", name, 0)

    def next_day(self) -> None:
        self.day, self.second = self.day + 1, 0
        self.write("clock_moved", text={"fixed_ms": self.time_ms}, connection=0)

    def wait(self, seconds: int) -> None:
        self.second += seconds
        self.write("clock_moved", text={"fixed_ms": self.time_ms}, connection=0)

    # --- both sides ----------------------------------------------------------------------------------

    def number(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers) + 1)

    def write(self, kind: str, *, text: Any, **values: Any) -> None:
        row = event(len(self.journal) + 1, self.time_ms, KIND[kind], text)
        self.journal.append(row | {"connection": 1, "request_seq": len(self.ledger) + 1} | values)
        if self.journal[-1]["connection"] == 0 or kind == "connected":
            self.journal[-1]["request_seq"] = 0

    def saw(self, verb: str, user: str, group: str | None, code: int) -> int:
        row = len(self.ledger)
        self.us += 100
        self.ledger.append(
            {
                "row": row,
                "user_id": user,
                "group_id": group,
                "verb": verb,
                "kind": "race",
                "platform": "Web",
                "country": "CN",
                "access_point": "cn-south",
                "connection": CLIENT,
                "request_seq": row + 1,
                "planned_app_ms": self.time_ms,
                "planned_us": self.us,
                "sent_us": self.us,
                "answered_us": self.us + 50,
                "app_before_ms": self.time_ms,
                "app_after_ms": self.time_ms,
                "code": code,
                "city": "",
            }
        )
        return code

    # --- files ---------------------------------------------------------------------------------------

    def recording(self) -> Recording:
        return Recording(
            plan=self._plan(),
            ledgers=[pa.Table.from_pylist(self.ledger, run_files.LEDGER_SCHEMA)],
            journal=pa.Table.from_pylist(self.journal, run_files.JOURNAL_SCHEMA),
            statement=self.statement(),
        )

    def written(self, folder: Path) -> Path:
        return self.recording().written(folder)

    def statement(self) -> dict[str, Any]:
        days = {_iso(day): len(users) for day, users in self.dau.items()}
        stated = a_statement(MONTH, days, plan=self.server.plan)
        users = set[str]().union(*self.dau.values())
        seconds = {tier: self.seconds[tier] for tier in ("audio", "hd", "full_hd", "2k", "4k") if self.seconds[tier]}
        stated |= {"monthly_users": len(users), "peak_groups": self.server.peak, "call_seconds": seconds}
        for stated_line in stated["lines"]:
            if stated_line["item"] == "groups":
                units = max(0, -((100_000 - self.server.peak) // 100_000))
                stated_line |= {"quantity": self.server.peak, "units": units, "amount_cents": units * 14_999}
        free = 10_000
        for tier, count in seconds.items():
            minutes = -(-count // 60)
            used = min(free, minutes)
            free -= used
            unit_price = int(BOOK_2020["calls"][tier])  # type: ignore[index]
            line: dict[str, Any] = {
                "item": f"call_{tier}",
                "quantity": minutes,
                "free": used,
                "per": 1,
                "units": minutes - used,
            }
            stated["lines"].append(
                line | {"unit_price": unit_price, "amount_cents": ((minutes - used) * unit_price + 500) // 1_000}
            )
        stated["total_cents"] = sum(line["amount_cents"] for line in stated["lines"])
        return stated

    def _plan(self) -> dict[str, Any]:
        days = []
        for day in range(FIRST_DAY, FIRST_DAY + 31):
            rows = [row for row in self.ledger if (row["planned_app_ms"] + OFFSET_MS) // DAY_MS == day]
            admitted = Counter(row["verb"] for row in rows if not row["code"])
            codes = Counter(str(row["code"]) for row in rows)
            dau = len(self.dau[day])
            days.append(
                {
                    "day": _iso(day),
                    "arrivals": len(rows),
                    "dau_min": dau,
                    "dau_max": dau,
                    "codes": dict(codes),
                    "admitted": {verb: [count, count] for verb, count in admitted.items()},
                }
            )
        return {
            "format": 1,
            "scenario": "live_group_cap",
            "seed": 7,
            "options": {},
            "app": {"sdkappid": SDKAPPID, "plan": self.plan, "price_book": "2020"},
            "readings": {"billing_offset_ms": OFFSET_MS, "dau": "login", "charge_day": 3},
            "month": MONTH,
            "arrivals": len(self.ledger),
            "days": days,
            **self.planned,
        }


def _iso(day: int) -> str:
    return f"2026-10-{day - FIRST_DAY + 1:02}"


LIVE_QUOTA: Final = {"name": "live_groups", "limit": 50, "refusal": 10036}


def a_race(*, server: Server | None = None, attempts: int = 120) -> Play:
    """Creates race for 50 live groups; three are destroyed, three come after them, and one is left empty."""
    play = Play("pro", server, quotas=[LIVE_QUOTA], peak_groups=[50, 50])
    for number in range(5):
        play.login(f"user_{number}")
    for number in range(attempts):
        # One belongs to nobody and is empty from the beginning.
        play.live(f"g{number}", "" if number == 7 else f"user_{number % 5}")
    for number in range(3):
        play.destroy(f"g{number}", f"user_{number}")
    play.join("g7", "user_1")
    play.quit("g7", "user_1")
    for number in range(attempts, attempts + 6):
        play.live(f"g{number}", f"user_{number % 5}")
    return play

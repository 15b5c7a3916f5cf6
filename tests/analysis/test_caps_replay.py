"""The vectorised replay judges every row as a plain one does, whatever a server decided.

The server here errs at random; the plain replay follows its journal row by row, with sets.
"""

import json
from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import caps, journals, run_files
from analysis.plans import CallTrial, Plans
from tests.analysis.plays import KIND, LIVE, UNLIMITED, Group, Play, Server

SMALL: dict[str, dict[str, int]] = {
    "trial": {
        "accounts": 4,
        "dau": 3,
        "live_groups": 2,
        "other_groups": 4,
        "groups_per_user": 3,
        "members_per_group": 3,
        "net_new_groups": 4,
    },
    "pro": {"live_groups": 3, "groups_per_user": 4, "members_per_group": 4, "net_new_groups": 6},
}
NAMES = {
    "accounts": "accounts",
    "dau": "dau",
    "live": "live_groups",
    "other": "other_groups",
    "of_user": "groups_per_user",
    "members": "members_per_group",
    "net": "net_new_groups",
}
CODES = {
    70398: "accounts",
    72000: "dau",
    10036: "live_groups",
    10058: "other_groups",
    10037: "groups_per_user",
    10038: "members_per_group",
    10014: "members_per_group",
    10006: "net_new_groups",
}
FIRST = {
    "dau": {"accounts"},
    "groups_per_user": {"live_groups", "other_groups"},
    "net_new_groups": {"live_groups", "other_groups", "groups_per_user"},
}


class Erratic(Server):
    """Takes each limit for one more or one less where it is told to."""

    def __init__(self, errors: list[int]) -> None:
        super().__init__("trial")
        self.errors = errors

    def limit(self, name: str) -> int:
        error = self.errors.pop() if self.errors else 0
        return SMALL[self.plan].get(NAMES[name], UNLIMITED) + error

    def full(self, group: Group) -> int:
        return 10014 if super().full(group) == 10014 else 10038


USERS = st.sampled_from(["u0", "u1", "u2", "u3", "u4", "u5"])
GROUPS = st.sampled_from(["g0", "g1", "g2", "g3", "g4", "g5", "g6"])
STEPS = st.one_of(
    st.tuples(st.just("login"), USERS),
    st.tuples(st.just("import_account"), USERS),
    st.tuples(st.just("delete"), USERS),
    st.tuples(st.just("create"), GROUPS, USERS, st.sampled_from(["Public", LIVE]), st.sampled_from([None, None, 2, 9])),
    st.tuples(st.just("crowd"), GROUPS, st.lists(USERS, min_size=1, unique=True)),
    st.tuples(st.just("destroy"), GROUPS),
    st.tuples(st.just("join"), GROUPS, USERS),
    st.tuples(st.just("quit"), GROUPS, USERS),
    st.tuples(st.just("resize"), GROUPS, st.sampled_from([1, 3, 5])),
    st.tuples(st.just("next_day")),
    st.tuples(st.just("upgrade")),
)


def played(steps: list[tuple[Any, ...]], errors: list[int]) -> Play:
    """Play what makes sense: nobody joins who never had an account, nobody quits a group that is not there."""
    play = Play("trial", Erratic(errors))
    for name, *values in steps:
        if name == "crowd":
            _crowd(play, *values)
        elif name == "create":
            group, owner, type_, most = values
            play.create(group, owner if owner in play.numbers else "", type_, most)
        elif name == "upgrade":
            if play.server.plan == "trial":
                play.change_plan("pro")
        elif _makes_sense(play, name, values):
            getattr(play, name)(*values)
    return play


def _crowd(play: Play, group: str, users: list[str]) -> None:
    if all(user in play.numbers for user in users):
        play.create(group, users[0], more=users[1:])


def _makes_sense(play: Play, name: str, values: list[Any]) -> bool:
    if name in ("quit", "resize"):
        return values[0] in play.server.groups
    return name != "join" or values[1] in play.numbers


class PlainReplay:
    """Judges each row by the state that the rows before it have left."""

    def __init__(self) -> None:
        self.accounts: set[int] = set()
        self.active: defaultdict[int, set[int]] = defaultdict(set)
        self.groups: dict[str, tuple[str, int, set[int]]] = {}
        self.net: Counter[int] = Counter()
        self.ids: dict[str, int] = {}
        self.plan = "trial"
        self.over: defaultdict[str, set[int]] = defaultdict(set)
        self.below: defaultdict[str, set[int]] = defaultdict(set)
        self.wrong: defaultdict[str, set[int]] = defaultdict(set)

    def limit(self, name: str) -> int:
        return SMALL[self.plan].get(name, UNLIMITED)

    def judge(self, row: dict[str, Any]) -> None:
        text = json.loads(row["text"]) if (row["text"] or "").startswith("{") else {}
        day = (row["time_ms"] + 28_800_000) // 86_400_000
        kind = run_files.JOURNAL_KINDS[row["kind"]]
        user = self.ids.get(row["user_id"], -1) if row["code"] else row["user"]
        if row["user_id"] and not row["code"]:
            self.ids[row["user_id"]] = row["user"]
        if kind == "plan_changed":
            self.plan = text["plan"]
        full, own = self.full(kind, user, text, day)
        code = row["code"]
        if code in CODES:
            name = CODES[code]
            if not full:
                self.below[name].add(row["seq"])
            elif name not in full or full & FIRST.get(name, set()) or code == (10038 if own else 10014):
                self.wrong[name].add(row["seq"])
        elif not code:
            for name in full:
                self.over[name].add(row["seq"])
            self.apply(kind, user, text, day)

    def full(self, kind: str, user: int, text: dict[str, Any], day: int) -> tuple[set[str], bool]:
        """Name the quotas that have no room for a request; and whether a group's own number is the lower one."""
        if kind in ("logged_in", "login_refused", "imported", "import_refused"):
            return self.full_of_accounts(user, day, is_login=kind in ("logged_in", "login_refused")), False
        if kind in ("group_created", "create_refused"):
            return self.full_of_groups(user, text, day)
        if kind in ("joined", "join_refused") and text["group_id"] in self.groups:
            return self.full_of_members(user, text["group_id"])
        return set(), False

    def full_of_accounts(self, user: int, day: int, *, is_login: bool) -> set[str]:
        full = set()
        if user not in self.accounts and len(self.accounts) >= self.limit("accounts"):
            full.add("accounts")
        active = self.active[day]
        if is_login and user not in active and len(active) >= self.limit("dau"):
            full.add("dau")
        return full

    def full_of_groups(self, owner: int, text: dict[str, Any], day: int) -> tuple[set[str], bool]:
        full, own = set(), False
        is_live = text["type"] == LIVE
        name = "live_groups" if is_live else "other_groups"
        if sum((type_ == LIVE) == is_live for type_, _, _ in self.groups.values()) >= self.limit(name):
            full.add(name)
        members = text.get("members") or ([owner] if owner > 0 else [])
        if not is_live:
            if any(self.joined(member) >= self.limit("groups_per_user") for member in members):
                full.add("groups_per_user")
            own = text.get("max_members") is not None and text["max_members"] < self.limit("members_per_group")
            if len(members) > (text["max_members"] if own else self.limit("members_per_group")):
                full.add("members_per_group")
        if self.net[day] >= self.limit("net_new_groups"):
            full.add("net_new_groups")
        return full, own

    def full_of_members(self, user: int, name: str) -> tuple[set[str], bool]:
        type_, most, members = self.groups[name]
        if type_ == LIVE or user in members:
            return set(), False
        own = most < self.limit("members_per_group")
        full = set()
        if len(members) >= min(most, self.limit("members_per_group")):
            full.add("members_per_group")
        if self.joined(user) >= self.limit("groups_per_user"):
            full.add("groups_per_user")
        return full, own

    def joined(self, user: int) -> int:
        return sum(type_ != LIVE and user in members for type_, _, members in self.groups.values())

    def apply(self, kind: str, user: int, text: dict[str, Any], day: int) -> None:
        name = text.get("group_id", "")
        if kind in ("logged_in", "imported"):
            self.accounts.add(user)
            if kind == "logged_in":
                self.active[day].add(user)
        elif kind == "deleted":
            self.accounts.discard(user)
            for _, _, members in self.groups.values():
                members.discard(user)
        elif kind == "group_created":
            most = text["max_members"]
            self.groups[name] = text["type"], UNLIMITED if most is None else most, set(text["members"])
            self.net[day] += 1
        elif kind == "group_destroyed":
            del self.groups[name]
            self.net[day] -= 1
        elif kind == "joined":
            self.groups[name][2].add(user)
        elif kind == "left":
            self.groups[name][2].discard(user)
        elif kind == "group_changed":
            type_, _, members = self.groups[name]
            self.groups[name] = type_, text["max_members"], members


@pytest.fixture(autouse=True)
def small_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Plans(
        limits=SMALL,
        admins=("administrator",),
        community_members_per_group=100_000,
        sources=(),
        call_trial=CallTrial(60, 2),
    )
    monkeypatch.setattr(caps, "plans", lambda: small)


@given(st.lists(STEPS, max_size=60), st.lists(st.sampled_from([0, 0, 0, 1, -1]), max_size=80))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_judged_as_by_a_plain_replay(steps: list[tuple[Any, ...]], errors: list[int]) -> None:
    play = played(steps, errors)
    plain = PlainReplay()
    for row in play.journal:
        plain.judge(row)
    journal = journals.of_table(pa.Table.from_pylist(play.journal, run_files.JOURNAL_SCHEMA))
    found = {tally.quota.name: tally for tally in caps.tallies(journal, "trial", 28_800_000)}
    seq = journal.frame["seq"].to_numpy()
    for name in NAMES.values():
        tally = found.get(name)
        rows = [set(seq[at].tolist()) for at in (tally.over, tally.below, tally.wrong_code)] if tally else [set()] * 3
        assert rows == [plain.over[name], plain.below[name], plain.wrong[name]], name
    assert caps.lifetimes(journal) == []
    assert caps.registrations(journal) == []


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_server_that_keeps_to_the_rules_is_never_accused(steps: list[tuple[Any, ...]]) -> None:
    journal = journals.of_table(pa.Table.from_pylist(played(steps, []).journal, run_files.JOURNAL_SCHEMA))
    tallies = caps.tallies(journal, "trial", 28_800_000)
    assert all(tally.is_exact for tally in tallies)
    assert caps.findings(journal, tallies) == []


def test_the_journal_kinds_have_the_numbers_of_the_documentation() -> None:
    assert (KIND["deleted"], KIND["group_created"], KIND["create_refused"], KIND["plan_changed"]) == (14, 16, 17, 24)

"""Everything that changes a count, in any order, against a model of plain sets; with crashes in between."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mock_im_server import catalogue, checkpoints
from mock_im_server.apps import Apps
from mock_im_server.domain import groups, plans
from mock_im_server.domain.apps import AppSettings, Rules
from mock_im_server.domain.calendar import DAY_MS
from mock_im_server.domain.plans import Plan
from mock_im_server.service import App, LoginRequest, NewGroup, PlanRefusedError
from mock_im_server.stores.memory import MemoryStore
from mock_im_server.wire import codes, frames
from tests.service.wires import SilentWire, answered
from tests.serving import KEY, REAL_MS, SDKAPPID, a_usersig, at_ms

_T = TypeVar("_T")

SMALL = {
    "trial": Plan(
        "trial",
        accounts_max=4,
        dau_max=2,
        live_groups_max=2,
        other_groups_max=2,
        members_per_group_max=2,
        groups_per_user_max=2,
        net_new_groups_per_day_max=3,
        account_delete=True,
    ),
    "pro": Plan("pro", live_groups_max=3, members_per_group_max=3, groups_per_user_max=3, net_new_groups_per_day_max=5),
    "ultimate": Plan("ultimate", members_per_group_max=4, groups_per_user_max=3, net_new_groups_per_day_max=4),
}
"""The vendor's plans with caps so low that chance meets them."""

users = st.sampled_from([f"user{number}" for number in range(5)])
group_ids = st.sampled_from([f"group{number}" for number in range(4)])
types = st.sampled_from([groups.LIVE, groups.PUBLIC])


@dataclass
class Room:
    """A group of the model."""

    type: str
    owner: str
    members: set[str]


@dataclass
class Model:
    """The rules once more, as a person would count on paper."""

    plan: Plan
    day: int = 0
    accounts: set[str] = field(default_factory=set)
    active: dict[int, set[str]] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    net_new: dict[int, int] = field(default_factory=dict)
    peak: int = 0
    plan_changed: str = ""

    def register(self, user: str) -> int:
        if user not in self.accounts and len(self.accounts) >= _or_more(self.plan.accounts_max):
            return 70398
        self.accounts.add(user)
        return 0

    def login(self, user: str) -> int:
        if user not in self.accounts and len(self.accounts) >= _or_more(self.plan.accounts_max):
            return 70398
        today = self.active.setdefault(self.day, set())
        if user not in today and len(today) >= _or_more(self.plan.dau_max):
            return 72000
        self.accounts.add(user)
        today.add(user)
        return 0

    def delete(self, user: str) -> int:
        if user not in self.accounts:
            return 70107
        self.accounts.discard(user)
        for room in self.rooms.values():
            room.members.discard(user)
            room.owner = "" if room.owner == user else room.owner
        return 0

    def create(self, group_id: str, kind: str, owner: str) -> int:  # noqa: PLR0911 -- one for each code
        if group_id in self.rooms:
            return 10025 if self.rooms[group_id].owner == owner else 10021
        if owner not in self.accounts:
            return 10019
        if kind == groups.LIVE and self.count(groups.LIVE) >= _or_more(self.plan.live_groups_max):
            return 10036
        if kind != groups.LIVE and self.count(groups.PUBLIC) >= _or_more(self.plan.other_groups_max):
            return 10058
        if kind != groups.LIVE and self.joined(owner) >= _or_more(self.plan.groups_per_user_max):
            return 10037
        if self.net_new.get(self.day, 0) >= _or_more(self.plan.net_new_groups_per_day_max):
            return 10006
        self.rooms[group_id] = Room(kind, owner, {owner})
        self.net_new[self.day] = self.net_new.get(self.day, 0) + 1
        self.peak = max(self.peak, len(self.rooms))
        return 0

    def destroy(self, group_id: str) -> int:
        if self.rooms.pop(group_id, None) is None:
            return 10010
        self.net_new[self.day] = self.net_new.get(self.day, 0) - 1
        return 0

    def join(self, group_id: str, user: str) -> int:
        room = self.rooms.get(group_id)
        if room is None:
            return 10010
        if user not in self.accounts:
            return 10019
        if user in room.members:
            return 0
        if room.type != groups.LIVE:
            if len(room.members) >= _or_more(self.plan.members_per_group_max):
                return 10038
            if self.joined(user) >= _or_more(self.plan.groups_per_user_max):
                return 10037
        room.members.add(user)
        return 0

    def leave(self, group_id: str, user: str) -> int:
        room = self.rooms.get(group_id)
        if room is None:
            return 10010
        if user == room.owner:
            return 10009
        room.members.discard(user)
        return 0

    def count(self, kind: str) -> int:
        return sum(room.type == kind for room in self.rooms.values())

    def joined(self, user: str) -> int:
        return sum(room.type != groups.LIVE and user in room.members for room in self.rooms.values())


class Counting(RuleBasedStateMachine):
    """The app and the model are asked the same, and must answer and count the same."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="state-machine-"))
        self.wire = SilentWire()
        self.seq = 0
        self.real_ms = REAL_MS
        self.tickets: dict[tuple[str, int], tuple[str, str]] = {}
        """`a2` and TinyId of each device's last login."""
        self.spoilt: set[tuple[str, int]] = set()
        """Devices whose user was kicked or deleted since."""
        self.apps = self._apps()
        self.run(self.apps.make(AppSettings(SDKAPPID, "trial", KEY, account_delete=True), fixed_ms=at_ms("2026-10-30")))
        self.model = Model(SMALL["trial"], day=self.today())
        # Some are there from the start, so that chance finds more to do than refusals.
        for user in ("user0", "user1", "user2"):
            self.import_account(user)

    def teardown(self) -> None:
        self.apps.close()
        self.loop.close()
        shutil.rmtree(self.folder)

    @property
    def app(self) -> App:
        return self.apps[SDKAPPID]

    def run(self, call: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(call)

    def today(self) -> int:
        return self.app.calendar.day(self.app.now_ms())

    @rule(user=users)
    def import_account(self, user: str) -> None:
        assert self.run(self.app.accounts.import_all([user])) == [self.model.register(user)]

    @rule(user=users)
    def delete(self, user: str) -> None:
        (code,) = self.run(self.app.accounts.delete_all([user]))
        assert code == self.model.delete(user)
        if not code:
            self._spoil(user)

    @rule(user=users, instance=st.integers(1, 3))
    def login(self, user: str, instance: int) -> None:
        self.seq += 1
        head = frames.Head(
            frames.LOGIN, self.seq, SDKAPPID, identifier=user, usersig=self._usersig(user), status_instid=instance
        )
        (answer,) = self.run(self.app.login([LoginRequest(self.wire, head)]))
        body = answered(answer)
        assert body["ErrorCode"] == self.model.login(user)
        if not body["ErrorCode"]:
            self.tickets[user, instance] = body["A2Key"], body["TinyId"]
            self.spoilt.discard((user, instance))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        """Counts nowhere; a ticket of before a deletion or a kick does not hold."""
        user, instance = data.draw(st.sampled_from(sorted(self.tickets)))
        answer = self.run(self.app.resume(self.wire, self._head(frames.LOGIN, user, instance)))
        assert answered(answer)["ErrorCode"] == (codes.TICKET_INVALID if (user, instance) in self.spoilt else 0)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def logout(self, data: st.DataObject) -> None:
        user, instance = data.draw(st.sampled_from(sorted(self.tickets)))
        answer = self.run(self.app.logout(self.wire, self._head(frames.LOGOUT, user, instance)))
        assert answered(answer)["ErrorCode"] == (codes.TICKET_INVALID if (user, instance) in self.spoilt else 0)

    @rule(user=users)
    def kick(self, user: str) -> None:
        """Ends sessions and tickets and makes older UserSigs worthless; counts stay."""
        known = user in self.model.accounts
        assert self.run(self.app.accounts.kick(user)) == (0 if known else 70107)
        if known:
            old = frames.Head(frames.LOGIN, 1, SDKAPPID, identifier=user, usersig=self._usersig(user))
            (answer,) = self.run(self.app.login([LoginRequest(self.wire, old)]))
            assert answered(answer)["ErrorCode"] == codes.USERSIG_REVOKED
            self.real_ms += 1_000
            self._spoil(user)

    def _spoil(self, user: str) -> None:
        self.spoilt |= {device for device in self.tickets if device[0] == user}

    def _usersig(self, user: str) -> str:
        return a_usersig(user, issued_s=self.real_ms // 1_000)

    def _head(self, servcmd: str, user: str, instance: int) -> frames.Head:
        self.seq += 1
        a2, tiny_id = self.tickets[user, instance]
        return frames.Head(servcmd, self.seq, SDKAPPID, a2=a2, tinyid=tiny_id, status_instid=instance)

    @rule(group_id=group_ids, kind=types, owner=users)
    def create(self, group_id: str, kind: str, owner: str) -> None:
        code, _ = self.run(self.app.groups.create(NewGroup(group_id, kind, owner)))
        assert code == self.model.create(group_id, kind, owner)

    @rule(group_id=group_ids)
    def destroy(self, group_id: str) -> None:
        assert self.run(self.app.groups.destroy(group_id)) == self.model.destroy(group_id)

    @rule(group_id=group_ids, user=users)
    def join(self, group_id: str, user: str) -> None:
        assert self.run(self.app.groups.join(group_id, user)) == self.model.join(group_id, user)

    @rule(group_id=group_ids, user=users)
    def leave(self, group_id: str, user: str) -> None:
        assert self.run(self.app.groups.leave(group_id, user)) == self.model.leave(group_id, user)

    @rule(hours=st.sampled_from([1, 24, 49]))
    def move_clock(self, hours: int) -> None:
        before = month(self.app)
        self.run(self.app.move_clock(self.app.now_ms() + hours * DAY_MS // 24))
        self.model.day = self.today()
        if month(self.app) != before:
            self.model.peak = len(self.model.rooms)

    @rule(name=st.sampled_from(sorted(SMALL)))
    def change_plan(self, name: str) -> None:
        model = self.model
        allowed = name not in {"trial", model.plan.name} and model.plan_changed != month(self.app)
        try:
            self.run(self.app.change_plan(SMALL[name]))
        except PlanRefusedError:
            assert not allowed
        else:
            assert allowed
            model.plan, model.plan_changed = SMALL[name], month(self.app)

    @precondition(lambda self: self.seq)
    @rule(with_checkpoint=st.booleans())
    def crash(self, *, with_checkpoint: bool) -> None:
        """What was acknowledged is written; the process goes without a word, and another one reads the journal.

        Or what is behind the last checkpoint, which has to come to the same.
        """
        self.app.journal.write()
        if with_checkpoint:
            files = self.app.journal.files()
            checkpoints.take(files[0].parent, [path.name for path in files])
        self.apps = self._apps()
        self.run(self.apps.find_all())
        self.wire = SilentWire()

    @invariant()
    def the_counts_are_the_models(self) -> None:
        model, store = self.model, self.app.store
        now = self.app.instant(self.app.now_ms())
        names = [plans.ACCOUNTS, plans.active_users(now.day), groups.GROUPS, groups.LIVE_GROUPS, groups.OTHER_GROUPS]
        expected = [
            len(model.accounts),
            len(model.active.get(model.day, set())),
            len(model.rooms),
            model.count(groups.LIVE),
            model.count(groups.PUBLIC),
        ]
        assert self.run(store.sizes(names)) == expected
        counters = [groups.net_new_groups(now.day), groups.peak_groups(now.month)]
        assert self.run(store.counters(counters)) == [model.net_new.get(model.day, 0), model.peak]
        for user in model.accounts:
            assert len(self.run(self.app.groups.of_user(user, with_live=False))) == model.joined(user)
        for group_id, room in model.rooms.items():
            group = self.app.groups[group_id]
            assert (group.owner, set(group.members)) == (room.owner, room.members)
            assert set(self.run(store.members(plans.MEMBERS + groups.key_of(group_id)))) == room.members

    def _apps(self) -> Apps:
        known = catalogue.load()
        small = catalogue.Catalogue(SMALL, known.price_books, known.access_points, known.countries)
        return Apps(self.folder, catalogue=small, rules=Rules(), new_store=MemoryStore, real_ms=lambda: self.real_ms)


def month(app: App) -> str:
    return app.instant(app.now_ms()).month


def _or_more(limit: int | None) -> float:
    return float("inf") if limit is None else limit


class TestCounting(Counting.TestCase):  # type: ignore[name-defined,misc]  # made by Hypothesis
    """Days of chance."""

    settings = settings(max_examples=80, stateful_step_count=60, deadline=None)

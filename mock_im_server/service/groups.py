"""Groups: made, joined, left, changed, destroyed. The store counts them; what they are called stands here."""

from base64 import b32encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from mock_im_server import journal as log
from mock_im_server.domain import groups, plans
from mock_im_server.domain.actions import Action, Outcome
from mock_im_server.domain.groups import MEMBER, OWNER, Group, Member
from mock_im_server.journal import Row
from mock_im_server.pieces import PIECE, emptied
from mock_im_server.service import notices
from mock_im_server.service.origin import Origin

if TYPE_CHECKING:
    from mock_im_server.service.app import App

NOT_MEMBER: Final = 10004
"""The vendor's "invalid parameter": the new owner is no member of the group. Assumed."""
NOT_ALLOWED: Final = 10007
OWNER_CANNOT_QUIT: Final = 10009

ALARM_PERCENT: Final = 70
"""Of the daily quota of net new groups: above it, each creation raises the alarm's webhook."""

_SOMEBODY: Final = Origin()
_ID_CHARACTERS_MAX: Final = 48
"""Of a GroupId that a refusal's row quotes: longer ones are none, and must not fill the disk."""
_encoded: Final = msgspec.json.Encoder().encode


class NewGroup(NamedTuple):
    """A wish."""

    group_id: str
    type: str
    owner: str = ""
    members: tuple[tuple[str, str], ...] = ()
    """UserIDs with their roles; not the owner."""
    max_members: int | None = None
    details: Mapping[str, Any] = {}
    is_imported: bool = False
    created_s: int | None = None
    refusal: int = 0
    """The code of what is refused before anything is counted: it only has its place in the one order."""

    @property
    def first(self) -> tuple[str, ...]:
        """The owner, if there is one, and the members, each once."""
        if not self.members:
            return (self.owner,) if self.owner else ()
        return tuple(dict.fromkeys(user_id for user_id in (self.owner, *map(_user_id, self.members)) if user_id))


class Groups:
    """The groups of one app."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._by_id: dict[str, Group] = {}
        self._made = 0

    def __getitem__(self, group_id: str) -> Group:
        return self._by_id[group_id]

    @property
    def made(self) -> int:
        """How many there ever were."""
        return self._made

    def get(self, group_id: str) -> Group | None:
        return self._by_id.get(group_id)

    def all(self) -> Iterable[Group]:
        return self._by_id.values()

    async def create(self, wish: NewGroup, origin: Origin = _SOMEBODY) -> tuple[int, str]:
        """0 and the GroupId, or the code of the refusal."""
        (made,) = await self.create_all([(wish, origin)])
        return made

    async def create_all(self, wishes: Sequence[tuple[NewGroup, Origin]]) -> list[tuple[int, str]]:
        """For each wish, in order, 0 and the GroupId, or the code of the refusal; one pass through the store."""
        app = self._app
        named = self._named(wishes)

        def actions(now_ms: int) -> list[Action]:
            at = app.instant(now_ms)
            return [self._creation(wish, at) for wish, _ in named]

        outcomes, now_ms = await app.decided_all(actions)
        codes = [wish.refusal or outcome.code for (wish, _), outcome in zip(named, outcomes, strict=True)]
        # Of a refusal too: what was asked for is what it is judged by. Refused unseen, they may be nobody.
        members = [
            user_id
            for (wish, _), code in zip(named, codes, strict=True)
            if not code or (wish.members and not wish.refusal)
            for user_id in wish.first
        ]
        numbers = dict(zip(members, await app.numbers(members), strict=True)) if members else {}
        for (wish, origin), outcome, code in zip(named, outcomes, codes, strict=True):
            if code:
                self._create_refused(wish, outcome._replace(code=code), now_ms, origin, numbers)
            else:
                self._created(wish, outcome, now_ms, origin, numbers)
        return [(code, wish.group_id) for (wish, _), code in zip(named, codes, strict=True)]

    async def destroy(self, group_id: str, origin: Origin = _SOMEBODY, *, by: str = "") -> int:
        """0, or the code of the refusal; `by` is the user who asks, empty for the app's admin."""
        app = self._app
        group = self._by_id.get(group_id)
        code = 0
        if group is None:
            code = groups.GROUP_UNKNOWN
        elif by and (by != group.owner or group.type == groups.PRIVATE):
            code = NOT_ALLOWED
        if code or group is None:
            return await self.refuse(log.DESTROY_REFUSED, code, group_id, by, origin)

        outcome, now_ms = await app.decided(lambda now_ms: app.rules.destruction(app.instant(now_ms), group))
        day = app.calendar.day(now_ms)
        text = {"group_id": group_id, "type": group.type, "day": day}
        kind = log.DESTROY_REFUSED if outcome.code else log.GROUP_DESTROYED
        self._journal(kind, outcome, now_ms, origin, text)
        if not outcome.code:
            self._by_id.pop(group_id, None)
            app.statistics.count(day, "GroupDestroyGroupNum")
            if app.listener is not None:
                app.listener.hear(notices.group_destroyed(group, now_ms, origin))
        return outcome.code

    async def join(
        self,
        group_id: str,
        user_id: str,
        origin: Origin = _SOMEBODY,
        *,
        role: str = MEMBER,
        joined_s: int | None = None,
    ) -> int:
        """Become a member, now or, when imported, at a time of before; who is one stays one."""
        app = self._app
        group = self._by_id.get(group_id)
        if group is None:
            return await self.refuse(log.JOIN_REFUSED, groups.GROUP_UNKNOWN, group_id, user_id, origin)
        outcome, now_ms = await app.decided(lambda _: groups.joining(app.plan, app.clock.epoch, group, user_id))
        text = {"group_id": group_id, "type": group.type}
        if outcome.code:
            self._journal(log.JOIN_REFUSED, outcome, now_ms, origin, text, user_id=user_id)
        else:
            if user_id not in group.members:
                group.members[user_id] = Member(role, now_ms // 1_000 if joined_s is None else joined_s)
            at: dict[str, Any] = {} if joined_s is None else {"joined_s": joined_s}
            self._journal(log.JOINED, outcome, now_ms, origin, text | {"role": role} | at)
            app.statistics.count(app.calendar.day(now_ms), "GroupJoinGroupTimes")
        return outcome.code

    async def apply(self, group_id: str, user_id: str, origin: Origin = _SOMEBODY) -> tuple[int, bool]:
        """Ask to become a member: 0 or the code of the refusal, and whether the user is one now.

        Where a group wants an approval, nothing happens: nobody gives one here (`docs/open-points.md`).
        """
        group = self._by_id.get(group_id)
        option = groups.FREE_ACCESS if group is None or user_id in group.members else groups.join_option(group)
        if option == groups.DISABLE_APPLY:
            return await self.refuse(log.JOIN_REFUSED, NOT_ALLOWED, group_id, user_id, origin), False
        if option == groups.NEED_PERMISSION:
            return 0, False
        code = await self.join(group_id, user_id, origin)
        return code, not code

    async def leave(self, group_id: str, user_id: str, origin: Origin = _SOMEBODY) -> int:
        """Be a member no more, of one's own will or not; who was none is no error."""
        app = self._app
        group = self._by_id.get(group_id)
        if group is None:
            return groups.GROUP_UNKNOWN
        if user_id == group.owner:
            return OWNER_CANNOT_QUIT
        outcome, now_ms = await app.decided(lambda _: groups.leaving(app.clock.epoch, group, user_id))
        if not outcome.code and group.members.pop(user_id, None) is not None:
            self._journal(log.LEFT, outcome, now_ms, origin, {"group_id": group_id, "type": group.type})
            app.statistics.count(app.calendar.day(now_ms), "GroupQuitGroupTimes")
        else:
            self._nothing_happened(outcome, now_ms)
        return outcome.code

    async def change(
        self, group_id: str, details: Mapping[str, Any], *, max_members: int | None, origin: Origin = _SOMEBODY
    ) -> int:
        """New details; `max_members` None leaves the number as it is."""
        app = self._app
        group = self._by_id.get(group_id)
        if group is None:
            return groups.GROUP_UNKNOWN
        group.details |= details
        if max_members is not None:
            group.max_members = max_members
        outcome, now_ms = await app.take_seq()
        group.last_info_s = now_ms // 1_000
        text = {"group_id": group_id, "max_members": group.max_members, "details": dict(details)}
        self._journal(log.GROUP_CHANGED, outcome, now_ms, origin, text)
        return 0

    async def change_owner(self, group_id: str, new: str, origin: Origin = _SOMEBODY) -> int:
        """Hand a group over to one of its members."""
        app = self._app
        group = self._by_id.get(group_id)
        if group is None:
            return groups.GROUP_UNKNOWN
        if group.type == groups.LIVE:
            return NOT_ALLOWED
        outcome, now_ms = await app.decided(lambda _: groups.change_of_owner(app.clock.epoch, group, new, NOT_MEMBER))
        if outcome.code:
            text = {"group_id": group_id, "type": group.type}
            self._journal(log.JOIN_REFUSED, outcome, now_ms, origin, text, user_id=new)
            return outcome.code
        group.hand_over(new)
        text = {"group_id": group_id, "owner": new}
        self._journal(log.GROUP_CHANGED, outcome, now_ms, origin, text)
        return 0

    @staticmethod
    def forget(user_id: str, joined: Iterable[Group]) -> None:
        """A deleted user is in no group; a group without an owner stays (assumed)."""
        for group in joined:
            group.members.pop(user_id, None)
            if group.owner == user_id:
                group.owner = ""

    async def refuse(self, kind: int, code: int, group_id: str, user_id: str, origin: Origin) -> int:
        """The code; a refusal that needs no store still has its place in the one order."""
        outcome, now_ms = await self._app.take_seq()
        text = {"group_id": group_id[:_ID_CHARACTERS_MAX]}
        self._journal(kind, outcome._replace(code=code), now_ms, origin, text, user_id=user_id or None)
        return code

    async def of_user(self, user_id: str, *, with_live: bool) -> list[Group]:
        """The groups that a user is in, the oldest first."""
        store = self._app.store
        keys = await store.members(plans.joined_groups(user_id))
        if with_live:
            keys += await store.members(plans.live_groups_of(user_id))
        # One that another server process has just made, or this one has ended meanwhile, is not known here.
        found = [group for key in keys if (group := self._by_id.get(key[1:])) is not None]
        return sorted(found, key=lambda group: group.number)

    async def release(self) -> None:
        # Members of their own: a single live group may have a million.
        held, self._by_id = self._by_id, {}
        large = [group.members for group in held.values() if len(group.members) > PIECE]
        await emptied(held, *large)

    def take(self, group: Group) -> None:
        """A group that another server process has made."""
        self._by_id[group.group_id] = group
        self._made += 1

    def drop(self, group_id: str) -> None:
        """A group that another server process has destroyed."""
        del self._by_id[group_id]

    def restore(self, found: dict[str, Group], made: int) -> None:
        self._by_id = found
        self._made = made

    def _named(self, wishes: Sequence[tuple[NewGroup, Origin]]) -> Sequence[tuple[NewGroup, Origin]]:
        """The wishes, each with a GroupId."""
        if all(wish.group_id or wish.refusal for wish, _ in wishes):
            return wishes
        fresh: set[str] = set()
        named = []
        for wish, origin in wishes:
            group_id = wish.group_id
            if not group_id and not wish.refusal:
                group_id = self._fresh_id(wish.type, fresh)
                fresh.add(group_id)
            named.append((wish._replace(group_id=group_id), origin))
        return named

    def _creation(self, wish: NewGroup, at: plans.Instant) -> Action:
        app = self._app
        if wish.refusal:
            return Action(at.epoch)
        first = wish.first
        return app.rules.creation(
            app.plan,
            at,
            wish.group_id,
            wish.type,
            first=first if wish.owner else ("", *first),
            max_members=wish.max_members,
        )

    def _create_refused(
        self, wish: NewGroup, outcome: Outcome, now_ms: int, origin: Origin, numbers: Mapping[str, int]
    ) -> None:
        text: dict[str, Any] = {"group_id": wish.group_id[:_ID_CHARACTERS_MAX], "type": wish.type}
        if wish.members and not wish.refusal:
            text["members"] = [number for user_id in wish.first if (number := numbers[user_id])]
        if wish.max_members is not None:
            text["max_members"] = wish.max_members
        self._journal(log.CREATE_REFUSED, outcome, now_ms, origin, text, user_id=wish.owner or None)

    def _created(
        self, wish: NewGroup, outcome: Outcome, now_ms: int, origin: Origin, numbers: Mapping[str, int]
    ) -> None:
        app = self._app
        at = app.instant(now_ms)
        group = self._made_of(wish, outcome.number, now_ms // 1_000)
        self._by_id[group.group_id] = group
        self._made += 1
        text = {
            "group_id": group.group_id,
            "day": at.day,
            "month": at.month,
            "group": group.number,
            "type": group.type,
            "imported": wish.is_imported,
            "created_s": group.created_s,
            "max_members": group.max_members,
            "members": [numbers[user_id] for user_id in group.members],
            "roles": [member.role for member in group.members.values()],
            "details": group.details,
        }
        owner = numbers[group.owner] if group.owner else 0
        self._journal(log.GROUP_CREATED, outcome._replace(number=owner), now_ms, origin, text)
        app.statistics.count(at.day, "GroupNewGroupNum")
        if app.listener is not None and not wish.is_imported:
            app.listener.hear(notices.group_created(group, now_ms, origin))
            self._say_alarm(outcome, now_ms, origin)

    @staticmethod
    def _made_of(wish: NewGroup, number: int, now_s: int) -> Group:
        roles = {**dict(wish.members), wish.owner: OWNER}
        return Group(
            number=number,
            group_id=wish.group_id,
            type=wish.type,
            owner=wish.owner,
            created_s=now_s if wish.created_s is None else wish.created_s,
            max_members=wish.max_members,
            details=dict(wish.details),
            members={user_id: Member(roles[user_id], now_s) for user_id in wish.first},
            last_info_s=now_s,
        )

    def _say_alarm(self, outcome: Outcome, now_ms: int, origin: Origin) -> None:
        app = self._app
        quota = app.plan.net_new_groups_per_day_max
        (used,) = outcome.drawn
        if app.listener is not None and quota is not None and used * 100 > quota * ALARM_PERCENT:
            app.listener.hear(notices.quota_alarm(used, quota, now_ms, origin))

    def _nothing_happened(self, outcome: Outcome, now_ms: int) -> None:
        """The order has a number for it, so that the journal needs a row."""
        self._app.journal.append(Row(outcome.seq, now_ms, log.GROUP_CHANGED, text="{}"))

    def _journal(  # noqa: PLR0913 -- a row's parts
        self,
        kind: int,
        outcome: Outcome,
        now_ms: int,
        origin: Origin,
        text: Mapping[str, Any],
        *,
        user_id: str | None = None,
    ) -> None:
        self._app.journal.append(
            Row(
                outcome.seq,
                now_ms,
                kind,
                outcome.number,
                user_id,
                platform=origin.platform,
                connection=origin.connection,
                request_seq=origin.request_seq,
                code=outcome.code,
                text=_encoded(text).decode(),
            )
        )

    def _fresh_id(self, group_type: str, taken: Collection[str]) -> str:
        """A GroupId in the vendor's form, unlike any other of this app and unlike those taken."""
        prefix = "@TGS#_" if group_type == groups.COMMUNITY else "@TGS#"
        for number in count(self._made):
            name = f"{self._app.settings.sdkappid}.{number}{self._app.peers.tag()}"
            digest = blake2b(name.encode(), digest_size=5).digest()
            found = f"{prefix}2{b32encode(digest).decode()}"
            if found not in self._by_id and found not in taken:
                return found
        raise AssertionError("numbers do not end")


def _user_id(member: tuple[str, str]) -> str:
    return member[0]

"""Messages to users and groups: pushed to the receivers' online sessions, counted, and not kept.

There is no history: who is offline never hears of a message. Nothing here is journaled; messages cost no quota.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from mock_im_server.domain.groups import Group
from mock_im_server.pieces import emptied
from mock_im_server.wire import frames

if TYPE_CHECKING:
    from mock_im_server.service.app import App

PUSH: Final = "im_open_push.msg_push"
USER_EVENT: Final = 9
GROUP_EVENT: Final = 3
"""`Event` of a push, as the SDK tells messages of users from those of groups."""

GROUP_MESSAGES_PER_SECOND_MAX: Final = 40
"""Of each group; the vendor drops what is beyond (1047/34381). All priorities alike (assumed)."""
DROPPED: Final = "MsgFreqCtrl"

SAME_MESSAGE_S: Final = 300
"""Two messages to a group with the same `Random` within five minutes are one (1047/34959)."""
REMEMBERED_MAX: Final = 100_000
"""Recent group messages that are remembered for this; older ones are forgotten first."""

LIFE_TIME_S: Final = 7 * 24 * 3_600
"""How long the vendor keeps a message for who is offline; 0 tells the SDK that it is not kept at all."""

NO_SESSION: Final = (0, 0)


class Message(NamedTuple):
    """What somebody says."""

    sender: str
    body: Any
    """The vendor's `MsgBody`, a list of elements."""
    random: int
    seq: int = 0
    """Chosen by the sender of a message to users; the server numbers those to groups."""
    custom_data: str = ""
    is_online_only: bool = False
    priority: str = "Normal"
    session: tuple[int, int] = NO_SESSION
    """User number and instance of the session that it came from: it gets the answer, not the push."""


class Sent(NamedTuple):
    """What an answer says of a message that was taken."""

    time_s: int
    seq: int
    drop_reason: str = ""

    def key(self, random: int) -> str:
        """The vendor's `MsgKey`."""
        return f"{self.seq}_{random}_{self.time_s}"


class Messages:
    """The messages of one app."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._recent: OrderedDict[tuple[int, str, int], tuple[int, Sent]] = OrderedDict()
        """Group messages by group, sender and `Random`, the oldest first, each with the real second of its sending."""
        self._second = 0
        self._in_second: dict[int, int] = {}
        """Messages to each group in this second of real time."""

    async def to_users(self, user_ids: Sequence[str], message: Message, *, to_own_devices: bool) -> Sent:
        """Send to users that exist; a sender's other devices may hear of it too."""
        app = self._app
        now_ms = await app.settled_ms()
        sent = Sent(now_ms // 1_000, message.seq)
        day, count = app.calendar.day(now_ms), app.statistics.count
        for user_id in user_ids:
            item = _item(message, sent) | {"To_Account": user_id, "MsgKey": sent.key(message.random)}
            pushed = await self._push([user_id], message, _event(USER_EVENT, "C2cMsgArray", item))
            count(day, "C2CDownMsgNum", pushed)
            if to_own_devices:
                # The SDK turns the two around in what it takes for its own.
                own = item | {"From_Account": user_id, "To_Account": message.sender, "IsSyncMsg": 1}
                await self._push([message.sender], message, _event(USER_EVENT, "C2cMsgArray", own))
        count(day, "C2CUpMsgNum", len(user_ids))
        for field in ("C2CSendMsgUserNum", "SendMsgUserNum"):
            app.statistics.see(day, field, message.sender)
        return sent

    async def to_group(self, group: Group, message: Message, *, only_to: Iterable[str] | None = None) -> Sent:
        """Send to a group's members, or to some of them. The same message within five minutes is not sent again."""
        app = self._app
        now_ms = await app.settled_ms()
        real_s = app.real_s()
        key = group.number, message.sender, message.random
        if (before := self._same(key, real_s)) is not None:
            return before
        if not self._has_room(group.number, real_s):
            return Sent(now_ms // 1_000, 0, DROPPED)
        sent = Sent(now_ms // 1_000, group.next_msg_seq)
        self._remember(key, real_s, sent)
        group.next_msg_seq += 1
        group.last_msg_s = sent.time_s
        event = _event(GROUP_EVENT, "GroupMsgArray", _item(message, sent) | _of_group(group, message))
        receivers = group.members if only_to is None else [user for user in only_to if user in group.members]
        pushed = await self._push(list(receivers), message, event)
        self._count_group_message(app.calendar.day(now_ms), group, message.sender, pushed)
        return sent

    async def online_members(self, group: Group) -> int:
        """How many members have a session."""
        sessions = self._app.sessions
        return sum(1 for number in await self._app.store.numbers(list(group.members)) if sessions.of_user(number))

    async def _push(self, user_ids: Sequence[str], message: Message, events: msgspec.Raw) -> int:
        """The number of users that have heard it."""
        app = self._app
        numbers = await app.store.numbers(user_ids)
        app.peers.push(numbers, message.session, bytes(events))
        return self.push_here(numbers, message.session, bytes(events))

    def push_here(self, numbers: Sequence[int], but: tuple[int, int], events: bytes) -> int:
        """Push to the users' sessions on this server, except one of user and instance; how many users have heard it."""
        app = self._app
        heard = 0
        for number in numbers:
            sessions = [session for session in app.sessions.of_user(number) if (number, session.instance) != but]
            for session in sessions:
                body = {"EventArray": msgspec.Raw(events)}
                session.connection.push(frames.push(PUSH, app.settings.sdkappid, number, session.instance, body))
            heard += bool(sessions)
        return heard

    async def release(self) -> None:
        await emptied(self._recent)

    def _same(self, key: tuple[int, str, int], real_s: int) -> Sent | None:
        while self._recent:
            oldest = next(iter(self._recent))
            if self._recent[oldest][0] > real_s - SAME_MESSAGE_S and len(self._recent) < REMEMBERED_MAX:
                break
            del self._recent[oldest]
        found = self._recent.get(key)
        return None if found is None else found[1]

    def _remember(self, key: tuple[int, str, int], real_s: int, sent: Sent) -> None:
        self._recent[key] = real_s, sent

    def _has_room(self, group: int, real_s: int) -> bool:
        if real_s != self._second:
            self._second = real_s
            self._in_second.clear()
        count = self._in_second[group] = self._in_second.get(group, 0) + 1
        return count <= GROUP_MESSAGES_PER_SECOND_MAX

    def _count_group_message(self, day: int, group: Group, sender: str, pushed: int) -> None:
        statistics = self._app.statistics
        statistics.count(day, "GroupUpMsgNum")
        statistics.count(day, "GroupDownMsgNum", pushed)
        statistics.see(day, "GroupSendMsgGroupNum", group.group_id)
        for field in ("GroupSendMsgUserNum", "SendMsgUserNum"):
            statistics.see(day, field, sender)


def _event(event: int, name: str, item: dict[str, Any]) -> msgspec.Raw:
    """Encoded once for all receivers."""
    return msgspec.Raw(msgspec.json.encode([{"Event": event, name: [item]}]))


def _item(message: Message, sent: Sent) -> dict[str, Any]:
    return {
        "From_Account": message.sender,
        "MsgSeq": sent.seq,
        "MsgRandom": message.random,
        "MsgTimeStamp": sent.time_s,
        "MsgBody": message.body,
        "CloudCustomData": message.custom_data,
        "MsgLifeTime": 0 if message.is_online_only else LIFE_TIME_S,
    }


def _of_group(group: Group, message: Message) -> dict[str, Any]:
    return {
        "ToGroupId": group.group_id,
        "MsgPriority": message.priority,
        "OnlineOnlyFlag": int(message.is_online_only),
        "GroupInfo": {
            "GroupId": group.group_id,
            "GroupType": group.type,
            "GroupName": group.details.get("Name", ""),
        },
    }

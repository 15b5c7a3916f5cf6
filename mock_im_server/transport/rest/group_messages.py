"""The service `group_open_http_svc`: messages to groups (1047/34959)."""

from typing import Final

import msgspec

from mock_im_server.domain.groups import Group
from mock_im_server.domain.plans import ADMIN
from mock_im_server.service import App, Message, Origin
from mock_im_server.service.messages import NO_SESSION
from mock_im_server.transport.rest.command import Answer, Command, Refused, nests_too_deep
from mock_im_server.transport.rest.members import known_group
from mock_im_server.transport.rest.openim import Element, UInt32, elements, is_too_long
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

RECEIVERS_MAX: Final = 50
PRIORITIES: Final = frozenset({"High", "Normal", "Low", "Lowest"})


class Send(msgspec.Struct):
    """Body of `send_group_msg`; `To_Account` names the only members who are to hear of it."""

    GroupId: str | None = None
    Random: UInt32 | None = None
    MsgBody: list[Element] | None = None
    From_Account: str | None = None
    MsgPriority: str | None = None
    OnlineOnlyFlag: int | None = None
    CloudCustomData: str | None = None
    To_Account: list[str] | None = None


class Sent(Answer, kw_only=True):
    """Answer of `send_group_msg`; a message with a drop reason reached nobody."""

    MsgTime: int
    MsgSeq: int
    MsgDropReason: str | msgspec.UnsetType = msgspec.UNSET


async def _send(app: App, _origin: Origin, body: Send) -> Answer:
    """Send a message to a group's members."""
    group = known_group(app, body.GroupId)
    return await sent(app, group, body, await _sender(app, body.From_Account))


async def sent(app: App, group: Group, body: Send, sender: str, *, session: tuple[int, int] = NO_SESSION) -> Answer:
    """Send what a user or the admin says to a group. Raises Refused."""
    if body.Random is None or not body.MsgBody or len(body.To_Account or ()) > RECEIVERS_MAX:
        raise Refused(codes.BAD_PARAMETER)
    parts = elements(body.MsgBody)
    if nests_too_deep(parts):
        raise Refused(codes.BAD_PARAMETER)
    if is_too_long(parts):
        raise Refused(codes.GROUP_MESSAGE_TOO_LONG)
    message = Message(
        sender,
        parts,
        body.Random,
        custom_data=body.CloudCustomData or "",
        is_online_only=bool(body.OnlineOnlyFlag),
        priority=body.MsgPriority if body.MsgPriority in PRIORITIES else "Normal",
        session=session,
    )
    taken = await app.messages.to_group(group, message, only_to=body.To_Account or None)
    return Sent(MsgTime=taken.time_s, MsgSeq=taken.seq, MsgDropReason=taken.drop_reason or msgspec.UNSET)


COMMANDS: Final = (Command("group_open_http_svc/send_group_msg", Send, _send, codes.BAD_PARAMETER, Sent),)


async def _sender(app: App, user_id: str | None) -> str:
    """Who is named, or the admin. Raises Refused."""
    if not user_id or user_id == ADMIN:
        return ADMIN
    # Whether the vendor wants a member here is not documented; an account it must be.
    if not is_user_id(user_id) or not (await app.accounts.exist([user_id]))[0]:
        raise Refused(codes.MEMBER_UNKNOWN)
    return user_id

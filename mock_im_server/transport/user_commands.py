"""What a logged-in user may ask for over the gateway beside logging in: groups and messages, in REST's words.

The SDK sends REST's service and command names with REST's bodies (recorded, `docs/wire.md`). Who asks is who the
frame's ticket says, whatever the body says; what an admin may do over REST, a user may do only to what is theirs.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from mock_im_server.domain import groups
from mock_im_server.service import App, Origin
from mock_im_server.transport.rest import group_messages, openim
from mock_im_server.transport.rest.command import DONE, Answer, Refused, type_carry_out
from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.transport.rest.described import Info, described, described_self
from mock_im_server.transport.rest.groups import AskInfo, Create, Filter, OfGroup, known_form
from mock_im_server.transport.rest.members import AskJoined, known_group
from mock_im_server.wire import codes, frames

GROUPS: Final = "group_open_http_svc"

JOINED: Final = "JoinedSuccess"
WAITING: Final = "WaitAdminApproval"


class Caller(NamedTuple):
    """Who asks, from where."""

    user_id: str
    number: int
    instance: int
    origin: Origin


class Joined(Answer, kw_only=True):
    """Answer of `apply_join_group`."""

    JoinedStatus: str


class SelfInfos(Answer, kw_only=True):
    """Answer of `get_group_self_member_info`: an entry for each GroupId, or the SDK gives up (2903)."""

    GroupInfo: list[Info]


type_command = Callable[[App, Caller, Any], Awaitable[Answer]]


class _Command(NamedTuple):
    decode: Callable[[bytes], Any]
    carry_out: type_command
    malformed: int


async def carried_out(app: App, caller: Caller, frame: frames.Frame) -> bytes:
    """The answer to a frame whose `servcmd` is one of `USER_COMMANDS`."""
    head = frame.head
    command = USER_COMMANDS[head.servcmd]
    try:
        body = command.decode(frame.body)
    except frames.MALFORMED:
        return frames.answer(head, command.malformed, codes.TEXTS[command.malformed])
    try:
        answer = await command.carry_out(app, caller, body)
    except Refused as refused:
        return frames.answer(head, refused.code, refused.text)
    return frames.answered(head, answer)


async def _create(app: App, caller: Caller, body: Create) -> Answer:
    body.Owner_Account = caller.user_id
    return await _REST_CREATE(app, caller.origin, body)


async def _destroy(app: App, caller: Caller, body: OfGroup) -> Answer:
    return _done(await app.groups.destroy(known_form(body.GroupId), caller.origin, by=caller.user_id))


async def _join(app: App, caller: Caller, body: OfGroup) -> Answer:
    """Join what is free to join. A wish for approval is taken, and nobody ever grants it (not imitated)."""
    group_id = known_form(body.GroupId)
    group = app.groups.get(group_id)
    if group is not None and caller.user_id not in group.members:
        option = described(app, group, ["ApplyJoinOption"]).ApplyJoinOption
        if option == "DisableApply":
            raise Refused(codes.NOT_ALLOWED)
        if option == "NeedPermission" and group.type != groups.LIVE:
            return Joined(JoinedStatus=WAITING)
    _done(await app.groups.join(group_id, caller.user_id, caller.origin))
    return Joined(JoinedStatus=JOINED)


async def _quit(app: App, caller: Caller, body: OfGroup) -> Answer:
    return _done(await app.groups.leave(known_form(body.GroupId), caller.user_id, caller.origin))


async def _self_info(app: App, caller: Caller, body: AskInfo) -> Answer:
    wanted = body.ResponseFilter or Filter()
    return SelfInfos(GroupInfo=[_of_self(app, caller, group_id, wanted) for group_id in body.GroupIdList or ()])


async def _joined(app: App, caller: Caller, body: AskJoined) -> Answer:
    body.Member_Account = caller.user_id
    return await _REST_JOINED(app, caller.origin, body)


async def _say_to_group(app: App, caller: Caller, body: group_messages.Send) -> Answer:
    group = known_group(app, body.GroupId)
    if caller.user_id not in group.members:
        raise Refused(codes.NOT_ALLOWED)
    return await group_messages.sent(app, group, body, caller.user_id, session=(caller.number, caller.instance))


async def _say_to_user(app: App, caller: Caller, body: openim.SendOne) -> Answer:
    body.From_Account = caller.user_id
    return await openim.sent_to_one(app, body, session=(caller.number, caller.instance))


def _done(code: int) -> Answer:
    if code:
        raise Refused(code)
    return DONE


def _of_self(app: App, caller: Caller, group_id: str, wanted: Filter) -> Info:
    group = app.groups.get(group_id)
    if group is None:
        return Info(GroupId=group_id, ErrorCode=codes.GROUP_UNKNOWN, ErrorInfo=codes.TEXTS[codes.GROUP_UNKNOWN])
    info = described(app, group, wanted.GroupBaseInfoFilter)
    member = group.members.get(caller.user_id)
    if member is not None:
        info.SelfInfo = described_self(member, wanted.MemberInfoFilter or wanted.SelfInfoFilter)
    return info


_REST_CREATE: Final[type_carry_out] = COMMANDS[f"{GROUPS}/create_group"].carry_out
_REST_JOINED: Final[type_carry_out] = COMMANDS[f"{GROUPS}/get_joined_group_list"].carry_out
_REST_INFO: Final[type_carry_out] = COMMANDS[f"{GROUPS}/get_group_info"].carry_out


async def _info(app: App, caller: Caller, body: AskInfo) -> Answer:
    return await _REST_INFO(app, caller.origin, body)


def _command(body: type[msgspec.Struct], carry_out: type_command, malformed: int = codes.BAD_PARAMETER) -> _Command:
    return _Command(msgspec.json.Decoder(body, strict=False).decode, carry_out, malformed)


USER_COMMANDS: Final[Mapping[str, _Command]] = {
    f"{GROUPS}.create_group": _command(Create, _create),
    f"{GROUPS}.destroy_group": _command(OfGroup, _destroy),
    f"{GROUPS}.apply_join_group": _command(OfGroup, _join),
    f"{GROUPS}.quit_group": _command(OfGroup, _quit),
    f"{GROUPS}.get_group_info": _command(AskInfo, _info),
    f"{GROUPS}.get_group_self_member_info": _command(AskInfo, _self_info),
    f"{GROUPS}.get_joined_group_list": _command(AskJoined, _joined),
    f"{GROUPS}.send_group_msg": _command(group_messages.Send, _say_to_group),
    "openim.sendmsg": _command(openim.SendOne, _say_to_user, codes.MESSAGE_JSON),
}
"""By the frame's `servcmd`."""

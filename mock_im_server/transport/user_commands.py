"""What a logged-in user may ask for over the gateway beside logging in: groups and messages, in REST's words.

The SDK sends REST's service and command names with REST's bodies (recorded, `docs/wire.md`). Who asks is who the
frame's ticket says, whatever the body says; what an admin may do over REST, a user may do only to what is theirs.
A request that would change which groups there are, or who is in them, has its row in the journal also when it is
refused for its form or its ticket: a ledger can be laid beside it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from mock_im_server import journal as log
from mock_im_server.domain import groups
from mock_im_server.domain.groups import ADMIN_ROLE, OWNER, Group, Member
from mock_im_server.service import App, NewGroup, Origin
from mock_im_server.sessions import Connection
from mock_im_server.transport.rest import group_messages, openim
from mock_im_server.transport.rest.command import DONE, Answer, Refused, refused, type_carry_out
from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.transport.rest.described import Info, described, described_self
from mock_im_server.transport.rest.groups import (
    ASKED_MAX,
    AskInfo,
    Create,
    Filter,
    Infos,
    OfGroup,
    known_form,
    whole_wish,
)
from mock_im_server.transport.rest.members import AskJoined, known_group
from mock_im_server.wire import codes, frames

GROUPS: Final = "group_open_http_svc"
CREATE_GROUP: Final = f"{GROUPS}.create_group"

JOINED: Final = "JoinedSuccess"
WAITING: Final = "WaitAdminApproval"


class Asked(NamedTuple):
    """A frame and where it came from."""

    connection: Connection
    frame: frames.Frame


class Caller(NamedTuple):
    """Who asks, from where; number 0 is nobody, as the ticket does not hold."""

    user_id: str
    number: int
    instance: int
    origin: Origin


class Joined(Answer, kw_only=True):
    """Answer of `apply_join_group`; the flag tells the SDK that the group is a live one."""

    JoinedStatus: str
    HugeGroupFlag: int = 0


type_command = Callable[[App, Caller, Any], Awaitable[Answer]]
type_decode = Callable[[bytes | msgspec.Raw], Any]

_decode_create: Final[type_decode] = msgspec.json.Decoder(Create, strict=False).decode


class _Command(NamedTuple):
    decode: type_decode
    carry_out: type_command
    malformed: int
    refusal: int | None
    """The kind of the journal's row for what is refused here and would have changed a group."""


async def created(app: App, asked: Sequence[Asked]) -> list[bytes]:
    """Make groups, all those of a tick in one pass through the store: a million of them may race for fifty places."""
    callers = await _callers(app, asked)
    wishes = [_wish(app, caller, frame.body) for (_, frame), caller in zip(asked, callers, strict=True)]
    origins = [caller.origin for caller in callers]
    made = await app.groups.create_all([(wish, origin) for (wish, _), origin in zip(wishes, origins, strict=True)])
    return [
        frames.answer(frame.head, code, text or codes.TEXTS[code], None if code else {"GroupId": group_id})
        for (_, frame), (_, text), (code, group_id) in zip(asked, wishes, made, strict=True)
    ]


async def carried_out(app: App, asked: Asked) -> bytes:
    """The answer to a frame whose `servcmd` is one of `USER_COMMANDS`."""
    head = asked.frame.head
    command = USER_COMMANDS[head.servcmd]
    (caller,) = await _callers(app, [asked])
    body = None
    try:
        body = _body(command.decode, command.malformed, caller, asked.frame.body)
        answer = await command.carry_out(app, caller, body)
    except Refused as refusal:
        if command.refusal is not None:
            group_id = getattr(body, "GroupId", None) or ""
            await app.groups.refuse(command.refusal, refusal.code, group_id, caller.user_id, caller.origin)
        return frames.answer(head, refusal.code, refusal.text)
    return frames.answered(head, answer)


async def _callers(app: App, asked: Sequence[Asked]) -> list[Caller]:
    fresh = {connection for connection, _ in asked if not connection.number}
    if fresh:
        await app.number_connections(fresh, await app.settled_ms())
    numbers = [app.user_of(frame.head) for _, frame in asked]
    known = [number for number in numbers if number]
    user_ids = dict(zip(known, await app.user_ids(known), strict=True))
    return [
        Caller(
            user_id := user_ids.get(number, ""),
            # A ticket may be of a time that a restored app has not seen: then nobody has that number.
            number if user_id else 0,
            frame.head.status_instid,
            Origin(connection.number, frame.head.seq, frame.head.platform, connection.client_ip, is_rest=False),
        )
        for (connection, frame), number in zip(asked, numbers, strict=True)
    ]


def _body(decode: type_decode, malformed: int, caller: Caller, raw: msgspec.Raw) -> Any:  # noqa: ANN401 -- the command's struct
    if not caller.number:
        raise Refused(codes.TICKET_INVALID)
    try:
        return decode(raw)
    except frames.MALFORMED as error:
        raise Refused(malformed) from error


def _wish(app: App, caller: Caller, raw: msgspec.Raw) -> tuple[NewGroup, str]:
    """The group that is asked for, with its refusal in it if it cannot be, and the refusal's text."""
    body = None
    try:
        body = _body(_decode_create, codes.BAD_PARAMETER, caller, raw)
        body.Owner_Account = caller.user_id
        return whole_wish(app, body), ""
    except Refused as refusal:
        group_id, kind = (body.GroupId or "", body.Type or "") if body else ("", "")
        kind = groups.TYPES.get(kind, "")
        return NewGroup(group_id, kind, caller.user_id, refusal=refusal.code), refusal.text


async def _destroy(app: App, caller: Caller, body: OfGroup) -> Answer:
    return _outcome(await app.groups.destroy(known_form(body.GroupId), caller.origin, by=caller.user_id))


async def _join(app: App, caller: Caller, body: OfGroup) -> Answer:
    """Join what is free to join. A wish for approval is taken, and nobody ever grants it (not imitated)."""
    group_id = known_form(body.GroupId)
    code, is_member = await app.groups.apply(group_id, caller.user_id, caller.origin)
    if code:
        return _outcome(code)
    group = app.groups.get(group_id)
    is_live = group is not None and group.type == groups.LIVE
    return Joined(JoinedStatus=JOINED if is_member else WAITING, HugeGroupFlag=int(is_live))


async def _quit(app: App, caller: Caller, body: OfGroup) -> Answer:
    return _outcome(await app.groups.leave(known_form(body.GroupId), caller.user_id, caller.origin))


async def _self_info(app: App, caller: Caller, body: AskInfo) -> Answer:
    """An entry for each GroupId, or the SDK gives up (2903)."""
    group_ids = body.GroupIdList
    if not group_ids or len(group_ids) > ASKED_MAX:
        raise Refused(codes.BAD_PARAMETER)
    wanted = body.ResponseFilter or Filter()
    return Infos(GroupInfo=[_of_self(app, caller, group_id, wanted) for group_id in group_ids])


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


def _outcome(code: int) -> Answer:
    """What the service has decided, and written down."""
    return refused(Answer(), code) if code else DONE


def _of_self(app: App, caller: Caller, group_id: str, wanted: Filter) -> Info:
    group = app.groups.get(group_id)
    if group is None:
        return Info(GroupId=group_id, ErrorCode=codes.GROUP_UNKNOWN, ErrorInfo=codes.TEXTS[codes.GROUP_UNKNOWN])
    info = described(app, group, wanted.GroupBaseInfoFilter)
    member = group.members.get(caller.user_id)
    if member is not None:
        info.SelfInfo = described_self(member, wanted.MemberInfoFilter or wanted.SelfInfoFilter)
    return info


_REST_JOINED: Final[type_carry_out] = COMMANDS[f"{GROUPS}/get_joined_group_list"].carry_out
_REST_INFO: Final[type_carry_out] = COMMANDS[f"{GROUPS}/get_group_info"].carry_out


async def _info(app: App, caller: Caller, body: AskInfo) -> Answer:
    return await _REST_INFO(app, caller.origin, body)


def _leads(_group: Group, member: Member) -> bool:
    return member.role in {OWNER, ADMIN_ROLE}


def _leads_or_works(group: Group, member: Member) -> bool:
    """In groups for work, all members may do what elsewhere the owner and the admins do."""
    return group.type == groups.PRIVATE or _leads(group, member)


def _owns(_group: Group, member: Member) -> bool:
    return member.role == OWNER


def _is_in(_group: Group, _member: Member) -> bool:
    return True


def _as_rest(name: str, may: Callable[[Group, Member], bool]) -> _Command:
    """A command that does what it does over REST, for members who may."""
    command = COMMANDS[f"{GROUPS}/{name}"]

    async def asked(app: App, caller: Caller, body: OfGroup) -> Answer:
        group = known_group(app, body.GroupId)
        member = group.members.get(caller.user_id)
        if member is None or not may(group, member):
            raise Refused(codes.NOT_ALLOWED)
        return await command.carry_out(app, caller.origin, body)

    return _command(command.body, asked, command.malformed)


def _command(
    body: type[msgspec.Struct],
    carry_out: type_command,
    malformed: int = codes.BAD_PARAMETER,
    *,
    refusal: int | None = None,
) -> _Command:
    return _Command(msgspec.json.Decoder(body, strict=False).decode, carry_out, malformed, refusal)


USER_COMMANDS: Final[Mapping[str, _Command]] = {
    f"{GROUPS}.destroy_group": _command(OfGroup, _destroy, refusal=log.DESTROY_REFUSED),
    f"{GROUPS}.apply_join_group": _command(OfGroup, _join, refusal=log.JOIN_REFUSED),
    f"{GROUPS}.quit_group": _command(OfGroup, _quit),
    f"{GROUPS}.get_group_info": _command(AskInfo, _info),
    f"{GROUPS}.get_group_public_info": _command(AskInfo, _info),
    f"{GROUPS}.get_group_self_member_info": _command(AskInfo, _self_info),
    f"{GROUPS}.get_joined_group_list": _command(AskJoined, _joined),
    f"{GROUPS}.get_group_member_info": _as_rest("get_group_member_info", _is_in),
    f"{GROUPS}.add_group_member": _as_rest("add_group_member", _leads_or_works),
    f"{GROUPS}.delete_group_member": _as_rest("delete_group_member", _leads),
    f"{GROUPS}.modify_group_base_info": _as_rest("modify_group_base_info", _leads_or_works),
    f"{GROUPS}.change_group_owner": _as_rest("change_group_owner", _owns),
    f"{GROUPS}.send_group_msg": _command(group_messages.Send, _say_to_group),
    "openim.sendmsg": _command(openim.SendOne, _say_to_user, codes.MESSAGE_JSON),
}
"""By the frame's `servcmd`; creations are many at once, and no commands of these."""

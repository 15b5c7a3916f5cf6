"""The service `group_open_http_svc`: who is in a group, and in which groups somebody is (1047/34921 and beside)."""

import re
from typing import Final

import msgspec

from mock_im_server.domain import groups
from mock_im_server.domain.groups import Group
from mock_im_server.service import App, Origin
from mock_im_server.transport.rest.command import DONE, Answer, Command, Refused, refused
from mock_im_server.transport.rest.described import (
    MEMBERS_TOLD_MAX,
    Info,
    MemberInfo,
    described,
    described_member,
    described_self,
)
from mock_im_server.transport.rest.groups import Filter, OfGroup, Seconds, known_form, role_of
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

ADDED_MAX: Final = 300
"""Of one call; another page of the vendor's says 100."""
REMOVED_MAX: Final = 100
"""Of one call; another page of the vendor's says 500."""
JOINED_MAX: Final = 5_000

_PLACE: Final = re.compile(r"[0-9]{1,19}", re.ASCII)

FAILED: Final = 0
ADDED: Final = 1
WAS_IN: Final = 2


class NewMember(msgspec.Struct):
    """A user to add; the role and the time only when imported."""

    Member_Account: str
    Role: str | None = None
    JoinTime: Seconds | None = None


class Add(msgspec.Struct):
    """Body of `add_group_member` and `import_group_member`."""

    GroupId: str | None = None
    MemberList: list[NewMember] | None = None


class MemberResult(msgspec.Struct):
    """What became of a user: 0 not added, 1 added, 2 was a member before."""

    Member_Account: str
    Result: int


class Added(Answer, kw_only=True):
    """Answer of `add_group_member` and `import_group_member`."""

    MemberList: list[MemberResult]


class Remove(msgspec.Struct):
    """Body of `delete_group_member`."""

    GroupId: str | None = None
    MemberToDel_Account: list[str] | None = None


class AskMembers(msgspec.Struct):
    """Body of `get_group_member_info`."""

    GroupId: str | None = None
    Limit: int | None = None
    Offset: int | None = None
    Next: str | None = None
    MemberInfoFilter: list[str] | None = None
    MemberRoleFilter: list[str] | None = None


class Members(Answer, kw_only=True):
    """Answer of `get_group_member_info`; `Next` is empty at the end."""

    MemberNum: int
    MemberList: list[MemberInfo]
    Next: str


class AskJoined(msgspec.Struct):
    """Body of `get_joined_group_list`; live groups are told only with `WithHugeGroups`."""

    Member_Account: str | None = None
    Limit: int | None = None
    Offset: int | None = None
    GroupType: str | None = None
    Type: str | None = None
    WithHugeGroups: int | None = None
    ResponseFilter: Filter | None = None


class Joined(Answer, kw_only=True):
    """Answer of `get_joined_group_list`."""

    TotalCount: int
    GroupIdList: list[Info]


class OnlineMembers(Answer, kw_only=True):
    """Answer of `get_online_member_num`."""

    OnlineMemberNum: int


async def _add(app: App, origin: Origin, body: Add) -> Answer:
    """Add up to 300 members, as many as fit; not to a live group, whose members come by themselves."""
    return await _added(app, origin, body, is_import=False)


async def _import(app: App, origin: Origin, body: Add) -> Answer:
    """Add members with the roles and times that they had elsewhere."""
    return await _added(app, origin, body, is_import=True)


async def _added(app: App, origin: Origin, body: Add, *, is_import: bool) -> Answer:
    group = known_group(app, body.GroupId)
    if group.type == groups.LIVE:
        raise Refused(codes.NOT_ALLOWED)
    wanted = body.MemberList
    if not wanted:
        raise Refused(codes.BAD_PARAMETER)
    if len(wanted) > ADDED_MAX:
        raise Refused(codes.TOO_MANY_MEMBERS)
    found = [await _join(app, origin, group, member, is_import=is_import) for member in wanted]
    answer = Added(MemberList=[result for result, _ in found])
    # The vendor does not say what a call gets of which some members fail: here its outer code tells only of none.
    return answer if any(not code for _, code in found) else refused(answer, found[0][1])


async def _join(
    app: App, origin: Origin, group: Group, member: NewMember, *, is_import: bool
) -> tuple[MemberResult, int]:
    user_id = member.Member_Account
    if user_id in group.members:
        return MemberResult(user_id, WAS_IN), 0
    if not is_user_id(user_id):
        return MemberResult(user_id, FAILED), codes.MEMBER_UNKNOWN
    if is_import:
        role, joined_s = role_of(member.Role), member.JoinTime or None
        code = await app.groups.join(group.group_id, user_id, origin, role=role, joined_s=joined_s)
    else:
        code = await app.groups.join(group.group_id, user_id, origin)
    return MemberResult(user_id, FAILED if code else ADDED), code


async def _remove(app: App, origin: Origin, body: Remove) -> Answer:
    """Remove up to 100 members; who is none is no error."""
    group = known_group(app, body.GroupId)
    user_ids = body.MemberToDel_Account
    if group.type == groups.LIVE or not user_ids:
        raise Refused(codes.BAD_PARAMETER)
    if len(user_ids) > REMOVED_MAX:
        raise Refused(codes.TOO_MANY_MEMBERS)
    if group.owner in user_ids:
        raise Refused(codes.OWNER_CANNOT_QUIT)
    for user_id in user_ids:
        if user_id in group.members:
            await app.groups.leave(group.group_id, user_id, origin)
    return DONE


async def _members(app: App, _origin: Origin, body: AskMembers) -> Answer:
    """A group's members, page by page; of a live group the vendor tells none."""
    group = known_group(app, body.GroupId)
    if group.type == groups.LIVE:
        raise Refused(codes.NOT_ALLOWED)
    limit = MEMBERS_TOLD_MAX if body.Limit is None else body.Limit
    first = int(body.Next) if body.Next and _PLACE.fullmatch(body.Next) else body.Offset or 0
    if not 0 < limit <= MEMBERS_TOLD_MAX or first < 0:
        raise Refused(codes.BAD_PARAMETER)
    roles = body.MemberRoleFilter
    chosen = [item for item in group.members.items() if not roles or item[1].role in roles]
    page = chosen[first : first + limit]
    return Members(
        MemberNum=len(group.members),
        MemberList=[described_member(user_id, member, body.MemberInfoFilter) for user_id, member in page],
        Next=str(first + limit) if first + limit < len(chosen) else "",
    )


async def _joined(app: App, _origin: Origin, body: AskJoined) -> Answer:
    """The groups that a user is in."""
    user_id = body.Member_Account
    limit = JOINED_MAX if body.Limit is None else body.Limit
    wanted = body.GroupType or body.Type
    if not is_user_id(user_id) or not 0 < limit <= JOINED_MAX or (wanted and wanted not in groups.TYPES):
        raise Refused(codes.BAD_PARAMETER)
    first = body.Offset or 0
    if first < 0:
        raise Refused(codes.BAD_PARAMETER)
    if not (await app.accounts.exist([user_id]))[0]:
        raise Refused(codes.MEMBER_UNKNOWN)
    group_type = groups.TYPES[wanted] if wanted else ""
    found = await app.groups.of_user(user_id, with_live=bool(body.WithHugeGroups) or group_type == groups.LIVE)
    chosen = [group for group in found if not group_type or group.type == group_type]
    told = [_told(app, group, user_id, body.ResponseFilter) for group in chosen[first : first + limit]]
    return Joined(TotalCount=len(chosen), GroupIdList=told)


async def _online(app: App, _origin: Origin, body: OfGroup) -> Answer:
    """How many of a live group's members are online."""
    group = known_group(app, body.GroupId)
    if group.type != groups.LIVE:
        raise Refused(codes.NOT_ALLOWED)
    return OnlineMembers(OnlineMemberNum=await app.messages.online_members(group))


_BAD: Final = codes.BAD_PARAMETER
COMMANDS: Final = (
    Command("group_open_http_svc/add_group_member", Add, _add, _BAD, Added),
    Command("group_open_http_svc/import_group_member", Add, _import, _BAD, Added),
    Command("group_open_http_svc/delete_group_member", Remove, _remove, _BAD),
    Command("group_open_http_svc/get_group_member_info", AskMembers, _members, _BAD, Members),
    Command("group_open_http_svc/get_joined_group_list", AskJoined, _joined, _BAD, Joined),
    Command("group_open_http_svc/get_online_member_num", OfGroup, _online, _BAD, OnlineMembers),
)


def known_group(app: App, group_id: str | None) -> Group:
    """Raises Refused."""
    group = app.groups.get(known_form(group_id))
    if group is None:
        raise Refused(codes.GROUP_UNKNOWN)
    return group


def _told(app: App, group: Group, user_id: str, wanted: Filter | None) -> Info:
    if wanted is None:
        return Info(GroupId=group.group_id)
    info = described(app, group, wanted.GroupBaseInfoFilter)
    info.ErrorCode = info.ErrorInfo = msgspec.UNSET
    if wanted.SelfInfoFilter is not None:
        info.SelfInfo = described_self(group.members[user_id], wanted.SelfInfoFilter)
    return info

"""The service `group_open_http_svc`: groups (1047/34895 and the pages beside it). Their members stand in `members`."""

import re
from itertools import islice
from typing import Annotated, Any, Final

import msgspec

from mock_im_server.domain import groups
from mock_im_server.domain.groups import ADMIN_ROLE, MEMBER, Group
from mock_im_server.service import App, NewGroup, Origin
from mock_im_server.transport.rest.command import DONE, Answer, Command, Refused, nests_too_deep
from mock_im_server.transport.rest.described import MEMBERS_TOLD_MAX, Info, described, described_member
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

NAME_BYTES_MAX: Final = 30
INTRODUCTION_BYTES_MAX: Final = 240
NOTIFICATION_BYTES_MAX: Final = 300
FACE_URL_BYTES_MAX: Final = 100
FIRST_MEMBERS_MAX: Final = 100

IMPORTED_MEMBERS_MAX: Final = 6_000
LISTED_MAX: Final = 10_000
ASKED_MAX: Final = 50

SWITCHES: Final = frozenset({"On", "Off"})
JOIN_OPTIONS: Final = frozenset({"FreeAccess", "NeedPermission", "DisableApply"})

_GROUP_ID: Final = re.compile(r"[\x21-\x7e]{1,48}", re.ASCII)
_OWN_PREFIX: Final = "@TGS#"
"""GroupIds that begin so are the server's; only a community's own must begin with `@TGS#_`."""
_COMMUNITY_PREFIX: Final = "@TGS#_"

Int32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
"""Since 1970."""


class Pair(msgspec.Struct):
    """A field of the app's own."""

    Key: str
    Value: Any = None


class FirstMember(msgspec.Struct):
    """A member from the beginning; the only role to give is `Admin`."""

    Member_Account: str
    Role: str | None = None
    AppMemberDefinedData: list[Pair] | None = None


class Details(msgspec.Struct, kw_only=True):
    """What a group says of itself."""

    Name: str | None = None
    Introduction: str | None = None
    Notification: str | None = None
    FaceUrl: str | None = None
    ApplyJoinOption: str | None = None
    AppDefinedData: list[Pair] | None = None


class Create(Details, kw_only=True):
    """Body of `create_group`."""

    Type: str | None = None
    Owner_Account: str | None = None
    GroupId: str | None = None
    MaxMemberCount: Int32 | None = None
    MemberList: list[FirstMember] | None = None
    SupportTopic: int | None = None


class Created(Answer, kw_only=True):
    """Answer of `create_group` and `import_group`."""

    GroupId: str


class OfGroup(msgspec.Struct):
    """Body of a command that only needs to know which group."""

    GroupId: str | None = None


class Import(Create, kw_only=True):
    """Body of `import_group`."""

    CreateTime: Seconds | None = None


class List(msgspec.Struct):
    """Body of `get_appid_group_list`; clients also write `Type` for `GroupType` and `Offset` for `Next`."""

    Limit: int | None = None
    Next: int | None = None
    Offset: int | None = None
    GroupType: str | None = None
    Type: str | None = None


class Named(msgspec.Struct):
    """A group by its id."""

    GroupId: str


class Listed(Answer, kw_only=True):
    """Answer of `get_appid_group_list`; `Next` 0 is the end."""

    TotalCount: int
    GroupIdList: list[Named]
    Next: int


class Filter(msgspec.Struct):
    """Which fields are wanted; without a list all of its kind."""

    GroupBaseInfoFilter: list[str] | None = None
    MemberInfoFilter: list[str] | None = None
    SelfInfoFilter: list[str] | None = None


class AskInfo(msgspec.Struct):
    """Body of `get_group_info`."""

    GroupIdList: list[str] | None = None
    ResponseFilter: Filter | None = None


class Infos(Answer, kw_only=True):
    """Answer of `get_group_info`."""

    GroupInfo: list[Info]


class Modify(Details, kw_only=True):
    """Body of `modify_group_base_info`."""

    GroupId: str | None = None
    MaxMemberNum: Int32 | None = None
    MaxMemberCount: Int32 | None = None
    MuteAllMember: str | None = None


class ChangeOwner(msgspec.Struct):
    """Body of `change_group_owner`."""

    GroupId: str | None = None
    NewOwner_Account: str | None = None


async def _create(app: App, origin: Origin, body: Create) -> Answer:
    """Make a group."""
    return await made(app, whole_wish(app, body), origin)


async def _destroy(app: App, origin: Origin, body: OfGroup) -> Answer:
    """End a group."""
    code = await app.groups.destroy(known_form(body.GroupId), origin)
    if code:
        raise Refused(code)
    return DONE


async def _import(app: App, origin: Origin, body: Import) -> Answer:
    """Make a group that existed elsewhere before; no webhook hears of it."""
    wish = wished(app, body)
    if wish.type == groups.LIVE:
        raise Refused(codes.NOT_ALLOWED)
    if (body.MaxMemberCount or 0) > IMPORTED_MEMBERS_MAX:
        raise Refused(codes.BAD_PARAMETER)
    return await made(app, wish._replace(is_imported=True, created_s=body.CreateTime or None), origin)


async def _list(app: App, _origin: Origin, body: List) -> Answer:
    """The GroupIds of the app, of all groups or of a type, page by page."""
    wanted = body.GroupType or body.Type
    if wanted and wanted not in groups.TYPES:
        raise Refused(codes.BAD_PARAMETER)
    group_type = groups.TYPES[wanted] if wanted else ""
    limit = LISTED_MAX if body.Limit is None else body.Limit
    if not 0 < limit <= LISTED_MAX:
        raise Refused(codes.BAD_PARAMETER)
    # A group's number is the place to go on from: unlike a position it stays right while groups come and go.
    after = body.Next or body.Offset or 0
    found = [group for group in app.groups.all() if not group_type or group.type == group_type]
    rest = sorted((group for group in found if group.number > after), key=_number)[: limit + 1]
    return Listed(
        TotalCount=len(found),
        GroupIdList=[Named(group.group_id) for group in rest[:limit]],
        Next=rest[limit - 1].number if len(rest) > limit else 0,
    )


async def _info(app: App, _origin: Origin, body: AskInfo) -> Answer:
    """What up to 50 groups say of themselves, and their members; each has a code of its own."""
    group_ids = body.GroupIdList
    if not group_ids or len(group_ids) > ASKED_MAX:
        raise Refused(codes.BAD_PARAMETER)
    return Infos(GroupInfo=[_info_of(app, group_id, body.ResponseFilter or Filter()) for group_id in group_ids])


async def _modify(app: App, origin: Origin, body: Modify) -> Answer:
    """Change what a group says of itself, or how many members it may have."""
    group_id = known_form(body.GroupId)
    details = checked_details(body)
    if body.MuteAllMember:
        if body.MuteAllMember not in SWITCHES:
            raise Refused(codes.BAD_PARAMETER)
        details["MuteAllMember"] = body.MuteAllMember
    code = await app.groups.change(
        group_id, details, max_members=body.MaxMemberNum or body.MaxMemberCount or None, origin=origin
    )
    if code:
        raise Refused(code)
    return DONE


async def _change_owner(app: App, origin: Origin, body: ChangeOwner) -> Answer:
    """Hand a group over to one of its members; a live group keeps its owner."""
    group_id = known_form(body.GroupId)
    if not is_user_id(body.NewOwner_Account):
        raise Refused(codes.BAD_PARAMETER)
    code = await app.groups.change_owner(group_id, body.NewOwner_Account, origin)
    if code:
        raise Refused(code)
    return DONE


_BAD: Final = codes.BAD_PARAMETER
COMMANDS: Final = (
    Command("group_open_http_svc/create_group", Create, _create, _BAD, Created),
    Command("group_open_http_svc/destroy_group", OfGroup, _destroy, _BAD),
    Command("group_open_http_svc/import_group", Import, _import, _BAD, Created),
    Command("group_open_http_svc/get_appid_group_list", List, _list, _BAD, Listed),
    Command("group_open_http_svc/get_group_info", AskInfo, _info, _BAD, Infos),
    Command("group_open_http_svc/modify_group_base_info", Modify, _modify, _BAD),
    Command("group_open_http_svc/change_group_owner", ChangeOwner, _change_owner, _BAD),
)


def known_form(group_id: str | None) -> str:
    """A GroupId that could be one. Raises Refused."""
    if not group_id:
        raise Refused(codes.BAD_PARAMETER)
    if not _GROUP_ID.fullmatch(group_id):
        raise Refused(codes.BAD_GROUP_ID)
    return group_id


def wished(app: App, body: Create) -> NewGroup:
    """The group that is asked for, without members. Raises Refused."""
    group_type = groups.TYPES.get(body.Type or "")
    if group_type is None or not body.Name:
        raise Refused(codes.BAD_PARAMETER)
    if group_type == groups.COMMUNITY and not app.plan.communities:
        raise Refused(codes.NO_COMMUNITIES)
    if body.GroupId and not _may_be_chosen(body.GroupId, group_type):
        raise Refused(codes.BAD_PARAMETER)
    owner = body.Owner_Account or ""
    if owner and not is_user_id(owner):
        raise Refused(codes.BAD_PARAMETER)
    return NewGroup(
        body.GroupId or "", group_type, owner, max_members=body.MaxMemberCount or None, details=checked_details(body)
    )


def whole_wish(app: App, body: Create) -> NewGroup:
    """The group that is asked for. Raises Refused."""
    wish = wished(app, body)
    if not body.MemberList:
        return wish
    members = tuple((member.Member_Account, role_of(member.Role)) for member in body.MemberList)
    if len(members) > FIRST_MEMBERS_MAX:
        raise Refused(codes.TOO_MANY_MEMBERS)
    if wish.type == groups.LIVE:
        raise Refused(codes.NOT_ALLOWED)
    if not all(is_user_id(user_id) for user_id, _ in members):
        raise Refused(codes.BAD_PARAMETER)
    return wish._replace(members=members)


async def made(app: App, wish: NewGroup, origin: Origin) -> Answer:
    code, group_id = await app.groups.create(wish, origin)
    if code:
        raise Refused(code)
    return Created(GroupId=group_id)


def checked_details(body: Details) -> dict[str, Any]:
    """Those that are given. Raises Refused."""
    limits = (
        ("Name", body.Name, NAME_BYTES_MAX, "group name is too long"),
        ("Introduction", body.Introduction, INTRODUCTION_BYTES_MAX, "introduction is too long"),
        ("Notification", body.Notification, NOTIFICATION_BYTES_MAX, "notification is too long"),
        ("FaceUrl", body.FaceUrl, FACE_URL_BYTES_MAX, "face url is too long"),
    )
    details: dict[str, Any] = {}
    for name, value, bytes_max, text in limits:
        if value:
            if len(value.encode()) > bytes_max:
                raise Refused(codes.BAD_PARAMETER, text)
            details[name] = value
    if body.ApplyJoinOption:
        if body.ApplyJoinOption not in JOIN_OPTIONS:
            raise Refused(codes.BAD_PARAMETER)
        details["ApplyJoinOption"] = body.ApplyJoinOption
    if body.AppDefinedData:
        if any(nests_too_deep(pair.Value) for pair in body.AppDefinedData):
            raise Refused(codes.BAD_PARAMETER)
        details["AppDefinedData"] = msgspec.to_builtins(body.AppDefinedData)
    return details


def _info_of(app: App, group_id: str, wanted: Filter) -> Info:
    group = app.groups.get(group_id)
    if group is None:
        code = codes.GROUP_UNKNOWN if _GROUP_ID.fullmatch(group_id) else codes.BAD_GROUP_ID
        return Info(GroupId=group_id, ErrorCode=code, ErrorInfo=codes.TEXTS[code])
    info = described(app, group, wanted.GroupBaseInfoFilter)
    if group.type != groups.LIVE:
        info.MemberList = [
            described_member(user_id, member, wanted.MemberInfoFilter)
            for user_id, member in islice(group.members.items(), MEMBERS_TOLD_MAX)
        ]
    return info


def _number(group: Group) -> int:
    return group.number


def _may_be_chosen(group_id: str, group_type: str) -> bool:
    is_ours = group_id.startswith(_OWN_PREFIX)
    if group_type == groups.COMMUNITY:
        return bool(_GROUP_ID.fullmatch(group_id)) and group_id.startswith(_COMMUNITY_PREFIX)
    return bool(_GROUP_ID.fullmatch(group_id)) and not is_ours


def role_of(role: str | None) -> str:
    return ADMIN_ROLE if role == ADMIN_ROLE else MEMBER

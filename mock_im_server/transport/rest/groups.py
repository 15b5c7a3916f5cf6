"""The service `group_open_http_svc`: groups (1047/34895 and the pages beside it). Their members stand in `members`."""

import re
from typing import Annotated, Any, Final

import msgspec

from mock_im_server.domain import groups
from mock_im_server.domain.groups import ADMIN_ROLE, MEMBER
from mock_im_server.service import App, NewGroup, Origin
from mock_im_server.transport.rest.command import DONE, Answer, Command, Refused
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

NAME_BYTES_MAX: Final = 30
INTRODUCTION_BYTES_MAX: Final = 240
NOTIFICATION_BYTES_MAX: Final = 300
FACE_URL_BYTES_MAX: Final = 100
FIRST_MEMBERS_MAX: Final = 100

JOIN_OPTIONS: Final = frozenset({"FreeAccess", "NeedPermission", "DisableApply"})

_GROUP_ID: Final = re.compile(r"[\x21-\x7e]{1,48}", re.ASCII)
_OWN_PREFIX: Final = "@TGS#"
"""GroupIds that begin so are the server's; only a community's own must begin with `@TGS#_`."""
_COMMUNITY_PREFIX: Final = "@TGS#_"

Int32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]


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


async def _create(app: App, origin: Origin, body: Create) -> Answer:
    """Make a group."""
    wish = wished(app, body)
    members = tuple((member.Member_Account, _role(member.Role)) for member in body.MemberList or ())
    if len(members) > FIRST_MEMBERS_MAX:
        raise Refused(codes.TOO_MANY_MEMBERS)
    if members and wish.type == groups.LIVE:
        raise Refused(codes.NOT_ALLOWED)
    if not all(is_user_id(user_id) for user_id, _ in members):
        raise Refused(codes.BAD_PARAMETER)
    return await made(app, wish._replace(members=members), origin)


async def _destroy(app: App, origin: Origin, body: OfGroup) -> Answer:
    """End a group."""
    code = await app.groups.destroy(known_form(body.GroupId), origin)
    if code:
        raise Refused(code)
    return DONE


COMMANDS: Final = (
    Command("group_open_http_svc/create_group", Create, _create, codes.BAD_PARAMETER, Created),
    Command("group_open_http_svc/destroy_group", OfGroup, _destroy, codes.BAD_PARAMETER),
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
        details["AppDefinedData"] = msgspec.to_builtins(body.AppDefinedData)
    return details


def _may_be_chosen(group_id: str, group_type: str) -> bool:
    is_ours = group_id.startswith(_OWN_PREFIX)
    if group_type == groups.COMMUNITY:
        return bool(_GROUP_ID.fullmatch(group_id)) and group_id.startswith(_COMMUNITY_PREFIX)
    return bool(_GROUP_ID.fullmatch(group_id)) and not is_ours


def _role(role: str | None) -> str:
    return ADMIN_ROLE if role == ADMIN_ROLE else MEMBER

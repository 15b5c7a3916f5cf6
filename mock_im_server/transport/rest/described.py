"""Groups and their members as the vendor's answers describe them, all fields or those that were asked for."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from mock_im_server.domain import groups
from mock_im_server.domain.groups import Group, Member
from mock_im_server.service import App

MEMBERS_TOLD_MAX: Final = 6_000
"""As many as the vendor lets a group other than a community have."""

_OLDER_NAMES: Final = {"ShutUpAllMember": "MuteAllMember", "ShutUpUntil": "MuteUntil"}
"""Told under these only to who asks for them."""


class MemberInfo(msgspec.Struct, kw_only=True):
    """A member; times are in Unix seconds."""

    Member_Account: str
    Role: str | UnsetType = UNSET
    JoinTime: int | UnsetType = UNSET
    MsgSeq: int | UnsetType = UNSET
    MsgFlag: str | UnsetType = UNSET
    LastSendMsgTime: int | UnsetType = UNSET
    MuteUntil: int | UnsetType = UNSET
    ShutUpUntil: int | UnsetType = UNSET
    NameCard: str | UnsetType = UNSET


class OwnInfo(msgspec.Struct, kw_only=True):
    """What a group is to the member who asks."""

    Role: str | UnsetType = UNSET
    JoinTime: int | UnsetType = UNSET
    MsgSeq: int | UnsetType = UNSET
    MsgFlag: str | UnsetType = UNSET
    UnreadMsgNum: int | UnsetType = UNSET


class Info(msgspec.Struct, kw_only=True):
    """A group; times are in Unix seconds, `MaxMemberNum` 0 means that there is no limit."""

    GroupId: str
    ErrorCode: int | UnsetType = UNSET
    ErrorInfo: str | UnsetType = UNSET
    Type: str | UnsetType = UNSET
    Name: str | UnsetType = UNSET
    Appid: int | UnsetType = UNSET
    Introduction: str | UnsetType = UNSET
    Notification: str | UnsetType = UNSET
    FaceUrl: str | UnsetType = UNSET
    Owner_Account: str | UnsetType = UNSET
    CreateTime: int | UnsetType = UNSET
    InfoSeq: int | UnsetType = UNSET
    LastInfoTime: int | UnsetType = UNSET
    LastMsgTime: int | UnsetType = UNSET
    NextMsgSeq: int | UnsetType = UNSET
    MemberNum: int | UnsetType = UNSET
    MaxMemberNum: int | UnsetType = UNSET
    ApplyJoinOption: str | UnsetType = UNSET
    MuteAllMember: str | UnsetType = UNSET
    ShutUpAllMember: str | UnsetType = UNSET
    AppDefinedData: list[dict[str, Any]] | UnsetType = UNSET
    MemberList: list[MemberInfo] | UnsetType = UNSET
    SelfInfo: OwnInfo | UnsetType = UNSET


def described(app: App, group: Group, wanted: Sequence[str] | None) -> Info:
    """All fields but the members, or those that are wanted."""
    most = groups.members_max(app.plan, group.type)
    limits = [limit for limit in (most, group.max_members) if limit is not None]
    details = group.details
    fields = {
        "Type": group.type,
        "Name": details.get("Name", ""),
        "Appid": app.settings.sdkappid,
        "Introduction": details.get("Introduction", ""),
        "Notification": details.get("Notification", ""),
        "FaceUrl": details.get("FaceUrl", ""),
        "Owner_Account": group.owner,
        "CreateTime": group.created_s,
        "InfoSeq": 1,
        "LastInfoTime": group.last_info_s,
        "LastMsgTime": group.last_msg_s,
        "NextMsgSeq": group.next_msg_seq,
        "MemberNum": len(group.members),
        "MaxMemberNum": 0 if group.type == groups.LIVE else min(limits, default=0),
        "ApplyJoinOption": groups.join_option(group),
        "MuteAllMember": details.get("MuteAllMember", "Off"),
        "AppDefinedData": details.get("AppDefinedData", []),
    }
    return Info(GroupId=group.group_id, ErrorCode=0, ErrorInfo="", **_chosen(fields, wanted))


def described_member(user_id: str, member: Member, wanted: Sequence[str] | None) -> MemberInfo:
    fields = {
        "Role": member.role,
        "JoinTime": member.joined_s,
        "MsgSeq": 0,
        "MsgFlag": "AcceptAndNotify",
        "LastSendMsgTime": 0,
        "MuteUntil": 0,
        "NameCard": "",
    }
    return MemberInfo(Member_Account=user_id, **_chosen(fields, wanted))


def described_self(member: Member, wanted: Sequence[str] | None) -> OwnInfo:
    fields = {
        "Role": member.role,
        "JoinTime": member.joined_s,
        "MsgSeq": 0,
        "MsgFlag": "AcceptAndNotify",
        "UnreadMsgNum": 0,
    }
    return OwnInfo(**_chosen(fields, wanted))


def _chosen(fields: dict[str, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    if wanted is None:
        return fields
    found = ((name, _OLDER_NAMES.get(name, name)) for name in wanted)
    return {name: fields[known] for name, known in found if known in fields}

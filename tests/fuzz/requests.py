"""Requests that are right, to be put wrong: bodies of all commands, and what they speak of."""

from typing import Any

from tests.serving import Server, type_json

GROUPS = "group_open_http_svc"
_ELEMENT = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}
_MEMBERS = [{"Member_Account": "bob", "Role": "Admin", "JoinTime": 1_600_000_000}]
_DETAILS = {
    "Name": "a room",
    "Introduction": "i",
    "Notification": "n",
    "FaceUrl": "f",
    "ApplyJoinOption": "FreeAccess",
    "AppDefinedData": [{"Key": "k", "Value": {"a": [1, "x", None]}}],
}
_FILTER = {"GroupBaseInfoFilter": ["Name"], "MemberInfoFilter": ["Role"], "SelfInfoFilter": ["Role"]}

BODIES: dict[str, type_json] = {
    "im_open_login_svc/account_import": {"UserID": "carol", "Identifier": "carol", "Nick": "c", "FaceUrl": "f"},
    "im_open_login_svc/multiaccount_import": {"Accounts": ["carol", "dave"]},
    "im_open_login_svc/account_delete": {"DeleteItem": [{"UserID": "carol"}]},
    "im_open_login_svc/account_check": {"CheckItem": [{"UserID": "alice"}, {"UserID": "nobody"}]},
    "im_open_login_svc/kick": {"UserID": "bob", "Identifier": "bob"},
    "openim/query_online_status": {"To_Account": ["alice", "nobody"], "IsNeedDetail": 1},
    "openim/querystate": {"To_Account": ["alice"], "IsNeedDetail": 1},
    "openim/sendmsg": {
        "From_Account": "bob",
        "To_Account": "alice",
        "MsgSeq": 1,
        "MsgRandom": 2,
        "MsgLifeTime": 3,
        "SyncOtherMachine": 1,
        "MsgBody": [_ELEMENT],
        "CloudCustomData": "x",
    },
    "openim/batchsendmsg": {"From_Account": "bob", "To_Account": ["alice", "nobody"], "MsgRandom": 2,
        "MsgBody": [_ELEMENT]},
    "profile/portrait_set": {
        "From_Account": "alice",
        "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": "a"}, {"Tag": "Tag_Profile_IM_Level", "Value": 1}],
    },
    "profile/portrait_get": {"To_Account": ["alice", "nobody"], "TagList": ["Tag_Profile_IM_Nick"]},
    f"{GROUPS}/create_group": {
        "Type": "Public",
        "Owner_Account": "alice",
        "GroupId": "fresh",
        "MaxMemberCount": 10,
        "MemberList": _MEMBERS,
        "SupportTopic": 0,
        **_DETAILS,
    },
    f"{GROUPS}/import_group": {"Type": "Work", "Owner_Account": "alice", "GroupId": "old",
        "CreateTime": 1_500_000_000, **_DETAILS},
    f"{GROUPS}/destroy_group": {"GroupId": "fresh"},
    f"{GROUPS}/get_appid_group_list": {"Limit": 2, "Next": 0, "Offset": 0, "GroupType": "Public", "Type": "Public"},
    f"{GROUPS}/get_group_info": {"GroupIdList": ["room", "live", "none"], "ResponseFilter": _FILTER},
    f"{GROUPS}/get_group_public_info": {"GroupIdList": ["room"]},
    f"{GROUPS}/get_group_self_member_info": {"GroupIdList": ["room", "live"], "ResponseFilter": _FILTER},
    f"{GROUPS}/modify_group_base_info": {"GroupId": "room", "MaxMemberNum": 20, "MaxMemberCount": 20,
        "MuteAllMember": "On", **_DETAILS},
    f"{GROUPS}/change_group_owner": {"GroupId": "room", "NewOwner_Account": "alice"},
    f"{GROUPS}/add_group_member": {"GroupId": "room", "MemberList": _MEMBERS},
    f"{GROUPS}/import_group_member": {"GroupId": "room", "MemberList": _MEMBERS},
    f"{GROUPS}/delete_group_member": {"GroupId": "room", "MemberToDel_Account": ["bob"]},
    f"{GROUPS}/get_group_member_info": {"GroupId": "room", "Limit": 2, "Offset": 0, "Next": "0",
        "MemberInfoFilter": ["Role"], "MemberRoleFilter": ["Owner"]},
    f"{GROUPS}/get_joined_group_list": {"Member_Account": "alice", "Limit": 2, "Offset": 0, "GroupType": "Public",
        "Type": "Public", "WithHugeGroups": 1, "ResponseFilter": _FILTER},
    f"{GROUPS}/get_online_member_num": {"GroupId": "live"},
    f"{GROUPS}/send_group_msg": {"GroupId": "room", "Random": 1, "MsgBody": [_ELEMENT], "From_Account": "alice",
        "MsgPriority": "High", "OnlineOnlyFlag": 1, "CloudCustomData": "x", "To_Account": ["bob"]},
    f"{GROUPS}/apply_join_group": {"GroupId": "live"},
    f"{GROUPS}/quit_group": {"GroupId": "live"},
    "openconfigsvr/getappinfo": {"RequestField": ["AppName", "LoginTimes"]},
}  # fmt: skip


async def prepare(server: Server) -> None:
    """Alice and Bob, Alice's group `room`, and the live group `live`."""
    for user_id in ("alice", "bob"):
        assert await server.import_account(user_id) == 0
    for group_id, kind in (("room", "Public"), ("live", "AVChatRoom")):
        body: dict[str, Any] = {"Type": kind, "Name": group_id, "GroupId": group_id, "Owner_Account": "alice"}
        assert (await server.rest(f"{GROUPS}/create_group", body))["ErrorCode"] == 0

"""`group_open_http_svc`: groups."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.serving import Server, a_server, some_settings

CREATE = "group_open_http_svc/create_group"
DESTROY = "group_open_http_svc/destroy_group"


@asynccontextmanager
async def with_users(*user_ids: str, plan: str = "pro") -> AsyncIterator[Server]:
    async with a_server(some_settings(plan=plan)) as server:
        for user_id in user_ids:
            assert await server.import_account(user_id) == 0
        yield server


async def created(server: Server, group_id: str = "", **body: object) -> int:
    body = {"Type": "AVChatRoom", "Name": "a room", "GroupId": group_id, **body}
    return int((await server.rest(CREATE, body))["ErrorCode"])


@pytest.mark.holds("F5", "10036")
async def test_live_groups_are_counted_net() -> None:
    async with a_server() as server:
        codes = [await created(server, f"room{number}") for number in range(51)]
        assert codes == [0] * 50 + [10036]
        for number in range(3):
            answer = await server.rest(DESTROY, {"GroupId": f"room{number}"})
            assert answer == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
        assert [await created(server, f"again{number}") for number in range(4)] == [0, 0, 0, 10036]


async def test_the_server_names_a_group_that_has_no_name() -> None:
    async with with_users("alice") as server:
        answer = await server.rest(CREATE, {"Type": "Public", "Name": "g", "Owner_Account": "alice", "GroupId": None})
        assert answer["ErrorCode"] == 0
        assert answer["GroupId"].startswith("@TGS#")


@pytest.mark.holds("lengths", "group-types", "10004", "10005", "10007", "10019", "11000")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"Type": "Work"}, 0),
        ({"Type": "Meeting"}, 0),
        ({"Type": None}, 10004),
        ({"Type": "avchatroom"}, 10004),
        ({"Type": "BChatRoom"}, 10004),
        ({"Type": 7}, 10004),
        ({"Name": ""}, 10004),
        ({"Name": "n" * 30}, 0),
        ({"Name": "n" * 31}, 10004),
        ({"Name": "é" * 16}, 10004),
        ({"Introduction": "i" * 241}, 10004),
        ({"Notification": "n" * 301}, 10004),
        ({"FaceUrl": "f" * 101}, 10004),
        ({"ApplyJoinOption": "FreeAccess", "MaxMemberCount": 500}, 0),
        ({"ApplyJoinOption": "Maybe"}, 10004),
        ({"MaxMemberCount": "20"}, 0),
        ({"MaxMemberCount": -1}, 10004),
        ({"MaxMemberCount": 1 << 70}, 10004),
        ({"GroupId": "g" * 48}, 0),
        ({"GroupId": "g" * 49}, 10004),
        ({"GroupId": "a b"}, 10004),
        ({"GroupId": "gé"}, 10004),
        ({"GroupId": "@TGS#mine"}, 10004),
        ({"Owner_Account": "nobody"}, 10019),
        ({"Owner_Account": "not a UserID"}, 10004),
        ({"Owner_Account": ""}, 0),
        ({"MemberList": [{"Member_Account": "alice"}]}, 10007),
        ({"Type": "Public", "MemberList": [{"Member_Account": "alice", "Role": "Admin"}]}, 0),
        ({"Type": "Public", "MemberList": [{"Member_Account": "nobody"}]}, 10019),
        ({"Type": "Public", "MemberList": [{}]}, 10004),
        ({"Type": "Public", "MemberList": [None]}, 10004),
        ({"Type": "Public", "MemberList": [{"Member_Account": "alice"}] * 101}, 10005),
        ({"Type": "Community"}, 11000),
    ],
)
async def test_what_a_group_may_look_like(body: dict[str, object], code: int) -> None:
    async with with_users("alice") as server:
        assert await created(server, **body) == code


@pytest.mark.holds("10021", "10025")
async def test_a_group_id_is_taken_once() -> None:
    async with with_users("alice", "bob") as server:
        assert await created(server, "room", Owner_Account="alice") == 0
        assert await created(server, "room", Owner_Account="alice") == 10025
        assert await created(server, "room", Owner_Account="bob") == 10021


@pytest.mark.holds("10010", "10015")
@pytest.mark.parametrize(("group_id", "code"), [("nothing", 10010), ("", 10004), (None, 10004), ("a b", 10015)])
async def test_what_cannot_be_destroyed(group_id: str | None, code: int) -> None:
    async with a_server() as server:
        assert (await server.rest(DESTROY, {"GroupId": group_id}))["ErrorCode"] == code


SERVICE = "group_open_http_svc/"


@pytest.mark.holds("lenient")
async def test_all_groups_are_listed_page_by_page() -> None:
    async with a_server() as server:
        for number in range(5):
            assert await created(server, f"room{number}", Type="AVChatRoom" if number % 2 else "Public") == 0
        # One that comes back under its old number is no trouble to the order.
        await server.rest(DESTROY, {"GroupId": "room0"})
        assert await created(server, "room0", Type="Public") == 0
        listed, following = [], 0
        while True:
            page = await server.rest(SERVICE + "get_appid_group_list", {"Limit": 2, "Next": following})
            assert page["TotalCount"] == 5
            listed += [group["GroupId"] for group in page["GroupIdList"]]
            following = page["Next"]
            if not following:
                break
        assert listed == [f"room{number}" for number in range(5)]
        for name in ("GroupType", "Type"):
            page = await server.rest(SERVICE + "get_appid_group_list", {name: "AVChatRoom"})
            assert (page["TotalCount"], len(page["GroupIdList"]), page["Next"]) == (2, 2, 0)


@pytest.mark.holds("batches")
@pytest.mark.parametrize("body", [{"Limit": 0}, {"Limit": 10_001}, {"GroupType": "Party"}, {"Next": "x"}])
async def test_a_list_that_cannot_be(body: dict[str, object]) -> None:
    async with a_server() as server:
        assert (await server.rest(SERVICE + "get_appid_group_list", body))["ErrorCode"] == 10004


async def test_what_a_group_says_of_itself() -> None:
    async with with_users("alice", "bob") as server:
        details = {"Introduction": "i", "Notification": "n", "FaceUrl": "f", "ApplyJoinOption": "FreeAccess"}
        own = [{"Key": "k", "Value": "v"}]
        members = [{"Member_Account": "bob", "Role": "Admin"}]
        group = {"Type": "Public", "Owner_Account": "alice", "AppDefinedData": own, "MemberList": members} | details
        assert await created(server, "room", **group) == 0
        answer = await server.rest(SERVICE + "get_group_info", {"GroupIdList": ["room", "nothing", "a b"]})
        info, unknown, impossible = answer["GroupInfo"]
        now_s = server.app.now_ms() // 1_000
        times = {"CreateTime": now_s, "LastInfoTime": now_s, "LastMsgTime": 0, "NextMsgSeq": 1, "InfoSeq": 1}
        member = {"MsgSeq": 0, "MsgFlag": "AcceptAndNotify", "LastSendMsgTime": 0, "MuteUntil": 0, "NameCard": ""}
        assert info == details | times | {
            "GroupId": "room",
            "ErrorCode": 0,
            "ErrorInfo": "",
            "Type": "Public",
            "Name": "a room",
            "Appid": 1_400_000_001,
            "Owner_Account": "alice",
            "MemberNum": 2,
            "MaxMemberNum": 200,
            "MuteAllMember": "Off",
            "AppDefinedData": own,
            "MemberList": [
                {"Member_Account": "alice", "Role": "Owner", "JoinTime": now_s} | member,
                {"Member_Account": "bob", "Role": "Admin", "JoinTime": now_s} | member,
            ],
        }
        assert (unknown["GroupId"], unknown["ErrorCode"]) == ("nothing", 10010)
        assert (impossible["GroupId"], impossible["ErrorCode"]) == ("a b", 10015)


async def test_only_what_is_asked_for_is_told() -> None:
    async with with_users("alice") as server:
        await created(server, "room", Type="Public", Owner_Account="alice")
        wanted = {"GroupBaseInfoFilter": ["ShutUpAllMember", "Wings"], "MemberInfoFilter": []}
        ask = {"GroupIdList": ["room"], "ResponseFilter": wanted}
        (info,) = (await server.rest(SERVICE + "get_group_info", ask))["GroupInfo"]
        assert info == {
            "GroupId": "room",
            "ErrorCode": 0,
            "ErrorInfo": "",
            "ShutUpAllMember": "Off",
            "MemberList": [{"Member_Account": "alice"}],
        }


@pytest.mark.holds("batches")
@pytest.mark.parametrize("ids", [None, [], ["g"] * 51, [7]])
async def test_groups_that_cannot_be_asked_for(ids: object) -> None:
    async with a_server() as server:
        assert (await server.rest(SERVICE + "get_group_info", {"GroupIdList": ids}))["ErrorCode"] == 10004


async def test_a_group_changes() -> None:
    async with with_users("alice", "bob") as server:
        await created(server, "room", Type="Public", Owner_Account="alice", MemberList=[{"Member_Account": "bob"}])
        change = {"GroupId": "room", "Name": "new", "Introduction": None, "MaxMemberNum": 50, "MuteAllMember": "On"}
        assert (await server.rest(SERVICE + "modify_group_base_info", change))["ErrorCode"] == 0
        new_owner = {"GroupId": "room", "NewOwner_Account": "bob"}
        assert (await server.rest(SERVICE + "change_group_owner", new_owner))["ErrorCode"] == 0
        (info,) = (await server.rest(SERVICE + "get_group_info", {"GroupIdList": ["room"]}))["GroupInfo"]
        told = info["Name"], info["MaxMemberNum"], info["MuteAllMember"], info["Owner_Account"]
        assert told == ("new", 50, "On", "bob")
        assert [(member["Member_Account"], member["Role"]) for member in info["MemberList"]] == [
            ("alice", "Member"),
            ("bob", "Owner"),
        ]


@pytest.mark.parametrize(
    ("command", "body", "code"),
    [
        ("modify_group_base_info", {}, 10004),
        ("modify_group_base_info", {"GroupId": "nothing", "Name": "x"}, 10010),
        ("modify_group_base_info", {"GroupId": "room", "Name": "n" * 31}, 10004),
        ("modify_group_base_info", {"GroupId": "room", "MuteAllMember": "Maybe"}, 10004),
        ("change_group_owner", {"GroupId": "room"}, 10004),
        ("change_group_owner", {"GroupId": "nothing", "NewOwner_Account": "bob"}, 10010),
        ("change_group_owner", {"GroupId": "room", "NewOwner_Account": "bob"}, 10004),
    ],
)
async def test_what_cannot_be_changed(command: str, body: dict[str, object], code: int) -> None:
    async with with_users("alice", "bob") as server:
        await created(server, "room", Type="Public", Owner_Account="alice")
        assert (await server.rest(SERVICE + command, body))["ErrorCode"] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"Type": "Public", "CreateTime": 1_400_000_000}, 0),
        ({"Type": "Public", "MaxMemberCount": 6_001}, 10004),
        ({"Type": "Public", "CreateTime": -1}, 10004),
        ({"Type": "AVChatRoom"}, 10007),
    ],
)
async def test_groups_from_elsewhere(body: dict[str, object], code: int) -> None:
    async with a_server() as server:
        body = {"Name": "old", "GroupId": "room", **body}
        assert (await server.rest(SERVICE + "import_group", body))["ErrorCode"] == code
        if not code:
            wanted = {"GroupIdList": ["room"], "ResponseFilter": {"GroupBaseInfoFilter": ["CreateTime"]}}
            (info,) = (await server.rest(SERVICE + "get_group_info", wanted))["GroupInfo"]
            assert info["CreateTime"] == 1_400_000_000


@pytest.mark.holds("group-types")
async def test_communities_come_with_the_largest_plan_and_names_of_their_own() -> None:
    async with with_users(plan="ultimate") as server:
        codes = [await created(server, name, Type="Community") for name in ("", "@TGS#_mine", "mine")]
        assert codes == [0, 0, 10004]

"""`group_open_http_svc`: members and the groups of a user."""

from typing import Any

import pytest

from tests.serving import Server, a_server, at_ms, some_settings

SERVICE = "group_open_http_svc/"


async def call(server: Server, command: str, **body: object) -> dict[str, Any]:
    return await server.rest(SERVICE + command, body)


async def with_group(server: Server, *members: str, group_type: str = "Public", group_id: str = "room") -> None:
    for user_id in ("owner", *members):
        await server.import_account(user_id)
    answer = await call(
        server,
        "create_group",
        Type=group_type,
        Name="a group",
        GroupId=group_id,
        Owner_Account="owner",
        MemberList=[{"Member_Account": user_id} for user_id in members],
    )
    assert answer["ErrorCode"] == 0


async def add(server: Server, *user_ids: str, command: str = "add_group_member") -> dict[str, Any]:
    members = [{"Member_Account": user_id} for user_id in user_ids]
    return await call(server, command, GroupId="room", MemberList=members)


def results(answer: dict[str, Any]) -> list[int]:
    return [member["Result"] for member in answer["MemberList"]]


async def test_members_are_added_once() -> None:
    async with a_server() as server:
        await with_group(server, "alice")
        await server.import_account("bob")
        answer = await add(server, "alice", "bob", "nobody", "bob", "ä")
        assert (answer["ErrorCode"], results(answer)) == (0, [2, 1, 0, 2, 0])


async def test_a_call_that_adds_nobody_says_why() -> None:
    async with a_server() as server:
        await with_group(server)
        answer = await add(server, "nobody")
        assert (answer["ActionStatus"], answer["ErrorCode"], results(answer)) == ("FAIL", 10019, [0])


@pytest.mark.holds("members", "10038")
async def test_a_trials_group_takes_20_members() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        await with_group(server)
        users = [f"user{number}" for number in range(21)]
        for user_id in users:
            await server.import_account(user_id)
        assert results(await add(server, *users)) == [1] * 19 + [0] * 2
        assert (await add(server, users[20]))["ErrorCode"] == 10038


@pytest.mark.holds("10014")
async def test_a_groups_own_limit_is_10014() -> None:
    async with a_server() as server:
        await with_group(server)
        await server.import_account("alice")
        await call(server, "modify_group_base_info", GroupId="room", MaxMemberNum=1)
        assert (await add(server, "alice"))["ErrorCode"] == 10014


@pytest.mark.holds("live-by-rest", "10007", "10004")
@pytest.mark.parametrize(
    ("command", "body", "code"),
    [
        ("add_group_member", {"MemberList": [{"Member_Account": "a"}]}, 10007),
        ("import_group_member", {"MemberList": [{"Member_Account": "a"}]}, 10007),
        ("delete_group_member", {"MemberToDel_Account": ["a"]}, 10004),
        ("get_group_member_info", {}, 10007),
        ("change_group_owner", {"NewOwner_Account": "owner"}, 10007),
    ],
)
async def test_what_a_live_group_does_not_do(command: str, body: dict[str, object], code: int) -> None:
    async with a_server() as server:
        await with_group(server, group_type="AVChatRoom")
        assert (await call(server, command, GroupId="room", **body))["ErrorCode"] == code


@pytest.mark.holds("batches", "10005", "10009", "10019")
@pytest.mark.parametrize(
    ("command", "body", "code"),
    [
        ("add_group_member", {"GroupId": "nothing", "MemberList": [{"Member_Account": "a"}]}, 10010),
        ("add_group_member", {"GroupId": "room"}, 10004),
        ("add_group_member", {"GroupId": "room", "MemberList": [{"Member_Account": "a"}] * 301}, 10005),
        ("add_group_member", {"GroupId": "room", "MemberList": [{"Member_Account": None}]}, 10004),
        ("delete_group_member", {"GroupId": "room"}, 10004),
        ("delete_group_member", {"GroupId": "room", "MemberToDel_Account": ["a"] * 101}, 10005),
        ("delete_group_member", {"GroupId": "room", "MemberToDel_Account": ["nobody"]}, 0),
        ("delete_group_member", {"GroupId": "room", "MemberToDel_Account": ["owner"]}, 10009),
        ("get_group_member_info", {"GroupId": "room", "Limit": 0}, 10004),
        ("get_group_member_info", {"GroupId": "room", "Offset": -1}, 10004),
        ("get_joined_group_list", {}, 10004),
        ("get_joined_group_list", {"Member_Account": "nobody"}, 10019),
        ("get_joined_group_list", {"Member_Account": "owner", "Limit": 5_001}, 10004),
        ("get_joined_group_list", {"Member_Account": "owner", "Offset": -1}, 10004),
        ("get_joined_group_list", {"Member_Account": "owner", "GroupType": "Party"}, 10004),
        ("get_online_member_num", {"GroupId": "room"}, 10007),
        ("get_online_member_num", {}, 10004),
    ],
)
async def test_what_is_refused(command: str, body: dict[str, object], code: int) -> None:
    async with a_server() as server:
        await with_group(server)
        assert (await call(server, command, **body))["ErrorCode"] == code


async def test_who_is_removed_is_in_no_group() -> None:
    async with a_server() as server:
        await with_group(server, "alice", "bob")
        answer = await call(server, "delete_group_member", GroupId="room", MemberToDel_Account=["alice"])
        assert answer["ErrorCode"] == 0
        assert (await call(server, "get_joined_group_list", Member_Account="alice"))["TotalCount"] == 0
        info = await call(server, "get_group_member_info", GroupId="room")
        assert [member["Member_Account"] for member in info["MemberList"]] == ["owner", "bob"]


async def test_members_are_told_page_by_page() -> None:
    async with a_server() as server:
        await with_group(server, *[f"user{number}" for number in range(5)])
        told, following = [], ""
        while True:
            page = await call(server, "get_group_member_info", GroupId="room", Limit=2, Next=following)
            assert page["MemberNum"] == 6
            told += [(member["Member_Account"], member["Role"]) for member in page["MemberList"]]
            following = page["Next"]
            if not following:
                break
        assert told == [("owner", "Owner"), *[(f"user{number}", "Member") for number in range(5)]]
        page = await call(server, "get_group_member_info", GroupId="room", MemberRoleFilter=["Owner"])
        assert [member["Member_Account"] for member in page["MemberList"]] == ["owner"]


async def test_imported_members_keep_role_and_time() -> None:
    async with a_server() as server:
        await with_group(server)
        await server.import_account("alice")
        member = {"Member_Account": "alice", "Role": "Admin", "JoinTime": 1_400_000_000, "UnreadMsgNum": 5}
        answer = await call(server, "import_group_member", GroupId="room", MemberList=[member])
        assert results(answer) == [1]
        wanted = ["Role", "JoinTime", "ShutUpUntil"]
        info = await call(server, "get_group_member_info", GroupId="room", Offset=1, MemberInfoFilter=wanted)
        expected = {"Member_Account": "alice", "Role": "Admin", "JoinTime": 1_400_000_000, "ShutUpUntil": 0}
        assert info["MemberList"] == [expected]


async def test_live_groups_are_told_only_on_demand() -> None:
    async with a_server() as server:
        await with_group(server, group_id="public")
        await with_group(server, group_type="AVChatRoom", group_id="live")
        ask = {"Member_Account": "owner"}
        assert (await call(server, "get_joined_group_list", **ask))["GroupIdList"] == [{"GroupId": "public"}]
        found = await call(server, "get_joined_group_list", **ask, WithHugeGroups=1, Limit=1, Offset=1)
        assert (found["TotalCount"], found["GroupIdList"]) == (2, [{"GroupId": "live"}])
        found = await call(server, "get_joined_group_list", **ask, GroupType="AVChatRoom")
        assert found["GroupIdList"] == [{"GroupId": "live"}]
        wanted = {"GroupBaseInfoFilter": ["Type", "MemberNum"], "SelfInfoFilter": ["Role", "JoinTime"]}
        found = await call(server, "get_joined_group_list", **ask, ResponseFilter=wanted)
        assert found["GroupIdList"] == [
            {
                "GroupId": "public",
                "Type": "Public",
                "MemberNum": 1,
                "SelfInfo": {"Role": "Owner", "JoinTime": at_ms("2026-10-01") // 1_000},
            }
        ]


async def test_online_members_of_a_live_group_are_those_with_a_session() -> None:
    async with a_server() as server, server.connected() as wire:
        await with_group(server, group_type="AVChatRoom")
        assert (await call(server, "get_online_member_num", GroupId="room"))["OnlineMemberNum"] == 0
        await wire.login("owner")
        assert (await call(server, "get_online_member_num", GroupId="room"))["OnlineMemberNum"] == 1

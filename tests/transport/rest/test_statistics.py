"""`openconfigsvr/getappinfo`: what happened in the last thirty days."""

from pathlib import Path

import pytest

from mock_im_server.transport.rest.statistics import COUNTED, SUMS
from tests.serving import a_server, at_ms, some_settings

COMMAND = "openconfigsvr/getappinfo"
MEMBERS = "group_open_http_svc/get_group_member_info"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]


@pytest.mark.holds("statistics")
async def test_thirty_days_the_newest_first_all_strings() -> None:
    async with a_server(some_settings(start="2026-10-05")) as server:
        answer = await server.rest(COMMAND, {})
        assert (answer["ActionStatus"], answer["ErrorCode"], answer["ErrorInfo"]) == ("OK", 0, "OK")
        days = answer["Result"]
        assert [days[0]["Date"], days[4]["Date"], days[5]["Date"], len(days)] == [
            "20261005",
            "20261001",
            "20260930",
            30,
        ]
        assert all(isinstance(value, str) for day in days for value in day.values())
        assert set(days[0]) >= {*COUNTED, *SUMS, "ActiveUserNum", "LoginUserNum", "GroupAllGroupNum", "AppId", "Date"}


async def test_only_the_fields_that_are_asked_for_and_the_date() -> None:
    async with a_server() as server:
        answer = await server.rest(COMMAND, {"RequestField": ["LoginTimes", "Wings"]})
        assert answer["Result"][0] == {"LoginTimes": "0", "Date": "20261001"}


@pytest.mark.holds("130001")
@pytest.mark.parametrize("fields", ["LoginTimes", [7], {"a": 1}])
async def test_fields_of_another_form_are_130001(fields: object) -> None:
    async with a_server() as server:
        assert (await server.rest(COMMAND, {"RequestField": fields}))["ErrorCode"] == 130001


@pytest.mark.holds("statistics-users")
async def test_what_happens_is_counted_on_its_day() -> None:
    async with a_server(some_settings(plan="trial")) as server, server.connected() as wire:
        await wire.login("alice")
        await server.import_account("bob")
        await server.import_account("carol")
        for name in ("one", "two"):
            group = {"Type": "Public", "Name": name, "GroupId": name, "Owner_Account": "alice"}
            await server.rest("group_open_http_svc/create_group", group)
        await server.move_clock(at_ms("2026-10-02"))
        await wire.login("alice")
        await wire.login("alice")
        await server.rest("im_open_login_svc/account_delete", {"DeleteItem": [{"UserID": "carol"}]})
        await server.rest("group_open_http_svc/destroy_group", {"GroupId": "one"})
        member = {"GroupId": "two", "MemberList": [{"Member_Account": "bob"}]}
        await server.rest("group_open_http_svc/add_group_member", member)
        message = {"From_Account": "bob", "MsgBody": TEXT}
        await server.rest("openim/sendmsg", message | {"To_Account": "alice", "MsgRandom": 1})
        await server.rest("group_open_http_svc/send_group_msg", message | {"GroupId": "two", "Random": 1})
        today, yesterday = (await server.rest(COMMAND))["Result"][:2]
    expected = {
        "RegistUserNumOneDay": ("0", "3"),
        "RegistUserNumTotal": ("2", "3"),
        "LoginTimes": ("2", "1"),
        "LoginUserNum": ("1", "1"),
        "ActiveUserNum": ("1", "1"),
        "GroupNewGroupNum": ("0", "2"),
        "GroupDestroyGroupNum": ("1", "0"),
        "GroupAllGroupNum": ("1", "2"),
        "GroupJoinGroupTimes": ("1", "0"),
        "UpMsgNum": ("2", "0"),
        "DownMsgNum": ("2", "0"),
        "C2CUpMsgNum": ("1", "0"),
        "GroupUpMsgNum": ("1", "0"),
        "SendMsgUserNum": ("1", "0"),
        "GroupSendMsgGroupNum": ("1", "0"),
        "MaxOnlineNum": ("1", "1"),
    }
    assert {name: (today[name], yesterday[name]) for name in expected} == expected


async def test_figures_of_users_and_groups_outlive_a_restart(tmp_path: Path) -> None:
    settings = some_settings(plan="trial", data_dir=tmp_path)
    async with a_server(settings) as server, server.connected() as wire:
        await wire.login("alice")
        for user_id in ("bob", "carol"):
            await server.import_account(user_id)
        await server.rest("im_open_login_svc/account_delete", {"DeleteItem": [{"UserID": "carol"}]})
        group = {"Type": "Public", "Name": "g", "GroupId": "g", "Owner_Account": "alice"}
        await server.rest("group_open_http_svc/create_group", group)
        member = {"Member_Account": "bob", "Role": "Admin", "JoinTime": 1_400_000_000}
        await server.rest("group_open_http_svc/import_group_member", {"GroupId": "g", "MemberList": [member]})
        before = [await server.rest(COMMAND), await server.rest(MEMBERS, {"GroupId": "g"})]
    async with a_server(settings) as server:
        after = [await server.rest(COMMAND), await server.rest(MEMBERS, {"GroupId": "g"})]
    # Who is online ends with the process.
    for answer in (before[0], after[0]):
        answer["Result"][0].pop("MaxOnlineNum")
    assert after == before
    assert before[0]["Result"][0]["RegistUserNumOneDay"] == "3"

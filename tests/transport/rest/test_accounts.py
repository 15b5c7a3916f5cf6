"""`im_open_login_svc`: accounts."""

import pytest

from mock_im_server import journal as log
from tests.serving import a_server, some_settings

IMPORT = "im_open_login_svc/account_import"
IMPORT_MANY = "im_open_login_svc/multiaccount_import"
DELETE = "im_open_login_svc/account_delete"


@pytest.mark.holds("batches")
async def test_many_are_imported_at_once() -> None:
    async with a_server() as server:
        answer = await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(100)]})
        assert answer == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "FailAccounts": []}
        assert (await server.status())["accounts"] == 100


@pytest.mark.holds("batches", "70402")
@pytest.mark.parametrize(
    "accounts", [None, [], ["a"] * 101, ["alice", ""], ["alice", "b" * 33], ["alice", 7], "alice", {"alice": 1}]
)
async def test_a_list_of_accounts_that_is_none_is_70402(accounts: object) -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT_MANY, {"Accounts": accounts}))["ErrorCode"] == 70402
        assert (await server.status())["accounts"] == 0


@pytest.mark.holds("many-import", "70398")
async def test_the_first_that_fit_are_imported() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(60)]})
        answer = await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(50, 150)]})
        assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", 70398)
        assert answer["FailAccounts"] == [f"user{number}" for number in range(100, 150)]
        assert (await server.status())["accounts"] == 100


@pytest.mark.holds("F3", "70107")
async def test_a_deleted_account_frees_its_place() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(100)]})
        assert await server.import_account("late") == 70398
        answer = await server.rest(DELETE, {"DeleteItem": [{"UserID": "user7"}, {"UserID": "nobody"}]})
        assert answer == {
            "ActionStatus": "OK",
            "ErrorInfo": "",
            "ErrorCode": 0,
            "ResultItem": [
                {"UserID": "user7", "ResultCode": 0, "ResultInfo": ""},
                {
                    "UserID": "nobody",
                    "ResultCode": 70107,
                    "ResultInfo": "Err_TLS_PT_Open_Login_Account_Not_Exist",
                },
            ],
        }
        assert await server.import_account("late") == 0


@pytest.mark.holds("71000")
async def test_a_paid_plan_deletes_no_account_and_says_so_in_the_journal() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        assert (await server.rest(DELETE, {"DeleteItem": [{"UserID": "alice"}]}))["ErrorCode"] == 71000
        assert (await server.status())["accounts"] == 1
        last = server.rows()[-1]
        assert (last.kind, last.user_id, last.code) == (log.DELETE_REFUSED, "alice", 71000)


CHECK = "im_open_login_svc/account_check"
KICK = "im_open_login_svc/kick"


async def test_accounts_are_looked_up() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        answer = await server.rest(CHECK, {"CheckItem": [{"UserID": "alice"}, {"UserID": "bob"}]})
        assert answer["ErrorCode"] == 0
        assert answer["ResultItem"] == [
            {"UserID": "alice", "ResultCode": 0, "ResultInfo": "", "AccountStatus": "Imported"},
            {"UserID": "bob", "ResultCode": 0, "ResultInfo": "", "AccountStatus": "NotImported"},
        ]


@pytest.mark.parametrize("command", [CHECK, DELETE])
@pytest.mark.parametrize("items", [None, [], [{}], [{"UserID": ""}], [{"UserID": "a"}] * 101, ["a"], [{"UserID": 7}]])
async def test_items_that_name_no_accounts_are_70402(command: str, items: object) -> None:
    async with a_server(some_settings(plan="trial")) as server:
        body = {"CheckItem": items, "DeleteItem": items}
        assert (await server.rest(command, body))["ErrorCode"] == 70402


@pytest.mark.holds("kick", "70052")
@pytest.mark.parametrize("name", ["UserID", "Identifier"])
async def test_a_kicked_user_is_told_and_needs_a_new_usersig(name: str) -> None:
    async with a_server() as server, server.connected() as wire:
        await wire.login("alice")
        assert (await server.rest(KICK, {name: "alice"}))["ErrorCode"] == 0
        pushed = await wire.answer(0)
        assert pushed["head"]["servcmd"] == "im_open_status.stat_forceoffline"
        assert pushed["body"]["EventArray"][0]["C2cNotifyMsgArray"] == [{"KickoutMsgNotify": {"KickType": 3}}]
        assert (await wire.login("alice"))["ErrorCode"] == 70052


@pytest.mark.parametrize(("body", "code"), [({"UserID": "nobody"}, 70107), ({}, 70402), ({"UserID": 7}, 60015)])
async def test_who_cannot_be_kicked(body: dict[str, object], code: int) -> None:
    async with a_server() as server:
        assert (await server.rest(KICK, body))["ErrorCode"] == code


@pytest.mark.holds("erased")
async def test_an_import_sets_name_and_picture_and_a_deletion_forgets_them() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        await server.rest(IMPORT, {"UserID": "alice", "Nick": "Alice", "FaceUrl": "http://x/a.png"})
        ask = {"To_Account": ["alice"], "TagList": ["Tag_Profile_IM_Nick", "Tag_Profile_IM_Image"]}
        profile = (await server.rest("profile/portrait_get", ask))["UserProfileItem"][0]["ProfileItem"]
        assert profile == [
            {"Tag": "Tag_Profile_IM_Nick", "Value": "Alice"},
            {"Tag": "Tag_Profile_IM_Image", "Value": "http://x/a.png"},
        ]
        await server.rest(DELETE, {"DeleteItem": [{"UserID": "alice"}]})
        await server.import_account("alice")
        assert (await server.rest("profile/portrait_get", ask))["UserProfileItem"][0]["ProfileItem"] == []


@pytest.mark.holds("lengths", "40601")
async def test_a_name_of_more_than_500_bytes_is_40601() -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT, {"UserID": "alice", "Nick": "n" * 501}))["ErrorCode"] == 40601
        assert (await server.rest(IMPORT, {"UserID": "alice", "Nick": "n" * 500}))["ErrorCode"] == 0

"""`im_open_login_svc`: accounts."""

import pytest

from mock_im_server import journal as log
from tests.serving import a_server, some_settings

IMPORT = "im_open_login_svc/account_import"
IMPORT_MANY = "im_open_login_svc/multiaccount_import"
DELETE = "im_open_login_svc/account_delete"


async def test_many_are_imported_at_once() -> None:
    async with a_server() as server:
        answer = await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(100)]})
        assert answer == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "FailAccounts": []}
        assert (await server.status())["accounts"] == 100


@pytest.mark.parametrize(
    "accounts", [None, [], ["a"] * 101, ["alice", ""], ["alice", "b" * 33], ["alice", 7], "alice", {"alice": 1}]
)
async def test_a_list_of_accounts_that_is_none_is_70402(accounts: object) -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT_MANY, {"Accounts": accounts}))["ErrorCode"] == 70402
        assert (await server.status())["accounts"] == 0


async def test_the_first_that_fit_are_imported() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(60)]})
        answer = await server.rest(IMPORT_MANY, {"Accounts": [f"user{number}" for number in range(50, 150)]})
        assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", 70398)
        assert answer["FailAccounts"] == [f"user{number}" for number in range(100, 150)]
        assert (await server.status())["accounts"] == 100


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


async def test_a_paid_plan_deletes_no_account_and_says_so_in_the_journal() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        assert (await server.rest(DELETE, {"DeleteItem": [{"UserID": "alice"}]}))["ErrorCode"] == 71000
        assert (await server.status())["accounts"] == 1
        last = server.rows()[-1]
        assert (last.kind, last.user_id, last.code) == (log.DELETE_REFUSED, "alice", 71000)

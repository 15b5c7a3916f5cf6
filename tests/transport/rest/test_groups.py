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


async def test_a_group_id_is_taken_once() -> None:
    async with with_users("alice", "bob") as server:
        assert await created(server, "room", Owner_Account="alice") == 0
        assert await created(server, "room", Owner_Account="alice") == 10025
        assert await created(server, "room", Owner_Account="bob") == 10021


@pytest.mark.parametrize(("group_id", "code"), [("nothing", 10010), ("", 10004), (None, 10004), ("a b", 10015)])
async def test_what_cannot_be_destroyed(group_id: str | None, code: int) -> None:
    async with a_server() as server:
        assert (await server.rest(DESTROY, {"GroupId": group_id}))["ErrorCode"] == code

"""`profile`: what users say of themselves."""

import pytest

from tests.serving import a_server

SET = "profile/portrait_set"
GET = "profile/portrait_get"
NICK = "Tag_Profile_IM_Nick"


async def test_fields_are_set_one_by_one() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        for tag, value in ((NICK, "A"), ("Tag_Profile_IM_Level", 7), (NICK, "B"), ("Tag_Profile_Custom_Pet", "cat")):
            answer = await server.rest(SET, {"From_Account": "alice", "ProfileItem": [{"Tag": tag, "Value": value}]})
            assert answer == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "ErrorDisplay": ""}
        answer = await server.rest(GET, {"To_Account": ["alice", "bob"]})
        assert answer["Fail_Account"] == ["bob"]
        alice, bob = answer["UserProfileItem"]
        assert alice == {
            "To_Account": "alice",
            "ProfileItem": [
                {"Tag": NICK, "Value": "B"},
                {"Tag": "Tag_Profile_IM_Level", "Value": 7},
                {"Tag": "Tag_Profile_Custom_Pet", "Value": "cat"},
            ],
            "ResultCode": 0,
            "ResultInfo": "",
        }
        assert (bob["ResultCode"], bob["ProfileItem"]) == (40003, [])


@pytest.mark.holds("40001", "40002", "40003", "40009", "40601", "40610")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 40002),
        ({"From_Account": "alice"}, 40001),
        ({"From_Account": "alice", "ProfileItem": {}}, 40001),
        ({"From_Account": "alice", "ProfileItem": [{"Value": "x"}]}, 40001),
        ({"From_Account": "alice", "ProfileItem": [{"Tag": NICK, "Value": []}]}, 40001),
        ({"From_Account": "alice", "ProfileItem": [{"Tag": NICK, "Value": 7}]}, 40610),
        ({"From_Account": "alice", "ProfileItem": [{"Tag": "Tag_Profile_IM_Level", "Value": "high"}]}, 40610),
        ({"From_Account": "alice", "ProfileItem": [{"Tag": "Tag_Profile_IM_Wings", "Value": "2"}]}, 40009),
        ({"From_Account": "alice", "ProfileItem": [{"Tag": NICK, "Value": "n" * 501}]}, 40601),
        ({"From_Account": "bob", "ProfileItem": [{"Tag": NICK, "Value": "B"}]}, 40003),
    ],
)
async def test_what_cannot_be_set(body: dict[str, object], code: int) -> None:
    async with a_server() as server:
        await server.import_account("alice")
        assert (await server.rest(SET, body))["ErrorCode"] == code


@pytest.mark.parametrize(("users", "code"), [(None, 40002), ([], 40002), (["a"] * 101, 40001), (["ä"], 40001)])
async def test_what_cannot_be_asked(users: object, code: int) -> None:
    async with a_server() as server:
        assert (await server.rest(GET, {"To_Account": users}))["ErrorCode"] == code

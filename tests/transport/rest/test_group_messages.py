"""`group_open_http_svc`: messages to groups."""

import asyncio
from typing import Any

import pytest

from tests.serving import REAL_MS, Server, Wire, a_server

SEND = "group_open_http_svc/send_group_msg"
CREATE = "group_open_http_svc/create_group"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]


async def a_group(server: Server, *members: str) -> None:
    for user_id in members:
        await server.import_account(user_id)
    group = {
        "Type": "Public",
        "Name": "a group",
        "GroupId": "room",
        "MemberList": [{"Member_Account": user_id} for user_id in members],
    }
    assert (await server.rest(CREATE, group))["ErrorCode"] == 0


async def say(server: Server, random: int, **more: object) -> dict[str, Any]:
    return await server.rest(SEND, {"GroupId": "room", "Random": random, "MsgBody": TEXT, **more})


async def heard(wire: Wire) -> dict[str, Any]:
    pushed = await wire.answer(0)
    assert pushed["head"]["servcmd"] == "im_open_push.msg_push"
    (event,) = pushed["body"]["EventArray"]
    assert event["Event"] == 3
    return dict(event["GroupMsgArray"][0])


@pytest.mark.holds("push")
async def test_members_hear_messages_in_the_order_of_their_numbers() -> None:
    async with a_server() as server, server.connected() as wire:
        await a_group(server, "alice", "bob")
        await wire.login("alice")
        for random in (11, 12):
            answer = await say(server, random, From_Account="bob", CloudCustomData="mine")
            assert answer["ErrorCode"] == 0
            assert "MsgDropReason" not in answer
            message = await heard(wire)
            assert (message["From_Account"], message["ToGroupId"]) == ("bob", "room")
            assert message["MsgSeq"] == answer["MsgSeq"] == random - 10
            assert (message["MsgBody"], message["CloudCustomData"]) == (TEXT, "mine")
            assert message["GroupInfo"] == {"GroupId": "room", "GroupType": "Public", "GroupName": "a group"}


@pytest.mark.holds("same-message")
async def test_the_same_message_within_five_minutes_is_one() -> None:
    real_ms = REAL_MS
    async with a_server(real_ms=lambda: real_ms) as server:
        await a_group(server)
        numbers = []
        for elapsed_s in (0, 299, 1):
            real_ms += elapsed_s * 1_000
            numbers.append((await say(server, 5))["MsgSeq"])
        assert numbers == [1, 1, 2]


async def test_only_some_members_may_be_meant() -> None:
    async with a_server() as server, server.connected() as alice, server.connected() as bob:
        await a_group(server, "alice", "bob")
        await alice.login("alice")
        await bob.login("bob")
        await say(server, 1, To_Account=["bob", "nobody"])
        await say(server, 2)
        assert [(await heard(bob))["MsgRandom"] for _ in range(2)] == [1, 2]
        assert (await heard(alice))["MsgRandom"] == 2


@pytest.mark.holds("group-rate")
async def test_a_group_takes_40_messages_a_second() -> None:
    real_ms = REAL_MS
    async with a_server(real_ms=lambda: real_ms) as server:
        await a_group(server)
        answers = await asyncio.gather(*[say(server, random) for random in range(42)])
        assert {answer["ErrorCode"] for answer in answers} == {0}
        dropped = [answer["MsgDropReason"] for answer in answers if "MsgDropReason" in answer]
        assert dropped == ["MsgFreqCtrl"] * 2
        real_ms += 1_000
        assert (await say(server, 99))["MsgSeq"] == 41


@pytest.mark.holds("80002", "10004")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"GroupId": "nothing"}, 10010),
        ({"GroupId": ""}, 10004),
        ({"Random": None}, 10004),
        ({"Random": -1}, 10004),
        ({"MsgBody": []}, 10004),
        ({"MsgBody": "hello"}, 10004),
        ({"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 8_000}}]}, 80002),
        ({"From_Account": "nobody"}, 10019),
        ({"To_Account": ["a"] * 51}, 10004),
        ({"MsgPriority": "Loud"}, 0),
    ],
)
async def test_what_can_be_said(change: dict[str, object], code: int) -> None:
    async with a_server() as server:
        await a_group(server)
        assert (
            await say(server, 1, **change)
            if "Random" not in change
            else await server.rest(SEND, {"GroupId": "room", "MsgBody": TEXT, **change})
        )["ErrorCode"] == code

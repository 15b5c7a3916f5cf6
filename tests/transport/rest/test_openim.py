"""`openim`: who is online, and messages to users."""

from typing import Any

import pytest

from tests.serving import Wire, a_server

STATUS = "openim/query_online_status"
SEND = "openim/sendmsg"
SEND_MANY = "openim/batchsendmsg"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]


async def heard(wire: Wire) -> dict[str, Any]:
    pushed = await wire.answer(0)
    assert pushed["head"]["servcmd"] == "im_open_push.msg_push"
    (event,) = pushed["body"]["EventArray"]
    assert event["Event"] == 9
    (message,) = event["C2cMsgArray"]
    return dict(message)


@pytest.mark.holds("status", "lenient")
@pytest.mark.parametrize("command", [STATUS, "openim/querystate"])
async def test_who_is_online_and_where(command: str) -> None:
    async with a_server() as server, server.connected() as wire:
        await server.import_account("bob")
        await wire.login("alice", platform=2)
        await wire.login("alice", platform=7, status_instid=5)
        answer = await server.rest(command, {"To_Account": ["alice", "bob", "nobody"], "IsNeedDetail": 1})
        assert answer["QueryResult"] == [
            {
                "To_Account": "alice",
                "Status": "Online",
                "State": "Online",
                "Detail": [{"Platform": "Android", "Status": "Online"}, {"Platform": "Web", "Status": "Online"}],
            },
            {"To_Account": "bob", "Status": "Offline", "State": "Offline"},
        ]
        assert answer["ErrorList"] == [{"To_Account": "nobody", "ErrorCode": 70107}]
        answer = await server.rest(command, {"To_Account": ["alice"]})
        assert answer["QueryResult"] == [{"To_Account": "alice", "Status": "Online", "State": "Online"}]


@pytest.mark.holds("batches", "90003", "90011")
@pytest.mark.parametrize("command", [STATUS, SEND_MANY])
@pytest.mark.parametrize(
    ("users", "code"),
    [(None, 90003), ([], 90003), ([""], 90003), ([f"u{number}" for number in range(501)], 90011)],
)
async def test_receivers_that_are_none(command: str, users: object, code: int) -> None:
    async with a_server() as server:
        body = {"To_Account": users, "MsgRandom": 1, "MsgBody": TEXT}
        assert (await server.rest(command, body))["ErrorCode"] == code


@pytest.mark.holds("push")
async def test_a_message_reaches_its_receiver_and_the_senders_other_devices() -> None:
    async with a_server() as server, server.connected() as alice, server.connected() as bob:
        await alice.login("alice")
        await bob.login("bob")
        body = {"From_Account": "bob", "To_Account": "alice", "MsgSeq": 93, "MsgRandom": 128, "MsgBody": TEXT}
        answer = await server.rest(SEND, body)
        assert answer["ErrorCode"] == 0
        assert answer["MsgKey"] == f"93_128_{answer['MsgTime']}"
        message = await heard(alice)
        assert (message["From_Account"], message["To_Account"]) == ("bob", "alice")
        assert (message["MsgSeq"], message["MsgRandom"], message["MsgBody"]) == (93, 128, TEXT)
        assert message["MsgTimeStamp"] == answer["MsgTime"]
        own = await heard(bob)
        # As the SDK wants what it is to take for its own: it turns the two around.
        assert (own["IsSyncMsg"], own["From_Account"], own["To_Account"]) == (1, "alice", "bob")


async def test_a_sender_may_keep_a_message_from_the_own_devices() -> None:
    async with a_server() as server, server.connected() as alice, server.connected() as bob:
        await alice.login("alice")
        await bob.login("bob")
        for random in (1, 2):
            body = {
                "From_Account": "bob",
                "To_Account": "alice",
                "SyncOtherMachine": random,
                "MsgRandom": random,
                "MsgBody": TEXT,
            }
            assert (await server.rest(SEND, body))["ErrorCode"] == 0
        assert (await heard(bob))["MsgRandom"] == 1
        assert (await bob.ask("heartbeat.alive"))["ErrorCode"] == 0


async def test_a_message_to_many_names_those_who_do_not_exist() -> None:
    async with a_server() as server, server.connected() as wire:
        await wire.login("alice")
        await server.import_account("bob")
        body = {"To_Account": ["alice", "bob", "nobody"], "MsgRandom": 3, "MsgBody": TEXT}
        answer = await server.rest(SEND_MANY, body)
        assert (answer["ErrorCode"], answer["ErrorList"]) == (0, [{"To_Account": "nobody", "ErrorCode": 90012}])
        assert (await heard(wire))["From_Account"] == "administrator"


@pytest.mark.holds(
    "lengths", "90001", "90002", "90003", "90005", "90007", "90008", "90012", "90026", "90031", "90044", "93000"
)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To_Account": ""}, 90003),
        ({"To_Account": ["alice"]}, 90003),
        ({"To_Account": "nobody"}, 90012),
        ({"From_Account": "nobody"}, 90008),
        ({"From_Account": "ä"}, 90008),
        ({"MsgRandom": None}, 90005),
        ({"MsgRandom": "x"}, 90005),
        ({"MsgRandom": 1 << 32}, 90005),
        ({"MsgBody": None}, 90007),
        ({"MsgBody": []}, 90007),
        ({"MsgBody": [{"MsgType": "TIMTextElem"}]}, 90002),
        ({"MsgBody": "hello"}, 90007),
        ({"CloudCustomData": 7}, 90001),
        ({"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 8_000}}]}, 93000),
        ({"MsgLifeTime": "soon"}, 90044),
        ({"SyncOtherMachine": []}, 90031),
        ({"MsgLifeTime": 604_801}, 90026),
        ({"MsgLifeTime": 604_800}, 0),
        ({"MsgLifeTime": 0}, 0),
    ],
)
async def test_what_can_be_sent(change: dict[str, object], code: int) -> None:
    async with a_server() as server:
        await server.import_account("alice")
        body = {"To_Account": "alice", "MsgRandom": 1, "MsgBody": TEXT} | change
        assert (await server.rest(SEND, body))["ErrorCode"] == code


@pytest.mark.holds("90055")
async def test_a_message_to_many_may_be_8000_bytes_long() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        body = {"To_Account": ["alice"], "MsgRandom": 1}
        long = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 8_000}}]
        assert (await server.rest(SEND_MANY, body | {"MsgBody": long}))["ErrorCode"] == 90055
        assert (await server.rest(SEND_MANY, body | {"MsgBody": TEXT}))["ErrorCode"] == 0

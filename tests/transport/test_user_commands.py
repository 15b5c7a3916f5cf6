"""Groups and messages over the gateway, as users ask for them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mock_im_server import journal as log
from tests.serving import Server, Wire, a_server, identity, some_settings, type_json

SERVICE = "group_open_http_svc"
LIVE, PUBLIC, MEETING, WORK = "AVChatRoom", "Public", "ChatRoom", "Private"


class User:
    """A logged-in user on a connection of their own."""

    def __init__(self, wire: Wire, who: type_json) -> None:
        self.wire = wire
        self.who = who

    async def ask(self, command: str, body: type_json) -> type_json:
        servcmd = command if "." in command else f"{SERVICE}.{command}"
        return await self.wire.ask(servcmd, body, **self.who)

    async def code(self, command: str, body: type_json) -> int:
        return int((await self.ask(command, body))["ErrorCode"])

    async def create(self, group_id: str, kind: str, **more: object) -> int:
        return await self.code("create_group", {"Type": kind, "Name": "room", "GroupId": group_id, **more})


@asynccontextmanager
async def a_user(server: Server, name: str) -> AsyncIterator[User]:
    async with server.connected() as wire:
        yield User(wire, identity(await wire.login(name)))


async def test_the_51st_live_group_of_pro_is_refused_until_one_is_destroyed() -> None:
    async with a_server() as server, a_user(server, "alice") as alice:
        codes = [await alice.create(f"room{number}", LIVE) for number in range(51)]
        assert codes == [0] * 50 + [10036]
        assert await alice.code("destroy_group", {"GroupId": "room0"}) == 0
        assert [await alice.create(f"more{number}", LIVE) for number in range(2)] == [0, 10036]


async def test_creates_of_one_tick_are_carried_out_in_their_order() -> None:
    async with a_server() as server, a_user(server, "alice") as alice:
        body = {"Type": LIVE, "Name": "room", "GroupId": "room"}
        names = ["create_group", "create_group", "destroy_group", "destroy_group", "create_group"]
        seqs = [await alice.wire.send(f"{SERVICE}.{name}", body, **alice.who) for name in names]
        codes = [(await alice.wire.answer(seq))["body"]["ErrorCode"] for seq in seqs]
        assert codes == [0, 10025, 0, 10010, 0]


async def test_groups_without_a_name_of_one_tick_get_one_each() -> None:
    async with a_server() as server, a_user(server, "alice") as alice:
        seqs = [
            await alice.wire.send(f"{SERVICE}.create_group", {"Type": kind, "Name": "room"}, **alice.who)
            for kind in [LIVE] * 60
        ]
        bodies = [(await alice.wire.answer(seq))["body"] for seq in seqs]
        assert [body["ErrorCode"] for body in bodies] == [0] * 50 + [10036] * 10
        assert len({body["GroupId"] for body in bodies[:50]}) == 50
        assert len(list(server.app.groups.all())) == 50


async def test_refusals_have_rows_that_name_their_requests_too() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        await alice.create("mine", PUBLIC, ApplyJoinOption="DisableApply")
        stranger = User(bob.wire, {**bob.who, "a2": "0" * 32})
        too_long = "g" * 60_000
        expected = [
            (stranger, "create_group", {"GroupId": "room"}, "create_refused", -10003),
            (stranger, "destroy_group", {"GroupId": "mine"}, "destroy_refused", -10003),
            (stranger, "apply_join_group", {"GroupId": "mine"}, "join_refused", -10003),
            (bob, "create_group", {"GroupId": 7}, "create_refused", 10004),
            (bob, "create_group", {"GroupId": too_long, "Type": LIVE, "Name": "n"}, "create_refused", 10004),
            (bob, "create_group", {"GroupId": "room", "Type": too_long}, "create_refused", 10004),
            (bob, "destroy_group", {"GroupId": "mine"}, "destroy_refused", 10007),
            (bob, "destroy_group", {"GroupId": too_long}, "destroy_refused", 10015),
            (bob, "apply_join_group", {"GroupId": "mine"}, "join_refused", 10007),
            (bob, "apply_join_group", {"GroupId": "none"}, "join_refused", 10010),
            (bob, "apply_join_group", {}, "join_refused", 10004),
        ]
        for user, command, body, kind, code in expected:
            assert await user.code(command, body) == code
            row = server.rows()[-1]
            assert (row.kind, row.code) == (getattr(log, kind.upper()), code)
            assert (row.connection, row.request_seq, row.platform) == (2, bob.wire.seq, 7)
            assert row.user_id == (None if user is stranger else "bob")
            assert len(row.text or "") < 100


async def test_who_asks_is_who_the_ticket_says() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        assert await alice.create("room", PUBLIC, Owner_Account="bob") == 0
        assert server.app.groups["room"].owner == "alice"
        assert await bob.code("destroy_group", {"GroupId": "room"}) == 10007
        stranger = User(bob.wire, {**bob.who, "a2": "0" * 32})
        assert await stranger.create("another", PUBLIC) == -10003


@pytest.mark.parametrize(("kind", "code"), [(LIVE, 0), (PUBLIC, 0), (MEETING, 0), (WORK, 10007)])
async def test_owners_destroy_their_groups_but_not_those_for_work(kind: str, code: int) -> None:
    async with a_server() as server, a_user(server, "alice") as alice:
        await alice.create("room", kind)
        assert await alice.code("destroy_group", {"GroupId": "room"}) == code


@pytest.mark.parametrize(
    ("kind", "option", "code", "status"),
    [
        (LIVE, None, 0, "JoinedSuccess"),
        (MEETING, None, 0, "JoinedSuccess"),
        (PUBLIC, None, 0, "WaitAdminApproval"),
        (PUBLIC, "FreeAccess", 0, "JoinedSuccess"),
        (PUBLIC, "DisableApply", 10007, None),
        (WORK, None, 10007, None),
    ],
)
async def test_what_is_free_to_join_can_be_joined(kind: str, option: str | None, code: int, status: str | None) -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        await alice.create("room", kind, **({"ApplyJoinOption": option} if option else {}))
        answer = await bob.ask("apply_join_group", {"GroupId": "room"})
        assert (answer["ErrorCode"], answer.get("JoinedStatus")) == (code, status)
        assert ("bob" in server.app.groups["room"].members) == (status == "JoinedSuccess")


async def test_members_leave_and_owners_stay() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        await alice.create("room", MEETING)
        await bob.ask("apply_join_group", {"GroupId": "room"})
        room = {"GroupId": "room"}
        assert [await user.code("quit_group", room) for user in (alice, bob, bob)] == [10009, 0, 0]
        assert list(server.app.groups["room"].members) == ["alice"]


@pytest.mark.parametrize(
    ("command", "body", "codes"),
    [
        # By the owner, an admin, a member and a stranger.
        ("get_group_member_info", {}, [0, 0, 0, 10007]),
        ("add_group_member", {"MemberList": [{"Member_Account": "dave"}]}, [0, 0, 10007, 10007]),
        ("modify_group_base_info", {"Name": "new"}, [0, 0, 10007, 10007]),
        ("delete_group_member", {"MemberToDel_Account": ["carol"]}, [0, 0, 10007, 10007]),
        ("change_group_owner", {"NewOwner_Account": "bob"}, [0, 10007, 10007, 10007]),
        ("add_group_member", {"MemberList": 7}, [10004] * 4),
    ],
)
async def test_who_may_do_what_to_a_group(command: str, body: type_json, codes: list[int]) -> None:
    names = ("alice", "bob", "carol", "dave")
    async with a_server() as server, AsyncExitStack() as stack:
        users = [await stack.enter_async_context(a_user(server, name)) for name in names]
        members = [{"Member_Account": "bob", "Role": "Admin"}, {"Member_Account": "carol"}]
        found = []
        for number, user in enumerate(users):
            await users[0].create(f"room{number}", PUBLIC, MemberList=members)
            found.append(await user.code(command, {"GroupId": f"room{number}", **body}))
        assert found == codes


async def test_members_of_a_group_for_work_bring_others_with_them() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        assert await server.import_account("carol") == 0
        await alice.create("room", WORK, MemberList=[{"Member_Account": "bob"}])
        carol = {"GroupId": "room", "MemberList": [{"Member_Account": "carol"}]}
        answer = await bob.ask("add_group_member", carol)
        assert answer["MemberList"] == [{"Member_Account": "carol", "Result": 1}]
        assert list(server.app.groups["room"].members) == ["alice", "bob", "carol"]


async def test_a_user_is_told_of_their_groups_and_of_themselves() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        await alice.create("room", MEETING)
        await alice.create("live", LIVE)
        ask = {"GroupIdList": ["room", "none"], "ResponseFilter": {"MemberInfoFilter": ["Role"]}}
        mine = (await alice.ask("get_group_self_member_info", ask))["GroupInfo"]
        assert [(info["ErrorCode"], info.get("SelfInfo")) for info in mine] == [(0, {"Role": "Owner"}), (10010, None)]
        assert "SelfInfo" not in (await bob.ask("get_group_self_member_info", ask))["GroupInfo"][0]
        joined = await alice.ask("get_joined_group_list", {"Member_Account": "bob", "Limit": 200, "Offset": 0})
        assert [group["GroupId"] for group in joined["GroupIdList"]] == ["room"]
        (told,) = (await bob.ask("get_group_info", {"GroupIdList": ["live"]}))["GroupInfo"]
        assert (told["Type"], told["Owner_Account"], told["MemberNum"]) == (LIVE, "alice", 1)


async def test_a_group_message_reaches_the_other_members_and_not_the_session_that_sent_it() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        await alice.create("live", LIVE)
        message = {
            "GroupId": "live",
            "Random": 1,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}],
        }
        assert await bob.code("send_group_msg", message) == 10007
        await bob.ask("apply_join_group", {"GroupId": "live"})
        assert await alice.code("send_group_msg", message) == 0
        push = await bob.wire.answer(0)
        (event,) = push["body"]["EventArray"]
        (said,) = event["GroupMsgArray"]
        assert (push["head"]["servcmd"], said["From_Account"], said["ToGroupId"]) == (
            "im_open_push.msg_push",
            "alice",
            "live",
        )
        # What comes next on the sender's own connection is the next answer.
        assert await alice.code("destroy_group", {"GroupId": "live"}) == 0


async def test_a_message_reaches_the_user_it_is_for() -> None:
    async with a_server() as server, a_user(server, "alice") as alice, a_user(server, "bob") as bob:
        text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]
        message = {"From_Account": "bob", "To_Account": "bob", "MsgRandom": 1, "MsgBody": text}
        assert await alice.code("openim.sendmsg", message) == 0
        (event,) = (await bob.wire.answer(0))["body"]["EventArray"]
        assert event["C2cMsgArray"][0]["From_Account"] == "alice"


@pytest.mark.parametrize("command", ["create_group", "destroy_group", "apply_join_group", "send_group_msg"])
@pytest.mark.parametrize("body", [{"GroupId": 7, "Type": []}, {}])
async def test_a_wrong_body_is_refused_with_a_code_of_the_groups(command: str, body: type_json) -> None:
    async with a_server() as server, a_user(server, "alice") as alice:
        assert await alice.code(command, body) in {10004, 10010, 10015}


async def test_a_trials_limits_hold_over_the_gateway_too() -> None:
    async with a_server(some_settings(plan="trial")) as server, a_user(server, "alice") as alice:
        assert [await alice.create(f"room{number}", LIVE) for number in range(11)] == [0] * 10 + [10036]

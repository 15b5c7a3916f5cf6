"""The vendor's own client SDK, unmodified, logs in here: it is content, counted once, and leaves in order."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from TLSSigAPIv2 import TLSSigAPIv2

from tests.end_to_end.official_sdk import Server, a_device, a_server, a_usersig, node
from tests.serving import KEY, SDKAPPID

pytestmark = pytest.mark.slow

STAY_S = 3
DRIVE_S_MAX = 60
FRAMES_OF_A_LOGIN_MAX = 25
"""The SDK sends 18 to 20 in a calm session; one that spins sends a thousand a second."""
LIVE = "TYPES.GRP_AVCHATROOM"


@pytest.fixture
def server() -> Iterator[Server]:
    with a_server() as server:
        yield server


def driven(sdk: Path, proxy_server: str, user_id: str, signature: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the last event of each kind, and everything that was said."""
    command = node("official_sdk.mjs", proxy_server, str(SDKAPPID), user_id, signature, str(STAY_S))
    done = subprocess.run(command, cwd=sdk, capture_output=True, text=True, timeout=DRIVE_S_MAX, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {event["event"]: event for event in events}, done.stdout + done.stderr


@pytest.mark.parametrize("access_point", ["", "/ap/sg"])
def test_the_sdk_gets_ready_stays_calm_and_logs_out(sdk: Path, server: Server, access_point: str) -> None:
    code, events, said = driven(sdk, server.gateway_url + access_point, "user_0001", a_usersig("user_0001"))
    assert code == 0, said
    assert "sdk_error" not in events, said
    assert events["quiet"]["sockets"] == 0
    assert events["quiet"]["frames_sent"] < FRAMES_OF_A_LOGIN_MAX
    assert events["logged_out"]["sockets"] == 1
    assert events["logged_out"]["frames_sent"] <= FRAMES_OF_A_LOGIN_MAX
    # Every frame but telemetry behind the logout was answered.
    assert events["logged_out"]["frames_received"] >= events["quiet"]["frames_sent"]
    status = server.status()
    assert (status["dau"], status["logins"], status["accounts"], status["online"]) == (1, 1, 1, 0)


@pytest.mark.parametrize(("key", "expected"), [("another-key", 70009)])
def test_a_refusal_reaches_the_app_with_its_code(sdk: Path, server: Server, key: str, expected: int) -> None:
    code, events, said = driven(sdk, server.gateway_url, "user_0001", a_usersig("user_0001", key=key))
    assert (code, events["error"]["code"]) == (1, expected), said
    assert events["error"]["sockets"] == 1
    status = server.status()
    assert (status["dau"], status["accounts"]) == (0, 0)


def test_users_make_join_and_dismiss_a_live_group_and_the_51st_is_refused(sdk: Path, server: Server) -> None:
    with a_device(sdk, server) as alices, a_device(sdk, server) as bobs:
        alices.login("alice")
        bobs.login("bob")
        room = {"type": LIVE, "name": "a room", "groupID": "room_1"}
        made = alices.call("createGroup", room)["data"]["group"]
        assert (made["groupID"], made["ownerID"], made["role"]) == ("room_1", "alice", "Owner")
        # The SDK lets nobody speak in a live group who has not joined it, not even who made it.
        assert alices.call("joinGroup", {"groupID": "room_1"})["data"]["status"] == "JoinedSuccess"
        joined = bobs.call("joinGroup", {"groupID": "room_1"})["data"]
        assert (joined["status"], joined["group"]["memberCount"]) == ("JoinedSuccess", 2)
        say = {"to": "room_1", "conversationType": "TYPES.CONV_GROUP", "text": "hello, room"}
        assert "code" not in alices.call("sendText", say)
        heard = bobs.event("message")
        assert (heard["from"], heard["to"], heard["text"]) == ("alice", "room_1", "hello, room")
        assert server.rest("group_open_http_svc/get_online_member_num", {"GroupId": "room_1"})["OnlineMemberNum"] == 2

        for number in range(2, 51):
            wish = {"Type": "AVChatRoom", "Name": "a room", "GroupId": f"room_{number}"}
            assert server.rest("group_open_http_svc/create_group", wish)["ErrorCode"] == 0
        one_more = {"type": LIVE, "name": "a room", "groupID": "room_51"}
        assert alices.call("createGroup", one_more)["code"] == 10036
        assert bobs.call("dismissGroup", "room_1")["code"] == 10007
        assert alices.call("dismissGroup", "room_1")["data"] == {"groupID": "room_1"}
        assert "code" not in alices.call("createGroup", one_more)
        status = server.status()
        assert (status["live_groups"], status["dau"], status["online"]) == (50, 2, 2)
        assert [event for event in alices.events + bobs.events if event["event"] != "message"] == []


def test_groups_that_are_no_live_groups_and_messages_to_a_user(sdk: Path, server: Server) -> None:
    with a_device(sdk, server) as alices, a_device(sdk, server) as bobs:
        alices.login("alice")
        bobs.login("bob")
        members = [{"userID": "bob"}]
        made = {"type": "TYPES.GRP_MEETING", "name": "meeting", "groupID": "meeting", "memberList": members}
        assert alices.call("createGroup", made)["data"]["group"]["memberCount"] == 2
        # The SDK of who makes a group says so in it, and the SDK of who hears of it asks what group that is.
        assert bobs.event("message")["to"] == "meeting"
        assert bobs.call("joinGroup", {"groupID": "meeting"})["data"]["status"] in {"AlreadyInGroup", "JoinedSuccess"}
        assert alices.call("quitGroup", "meeting")["code"] == 10009
        assert bobs.call("quitGroup", "meeting")["data"] == {"groupID": "meeting"}
        say = {"to": "bob", "conversationType": "TYPES.CONV_C2C", "text": "hello, bob"}
        assert "code" not in alices.call("sendText", say)
        assert bobs.event("message")["text"] == "hello, bob"
        assert "code" not in alices.call("addGroupMember", {"groupID": "meeting", "userIDList": ["bob"]})
        assert "code" not in alices.call("updateGroupProfile", {"groupID": "meeting", "name": "new name"})
        assert "code" not in alices.call("deleteGroupMember", {"groupID": "meeting", "userIDList": ["bob"]})
        assert server.rest("group_open_http_svc/get_group_member_info", {"GroupId": "meeting"})["MemberNum"] == 1
        # On a new device, what one is in is asked for at login.
        with a_device(sdk, server) as another:
            another.login("alice")
            (group,) = another.call("getGroupList")["data"]["groups"]
            assert (group["groupID"], group["name"], group["role"]) == ("meeting", "new name", "Owner")


def test_a_second_device_ends_the_first_and_a_kick_the_second(sdk: Path, server: Server) -> None:
    with a_device(sdk, server) as first, a_device(sdk, server) as second, a_device(sdk, server) as third:
        first.login("alice")
        assert server.online("alice") == ["Online"]
        second.login("alice")
        assert first.event("kickedOut")["type"] == "multipleAccount"
        assert server.online("alice") == ["Online"]
        status = server.status()
        assert (status["dau"], status["logins"], status["online"]) == (1, 2, 1)

        before = a_usersig("alice")
        assert server.rest("im_open_login_svc/kick", {"UserID": "alice"})["ErrorCode"] == 0
        assert second.event("kickedOut")["type"] == "REST_API_Kick"
        assert server.online("alice") == ["Offline"]
        # What was signed before the kick does not hold any more; what an app's backend signs now does.
        assert third.login("alice", before)["code"] == 70052
        assert third.login("alice", a_usersig("alice", age_s=-1))["data"] == {}
        assert server.online("alice") == ["Online"]
        assert "code" not in third.call("logout")
        assert server.online("alice") == ["Offline"]
        status = server.status()
        assert (status["dau"], status["logins"], status["accounts"]) == (1, 3, 1)


def by_pypi(_sdk: Path, user_id: str) -> str:
    return str(TLSSigAPIv2(SDKAPPID, KEY).gen_sig(user_id, 3_600))


def by_npm(sdk: Path, user_id: str) -> str:
    script = f"""
        const {{ Api }} = require("tls-sig-api-v2");
        process.stdout.write(new Api({SDKAPPID}, {json.dumps(KEY)}).genSig({json.dumps(user_id)}, 3600));
    """
    return subprocess.run(["node", "-e", script], cwd=sdk, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("generator", [by_pypi, by_npm])
def test_usersigs_of_the_vendors_own_generators_log_in(
    sdk: Path, server: Server, generator: Callable[[Path, str], str]
) -> None:
    with a_device(sdk, server) as device:
        assert device.login("alice", generator(sdk, "bob"))["code"] == 70013
        assert device.login("alice", generator(sdk, "alice"))["data"] == {}
        assert server.status()["dau"] == 1

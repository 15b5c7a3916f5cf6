"""A trunk: one WebSocket with many requests in flight, and what becomes of it when the other side is gone."""

import json
import socket
from collections.abc import Iterator

import pytest

from im_load.server_process import ServerProcess
from im_load.trunk import Trunk, TrunkBrokenError
from mock_im_server.settings import DEMO_APP
from tests.im_load.playing import a_server

ANSWER_S_MAX = 10.0
INSTANCE = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with a_server() as server:
        yield server


def a_trunk(server: ServerProcess, point: str = "") -> Trunk:
    path = f"/ap/{point}" if point else ""
    return Trunk(server.ready["gateway_url"] + path, INSTANCE, DEMO_APP.sdkappid)


@pytest.fixture
def trunk(server: ServerProcess) -> Iterator[Trunk]:
    trunk = a_trunk(server)
    trunk.open()
    yield trunk
    trunk.close()


def hello(seq: int) -> bytes:
    """A frame that every app answers, with a refusal."""
    head = {"servcmd": "im_open_status.wslogin", "seq": seq, "sdkappid": DEMO_APP.sdkappid, "identifier": "alice"}
    return json.dumps({"head": head, "body": {}}).encode()


def seq_of(message: bytes) -> int:
    return int(json.loads(message)["head"]["seq"])


def test_a_message_comes_back(trunk: Trunk) -> None:
    trunk.send([hello(7)])

    message = trunk.read_one(ANSWER_S_MAX)

    assert message is not None
    assert seq_of(message) == 7


def test_many_requests_are_in_flight_at_once_and_all_are_answered(trunk: Trunk) -> None:
    seen: set[int] = set()

    def note(trunk: Trunk, messages: list[bytes]) -> None:
        seen.update(map(seq_of, messages))
        if len(seen) == 300:
            trunk.say_goodbye()

    trunk.send(map(hello, range(1, 301)))
    trunk.read(note)

    assert seen == set(range(1, 301))


def test_a_trunk_that_has_closed_says_so(trunk: Trunk) -> None:
    trunk.say_goodbye()

    assert not trunk.is_open
    with pytest.raises(TrunkBrokenError, match="closed"):
        trunk.send([hello(1)])


def test_no_answer_in_time_is_none(trunk: Trunk) -> None:
    assert trunk.read_one(timeout_s=0.01) is None


def test_who_refuses_the_websocket_is_named(server: ServerProcess) -> None:
    with pytest.raises(TrunkBrokenError, match=r"127\.0\.0\.1:.* refused the WebSocket"):
        a_trunk(server, "no-such-point").open()


def test_who_does_not_listen_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TrunkBrokenError, match=f"no connection to 127.0.0.1:{port}"):
            Trunk(f"ws://127.0.0.1:{port}", INSTANCE, DEMO_APP.sdkappid).open()


def test_a_server_that_dies_ends_the_reading() -> None:
    with a_server() as server:
        trunk = a_trunk(server)
        trunk.open()
        server.stop()

        trunk.read(lambda *_: None)

    assert not trunk.is_open

"""Whatever comes in at the gateway's door: an answer, a close or a line hung up, and all others are served as ever."""

import base64
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.transport.user_commands import CREATE_GROUP, USER_COMMANDS
from mock_im_server.wire import frames
from tests.fuzz.requests import BODIES, prepare
from tests.fuzzing import Live, Socket, examples, gone_wrong, live
from tests.serving import SDKAPPID, a_usersig, type_json

BINARY, CLOSE = 2, 8
OPCODES = st.sampled_from([0, 1, 2, 2, 2, 8, 9, 10]) | st.integers(0, 15)
ASKED_BY_THE_SDK = ["heartbeat.alive", "im_open_status.wshello", "sns.friend_get", "openim.getmsg", "no.command"]
PUSHES = {"im_open_push.msg_push", "im_open_status.stat_forceoffline"}
BARRIER = 999_999_999


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("gateway"), prepare) as server:
        yield server


def handshake(path: str = f"/binfo?sdkappid={SDKAPPID}&instanceid=0123&platform=7") -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: here",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def a_frame(
    payload: bytes, first: int = 0x80 | BINARY, *, size: int | None = None, mask: bytes | None = bytes(4)
) -> bytes:
    """A client's frame; it may say that it is of another size."""
    size = len(payload) if size is None else size
    masked = 0x80 if mask is not None else 0
    if size < 126:
        head = bytes([first, masked | size])
    elif size < 1 << 16:
        head = bytes([first, masked | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, masked | 127]) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class Wire(Socket):
    """A connection after the handshake."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self.send(handshake())
        assert self.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of what the server says next, which must be a frame that a client understands."""
        first, size = self.read(2)
        assert first & 0x70 == 0
        assert first & 0x80
        if size > 125:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        return first & 0xF, self.read(size)

    def ask(self, text: bytes, cuts: list[int]) -> list[type_json]:
        """What is answered to one message; the heartbeat behind it may overtake it."""
        barrier = {"head": {"servcmd": "heartbeat.alive", "seq": BARRIER, "sdkappid": SDKAPPID}}
        self.send(a_frame(text), cuts)
        self.send(a_frame(json.dumps(barrier).encode()))
        answers: list[type_json] = []
        is_through = False
        while not (is_through and answers):
            opcode, payload = self.frame()
            if opcode == CLOSE:
                raise EOFError
            said = json.loads(payload)
            if said["head"]["seq"] == BARRIER:
                is_through = True
            elif said["head"]["servcmd"] not in PUSHES:
                answers.append(said)
        return answers


def login(instance: int = 1) -> type_json:
    head = {
        "servcmd": frames.LOGIN,
        "seq": 5,
        "sdkappid": SDKAPPID,
        "identifier": "alice",
        "usersig": a_usersig("alice"),
        "status_instid": instance,
        "platform": 7,
    }
    return {"head": head, "body": {"State": "Online"}}


def resumed(servcmd: str, session: type_json, body: type_json) -> type_json:
    ticket = {"a2": session["A2Key"], "tinyid": session["TinyId"], "status_instid": session["InstId"]}
    head = {"servcmd": servcmd, "seq": 7, "sdkappid": SDKAPPID, "platform": 7, **ticket}
    return {"head": head, "body": body}


class Line:
    """Alice's connection; there is another one when a message has ended it."""

    def __init__(self, server: Live) -> None:
        self.server = server
        self.wire: Wire | None = None
        self.session: type_json = {}

    def ready(self) -> Wire:
        if self.wire is None:
            self.wire = Wire(self.server.address)
            (answer,) = self.wire.ask(json.dumps(login()).encode(), [])
            self.session = answer["body"]
        return self.wire

    def hang_up(self) -> None:
        if self.wire is not None:
            self.wire.close()
        self.wire = None


@pytest.fixture(scope="module")
def line(server: Live) -> Iterator[Line]:
    line = Line(server)
    server.before_end = line.hang_up
    yield line
    line.hang_up()


@pytest.mark.parametrize("servcmd", [frames.LOGIN, frames.LOGOUT, CREATE_GROUP, *USER_COMMANDS, *ASKED_BY_THE_SDK])
def test_messages_gone_wrong(server: Live, line: Line, servcmd: str) -> None:
    @examples(15)
    @given(st.data())
    def say(data: st.DataObject) -> None:
        server.next_example()
        wire = line.ready()
        right = resumed(servcmd, line.session, BODIES.get(servcmd.replace(".", "/"), {}))
        if servcmd == frames.LOGIN and data.draw(st.booleans()):
            right = login()
        text = data.draw(gone_wrong(right))
        cuts = data.draw(st.lists(st.integers(1, len(text) + 8), max_size=3))
        server.has_changed()
        try:
            (answer,) = wire.ask(text, cuts)
        except EOFError:
            assert len(text) > 0xFFFF
            line.hang_up()
            answer = {"body": {"ErrorCode": 1}}
        finally:
            server.check()
        assert not (server.has_changed() and answer["body"]["ErrorCode"])

    say()


PAYLOADS = st.one_of(
    st.binary(max_size=140),
    st.sampled_from([b"", b"\x03\xe8", b"\x00\x00", b"\x03", b"\xff\xff", b"\x03\xe8\xff\xff"]),
    st.integers(0, 70_000).map(bytes),
    gone_wrong(login()),
)
ANY_FRAME = st.builds(
    lambda opcode, flags, payload, size, mask: a_frame(payload, flags | opcode, size=size, mask=mask),
    OPCODES,
    st.sampled_from([0x80, 0x80, 0x00, 0xC0, 0xF0, 0x40]),
    PAYLOADS,
    st.none()
    | st.none()
    | st.none()
    | st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 1 << 31, (1 << 63) - 1, 1 << 63]),
    st.none() | st.binary(min_size=4, max_size=4) | st.binary(min_size=4, max_size=4),
)


@examples(150)
@given(st.lists(ANY_FRAME | st.binary(max_size=20), max_size=6), st.lists(st.integers(0, 300), max_size=4))
def test_frames_of_any_kind(server: Live, said: list[bytes], cuts: list[int]) -> None:
    server.next_example()
    wire = Wire(server.address)
    wire.send(b"".join(said), cuts)
    wire.end()
    try:
        while True:
            opcode, payload = wire.frame()
            assert opcode in {BINARY, CLOSE, 10}
            if opcode == BINARY:
                assert json.loads(payload)["body"]["ErrorCode"] >= 0
    except EOFError:
        pass
    finally:
        wire.close()
        server.check()


HEADERS = st.sampled_from(
    [b"Host", b"Connection", b"Upgrade", b"Sec-WebSocket-Version", b"Sec-WebSocket-Key", b"Sec-WebSocket-Extensions",
     b"Sec-WebSocket-Protocol", b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Content-Type",
     b"Cookie",
     b"Expect", b"X-Request-Id", b"Authorization", b"Range", b"If-Modified-Since", b"Forwarded", b"A"]
)  # fmt: skip
VALUES = st.binary(max_size=12) | st.sampled_from(
    [b"", b"websocket", b"Upgrade", b"keep-alive, Upgrade", b"13", b"99", b"\xff", b"chunked", b"gzip", b"deflate",
    b"br",
     b"zstd", b"-1", b"1" * 30, b"0", b"5", b"permessage-deflate", b"permessage-deflate; client_max_window_bits=99",
     b"100-continue",
     b"=?", b"a" * 9_000, base64.b64encode(bytes(16)), base64.b64encode(bytes(15)), b"bytes=0-", b"\xc3\xbc"]
)  # fmt: skip
LINES = st.builds(lambda name, value: name + b": " + value + b"\r\n", HEADERS, VALUES) | st.binary(max_size=20)
PATHS = st.sampled_from(
    [b"/binfo", b"/binfo?instanceid=\xff", b"/binfo?instanceid=%ff%00", b"/ap/kr/binfo", b"/ap/\xff/binfo",
    b"/ap/%2e%2e/binfo",
     b"/ap/kr/from/DE/binfo", b"/v4/openim/sendmsg?sdkappid=1400000001", b"/v4/\xff", b"/dispatch?country=KR",
     b"/healthz", b"/metrics",
     b"*", b"//", b"/%", b"http://here/binfo", b"/" + b"a" * 9_000, b"/openapi.json", b"/control/v1/version"]
) | st.binary(max_size=20)  # fmt: skip
METHODS = st.sampled_from(
    [b"GET", b"GET", b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"\xff"]
) | st.binary(max_size=4)
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.", b""])
UPGRADE = [line + b"\r\n" for line in handshake().split(b"\r\n")[1:-2]]


@st.composite
def any_request(draw: st.DrawFn) -> bytes:
    """A handshake with some of its lines replaced or left out and others added, and bytes behind it."""
    lines = [draw(METHODS) + b" " + draw(PATHS) + b" " + draw(VERSIONS) + b"\r\n"]
    lines += [line for line in UPGRADE if draw(st.integers(0, 5))]
    for line in draw(st.lists(LINES, max_size=4)):
        lines.insert(draw(st.integers(1, len(lines))), line)
    return b"".join(lines) + b"\r\n" + draw(st.binary(max_size=40))


@examples(250)
@given(
    st.lists(any_request() | st.binary(max_size=60), min_size=1, max_size=2), st.lists(st.integers(0, 300), max_size=4)
)
def test_bytes_instead_of_a_handshake(server: Live, said: list[bytes], cuts: list[int]) -> None:
    server.next_example()
    line = Socket(server.address)
    line.send(b"".join(said), cuts)
    heard = line.read_rest()
    line.close()
    server.check()
    assert not heard or re.match(rb"HTTP/\d\.\d [1-4]", heard)
    assert not re.search(rb"HTTP/\d\.\d 5", heard)

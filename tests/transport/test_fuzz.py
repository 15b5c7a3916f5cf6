"""Whatever arrives: an answer, a refusal or a closed connection, and everybody else is served as before.

`FUZZ_TIMES=100 pytest tests/transport/test_fuzz.py` tries a hundred times as much.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from copy import deepcopy
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from mock_im_server import journal as log
from mock_im_server.recovery import fold
from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.transport.user_commands import USER_COMMANDS
from tests.serving import KEY, SDKAPPID, a_usersig

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
UPGRADE = (
    f"GET /binfo?sdkappid={SDKAPPID} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
).encode()
PATIENCE_S = 0.02
"""So long an answer that need not come is waited for."""
OTHER = SDKAPPID + 1
"""The app whose control is fuzzed: its clock may end anywhere."""


def fuzzed(examples: int) -> Any:
    return settings(
        max_examples=examples * TIMES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


class Fuzzed:
    """A server process, somebody who is served well, and what the server says of it all."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.url, self.control_url, self.token = ready["url"], ready["control_url"], ready["control_token"]
        self.where = urlsplit(self.url).hostname or "", urlsplit(self.url).port or 0
        self.http = requests.Session()
        self.well = self.upgraded()
        self.sig = a_usersig("alice", issued_s=int(time.time()))
        self.login = self.ask(self.well, self.head("im_open_status.wslogin", identifier="alice", usersig=self.sig))

    def connected(self) -> socket.socket:
        connection = socket.create_connection(self.where, timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def upgraded(self) -> socket.socket:
        connection = self.connected()
        connection.sendall(UPGRADE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        return connection

    def head(self, servcmd: str, **parts: object) -> dict[str, Any]:
        about = {"ver": "v4", "platform": 7, "sdkappid": SDKAPPID, "servcmd": servcmd, "seq": 5, "status_instid": 1}
        return {"head": {**about, **parts}, "body": {}}

    def ask(self, connection: socket.socket, message: dict[str, Any]) -> dict[str, Any]:
        connection.sendall(Frame(Opcode.BINARY, json.dumps(message).encode()).serialize(mask=True))
        answer = received(connection)
        assert answer is not None
        return answer

    def serves(self) -> None:
        """Somebody else is served as before."""
        answer = self.ask(self.well, self.head("im_open_status.wslogin", identifier="alice", usersig=self.sig))
        assert answer["body"]["ErrorCode"] == 0
        assert answer["body"]["TinyId"] == self.login["body"]["TinyId"]

    def control(self, method: str, path: str, body: bytes) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, self.control_url + path, data=body, headers=headers, timeout=60)

    def rest(self, command: str, body: bytes) -> requests.Response:
        return self.http.post(f"{self.url}/v4/{command}", params=admin(), data=body, timeout=10)


def admin() -> dict[str, Any]:
    signature = a_usersig("administrator", issued_s=int(time.time()))
    return {"sdkappid": SDKAPPID, "identifier": "administrator", "usersig": signature}


def received(connection: socket.socket) -> dict[str, Any] | None:
    """The next message that answers something; None when the connection has ended."""
    while True:
        try:
            head = _exactly(connection, 2)
            size = head[1]
            if size >= 126:
                size = int.from_bytes(_exactly(connection, 2 if size == 126 else 8), "big")
            payload = _exactly(connection, size)
        except (ConnectionError, EOFError):
            return None
        if head[0] & 15 == Opcode.CLOSE:
            return None
        if head[0] & 15 == Opcode.BINARY:
            message: dict[str, Any] = json.loads(payload)
            if message["head"]["seq"]:
                return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """In the end it stops as told, has said nothing, and its journals hold."""
    folder = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--app", f"{SDKAPPID}:ultimate:{KEY}"]
    command += ["--rate-limits", "off", "--data-dir", str(folder)]
    said = folder / "stderr.txt"
    with (
        said.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        fuzzed_server = Fuzzed(json.loads(process.stdout.readline()))
        made = {"sdkappid": OTHER, "key": KEY, "plan": "pro"}
        assert fuzzed_server.control("POST", "/apps", as_json(made)).status_code == 201
        yield fuzzed_server
        fuzzed_server.well.close()
        fuzzed_server.http.close()
        process.terminate()
        assert process.wait(10) == 0
    assert said.read_text() == ""
    for journal in folder.glob("*/journal"):
        assert fold(log.read(journal).batches).last_seq > 0


huge = st.integers(-(10**30), 10**30)
texts = st.text(max_size=30) | st.sampled_from(["\ud800", "\0", "alice", "x" * 5_000, "administrator", "room", "../.."])
DEEP = "in its place, lists in lists"
junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | huge | st.floats() | texts,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(texts, parts, max_size=4),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, body: dict[str, Any]) -> Any:
    """A request in which something is another thing, missing or too much."""
    value: Any = {"": deepcopy(body)}
    for _ in range(draw(st.integers(1, 3))):
        part: Any = value
        key: Any = ""
        while isinstance(part[key], dict | list) and part[key] and draw(st.integers(0, 3)):
            part = part[key]
            key = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        match draw(st.sampled_from(["junk", "junk", "gone", "more", "deep", "many"])):
            case "junk":
                part[key] = draw(junk)
            case "gone" if key != "":
                del part[key]
            case "more" if isinstance(part[key], dict):
                part[key][draw(texts)] = draw(junk)
            case "deep":
                part[key] = DEEP
            case "many" if isinstance(part[key], list):
                part[key] = part[key] * 1_001
        if "" not in value:
            break
    return value.get("")


def as_json(value: Any, levels: int = 5_000) -> bytes:
    return json.dumps(value).replace(json.dumps(DEEP), "[" * levels + "]" * levels).encode()


BODIES: dict[str, dict[str, Any]] = {
    "create_group": {"Type": "Public", "Name": "g", "GroupId": "room", "MemberList": [{"Member_Account": "alice"}]},
    "send_group_msg": {"GroupId": "room", "Random": 1, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {}}]},
    "sendmsg": {"To_Account": "alice", "MsgRandom": 1, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {}}]},
    "": {
        "GroupId": "room", "GroupIdList": ["room"], "UserID": "alice", "Accounts": ["alice"], "To_Account": ["alice"],
        "MemberList": [{"Member_Account": "alice"}], "NewOwner_Account": "alice", "Name": "g", "Type": "Public",
        "CheckItem": [{"UserID": "alice"}], "DeleteItem": [{"UserID": "nobody"}], "From_Account": "alice", "Limit": 10,
        "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": "n"}], "TagList": ["Tag_Profile_IM_Nick"],
        "MemberToDel_Account": ["alice"], "Owner_Account": "alice", "RequestField": [], "ResponseFilter": {},
    },
}  # fmt: skip
"""By the command's last word; "" for all others: each takes what it knows."""


def body_of(command: str) -> dict[str, Any]:
    return BODIES.get(command.rpartition("/")[2], BODIES[""])


@fuzzed(120)
@given(data=st.data())
def test_frames_of_every_command_are_answered_or_end_their_connection(server: Fuzzed, data: st.DataObject) -> None:
    servcmds = ["im_open_status.wslogin", "im_open_status.wslogout", "im_open_status.wshello", *USER_COMMANDS, "x.y"]
    servcmd = data.draw(st.sampled_from(sorted(servcmds)))
    login = server.login["body"]
    message = server.head(servcmd, a2=login["A2Key"], tinyid=login["TinyId"])
    if data.draw(st.booleans()):
        message = server.head("im_open_status.wslogin", identifier="bob", usersig=server.sig)
    message["body"] = body_of(servcmd.replace(".", "/"))
    wrong = data.draw(spoilt(message))
    with closing(server.upgraded()) as connection:
        code = data.draw(st.sampled_from([Opcode.BINARY, Opcode.TEXT]))
        with suppress(ConnectionError):  # Ended already, as the frame was too long.
            connection.sendall(Frame(code, as_json(wrong)).serialize(mask=True))
            # Behind it, so that something is answered in any case: also to what asks for nothing.
            heartbeat = json.dumps(server.head("heartbeat.alive")).encode()
            connection.sendall(Frame(Opcode.BINARY, heartbeat).serialize(mask=True))
        answer = received(connection)
        assert answer is None or isinstance(answer["body"]["ErrorCode"], int)
    server.serves()


odd_frames = st.builds(
    lambda fin, code, mask, length, data: bytes([fin | code, mask | length]) + data,
    st.sampled_from([0, 0x80, 0xC0, 0xF0]),
    st.integers(0, 15),
    st.sampled_from([0, 0x80]),
    st.integers(0, 127),
    st.binary(max_size=140),
)
good_frames = st.builds(
    lambda code, data, fin: Frame(code, data, fin or code >= Opcode.CLOSE).serialize(mask=True),
    st.sampled_from(list(Opcode)),
    st.binary(max_size=125),
    st.booleans(),
)


@fuzzed(80)
@given(
    parts=st.lists(odd_frames | good_frames | st.binary(max_size=60), max_size=6),
    is_upgraded=st.booleans(),
    cuts=st.lists(st.integers(1, 200), max_size=4),
)
def test_any_bytes_harm_nobody_else(server: Fuzzed, parts: list[bytes], cuts: list[int], *, is_upgraded: bool) -> None:
    data = b"".join(parts)
    with closing(server.upgraded() if is_upgraded else server.connected()) as connection:
        connection.settimeout(PATIENCE_S)
        with suppress(OSError):  # It may have ended before all was said.
            for cut in cuts:
                connection.sendall(data[:cut])
                data = data[cut:]
            connection.sendall(data)
            connection.recv(1_000)
    server.serves()


@fuzzed(150)
@given(data=st.data())
def test_rest_answers_in_its_own_words(server: Fuzzed, data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(sorted(COMMANDS)))
    response = server.rest(command, as_json(data.draw(spoilt(body_of(command)))))
    assert response.status_code in {200, 413}
    if response.status_code == 200:
        assert isinstance(response.json()["ErrorCode"], int)


@fuzzed(60)
@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(texts, texts, max_size=3), st.binary(max_size=300))
def test_rest_takes_any_query_and_any_bytes(server: Fuzzed, command: str, query: dict[str, str], body: bytes) -> None:
    asked = {
        str(name).encode("utf-8", "replace"): str(text).encode("utf-8", "replace")
        for name, text in (admin() | query).items()
    }
    response = server.http.post(f"{server.url}/v4/{command}?{urlencode(asked)}", data=body, timeout=10)
    assert response.status_code in {200, 400, 414}


numbers = st.floats() | st.floats(-90, 90) | huge | texts | st.sampled_from(["KR", "Busan", "kr", "kr:12.5,jp:,x"])
places = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["latitude", "longitude", "country", "city", "latency_ms", "sdkappid", "user_id", "current"], numbers
    ),
)


@fuzzed(120)
@given(places)
def test_dispatch_answers_any_question(server: Fuzzed, asked: dict[str, object]) -> None:
    query = urlencode({name: str(value).encode("utf-8", "replace") for name, value in asked.items()})
    response = server.http.get(f"{server.url}/dispatch?{query}", timeout=10)
    assert response.status_code in {200, 400, 404, 503}
    if response.status_code == 200:
        assert response.json()["points"]


@fuzzed(60)
@given(data=st.data())
def test_dispatch_answers_any_body(server: Fuzzed, data: st.DataObject) -> None:
    known = {"latency_ms": {"kr": 12.5, "jp": None}, "country": "KR", "city": "Busan", "user_id": "a", "current": "kr"}
    where = {"latitude": 37.6, "longitude": 127.0, "sdkappid": SDKAPPID}
    response = server.http.post(f"{server.url}/dispatch", data=as_json(data.draw(spoilt(known | where))), timeout=10)
    assert response.status_code in {200, 400, 404, 503}


WISHES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/apps", {"plan": "pro", "key": "k", "start": "2026-10-01", "price_book": "x", "charge_day": 3}),
    ("PUT", f"/apps/{OTHER}/clock", {"advance_ms": 1_000}),
    ("PUT", f"/apps/{OTHER}/clock", {"now_ms": 1_800_000_000_000}),
    ("PUT", f"/apps/{OTHER}/faults", {"rules": [{"api": "*", "code": 60008, "share": 0.5, "seed": 1}]}),
    ("PUT", f"/apps/{OTHER}/routing", {"policy": "great_circle", "pin": [], "hysteresis_ms": 10}),
    ("PUT", f"/apps/{OTHER}/plan", {"plan": "ultimate"}),
    ("PUT", f"/apps/{OTHER}/webhook", {"url": "http://127.0.0.1:9/", "token": "t"}),
    ("PUT", "/access_points/frankfurt", {"state": "up", "capacity": 0.5}),
    ("POST", f"/apps/{OTHER}/reset", {"start": "2026-10-01"}),
    ("POST", f"/apps/{OTHER}/calls", {"call_id": "c", "participants": [{"user_id": "alice", "tier": "sd"}]}),
    ("POST", f"/apps/{OTHER}/snapshots/s/fork", {"sdkappid": 3, "key": "k"}),
]


@fuzzed(120)
@given(data=st.data())
def test_the_control_api_does_or_refuses(server: Fuzzed, data: st.DataObject) -> None:
    method, path, body = data.draw(st.sampled_from(WISHES))
    response = server.control(method, path, as_json(data.draw(spoilt(body))))
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.text.strip().count("\n") == 0, response.text

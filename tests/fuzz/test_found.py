"""What fuzzing and reading for it have found, one by one."""

import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fuzz.requests import GROUPS, prepare
from tests.fuzz.test_gateway import Wire, login, resumed
from tests.fuzz.test_rest import target
from tests.fuzzing import Live, Socket, live, nested, written
from tests.serving import SDKAPPID, TOKEN, Server, type_json

APP = f"/apps/{SDKAPPID}"
BEYOND_A_WORD = 1 << 63
DEPTHS = (60, 70, *range(940, 1_000, 2))
"""Around what is allowed, and around what Python's stack can hold wherever it stands."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("found"), prepare) as server:
        yield server


def rest(server: Live, command: str, body: Any) -> type_json:
    status, said = server.http.ask("POST", target(command), written(body))
    server.check()
    assert status == 200
    return dict(json.loads(said))


def control(server: Live, method: str, path: str, body: Any) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {TOKEN}".encode()}
    status, said = server.http.ask(method, f"/control/v1{path}".encode(), written(body), headers)
    server.check()
    return status, said.decode()


class Alice:
    """Alice's line to the gateway."""

    def __init__(self, server: Live) -> None:
        self._server = server
        self._wire = Wire(server.address)
        (answer,) = self._wire.ask(json.dumps(login()).encode(), [])
        self._session = answer["body"]

    def asks(self, servcmd: str, body: Any) -> int:
        (answer,) = self._wire.ask(written(resumed(servcmd, self._session, body)), [])
        self._server.check()
        return int(answer["body"]["ErrorCode"])

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def alice(server: Live) -> Iterator[Alice]:
    alice = Alice(server)
    yield alice
    alice.close()


def test_a_page_that_begins_beyond_all_numbers_is_empty(server: Live, alice: Alice) -> None:
    body = {"Member_Account": "alice", "Offset": BEYOND_A_WORD}
    assert rest(server, f"{GROUPS}/get_joined_group_list", body)["GroupIdList"] == []
    assert alice.asks(f"{GROUPS}.get_joined_group_list", body) == 0


def test_a_next_with_more_digits_than_python_reads_is_no_place(server: Live, alice: Alice) -> None:
    body = {"GroupId": "room", "Next": "9" * 5_000}
    assert len(rest(server, f"{GROUPS}/get_group_member_info", body)["MemberList"]) == 1
    assert alice.asks(f"{GROUPS}.get_group_member_info", body) == 0


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_an_app_fills_as_it_likes_may_nest_64_deep(server: Live, alice: Alice, depth: int) -> None:
    """The decoder may go deeper than an encoder called from elsewhere."""
    said = [{"MsgType": "TIMCustomElem", "MsgContent": {"Data": nested(depth)}}]
    pairs = {"AppDefinedData": [{"Key": "k", "Value": nested(depth)}]}
    to_user = {"To_Account": "alice", "MsgRandom": depth, "MsgBody": said}
    to_group = {"GroupId": "room", "Random": depth, "MsgBody": said}
    change = {"GroupId": "room", **pairs}
    is_refused = depth > 62

    for service, command, body in (
        ("openim", "sendmsg", to_user),
        (GROUPS, "send_group_msg", to_group),
        (GROUPS, "modify_group_base_info", change),
        (GROUPS, "create_group", {"Type": "Public", "Name": "n", **pairs}),
    ):
        assert bool(rest(server, f"{service}/{command}", body)["ErrorCode"]) == is_refused
        assert bool(alice.asks(f"{service}.{command}", body)) == is_refused


@pytest.mark.parametrize("field", ["code", "from_ms", "until_ms", "seed"])
def test_a_fault_rule_holds_what_a_journal_holds(server: Live, field: str) -> None:
    rule = {"api": "openim/querystate", "code": 60008, field: 10**30}
    assert control(server, "PUT", f"{APP}/faults", {"rules": [rule]})[0] == 400
    assert rest(server, "openim/querystate", {"To_Account": ["alice"]})["ErrorCode"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"{APP}/faults", {"rules": [{"api": "a\nb"}]}),
        ("PUT", f"{APP}/routing", {"pin": ["a\nb"]}),
        ("PUT", f"{APP}/clock", {"a\nb": 1}),
        ("POST", "/apps", {"price_book": "by-opening-day", "billing_offset_ms": 10**30}),
    ],
)
def test_a_refusal_is_one_line_whatever_it_quotes(server: Live, method: str, path: str, body: Any) -> None:
    status, said = control(server, method, path, body)
    assert status in {400, 409}
    assert said.count("\n") == 1


@pytest.mark.parametrize("host", [b"\xff", b"a" * 300, b'"', b""])
def test_a_host_that_is_no_name_gets_no_urls(server: Live, host: bytes) -> None:
    status, _ = server.http.ask("GET", b"/dispatch?country=KR", headers={"Host": host})
    server.check()
    assert status == 400


@pytest.mark.parametrize("name", ["Expect", "Upgrade", "Sec-WebSocket-Key", "X-Request-Id"])
@pytest.mark.parametrize("path", [b"/binfo", b"/dispatch?country=KR", b"/nowhere"])
def test_headers_that_are_no_utf_8_are_refused(server: Live, name: str, path: bytes) -> None:
    headers = {"Connection": b"Upgrade", "Upgrade": b"websocket", "Sec-WebSocket-Version": b"13", name: b"\xff"}
    status, _ = server.http.ask("GET", path, headers=headers)
    server.check()
    assert status == 400


@pytest.mark.parametrize("line", [b"CONNECT \r\n\r\n", b"CONNECT  \r\nHost: here\r\n\r\n"])
def test_a_request_that_names_nothing_is_answered(server: Live, line: bytes) -> None:
    socket = Socket(server.address)
    socket.send(line, [])
    heard = socket.read_until(b"\r\n")
    socket.close()
    gc.collect()  # asyncio tells of a task that failed only then.
    server.check()
    assert heard == b"HTTP/0.9 404 Not Found\r\n"


@pytest.mark.parametrize(
    ("method", "place", "status"),
    [
        ("POST", target("im_open_login_svc/account_import"), 200),
        ("POST", b"/dispatch", 400),
        ("PUT", f"/control/v1{APP}/clock".encode(), 400),
    ],
)
def test_a_body_that_is_not_packed_as_it_says_is_refused(server: Live, method: str, place: bytes, status: int) -> None:
    headers = {"Content-Encoding": b"gzip", "Authorization": f"Bearer {TOKEN}".encode()}
    found, said = server.http.ask(method, place, b"{}", headers)
    # Nobody knows where the next request would begin.
    server.http.close()
    server.check()
    assert found == status
    assert b"60008" in said or status == 400


def test_who_hangs_up_amid_a_body_is_no_fault_of_the_server(server: Live) -> None:
    line = Socket(server.address)
    line.send(
        b"POST " + target("im_open_login_svc/account_import") + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{"
    )
    line.read_rest()
    line.close()
    server.check()


def test_a_webhook_whose_name_cannot_be_looked_up_fails_and_is_tried_again(server: Live) -> None:
    url = f"http://{'a' * 64}.invalid/"
    assert control(server, "PUT", f"{APP}/webhook", {"url": url})[0] == 200
    for name in ("one", "two"):
        group = {"Type": "Public", "Name": name, "GroupId": name}
        assert rest(server, f"{GROUPS}/create_group", group)["ErrorCode"] == 0
    server.wait_for(lambda: server.call(_failed_deliveries) == 2)
    assert control(server, "PUT", f"{APP}/webhook", {"url": ""})[0] == 200


async def _failed_deliveries(server: Server) -> int:
    return int((await server.control("GET", f"{APP}/webhook"))[1]["failed"])

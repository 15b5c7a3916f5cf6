"""Whatever a client says of itself when it asks for an access point: a right answer, or one line of why not."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.requests import prepare
from tests.fuzzing import NUMBERS, Live, examples, gone_wrong, live
from tests.serving import SDKAPPID, Server, is_one_line

RIGHT = {
    "country": "KR",
    "city": "Busan",
    "latitude": 37.6,
    "longitude": 127.0,
    "latency_ms": {"kr": 12.5, "jp": 40, "sg": None},
    "sdkappid": SDKAPPID,
    "user_id": "alice",
    "current": "kr",
}
WORDS = st.sampled_from(
    ["KR", "kr", "Busan", "37.6", "-90", "180.0", "1e308", "nan", "inf", "-0", "0x1", "1_0", " 1",
    "kr:12.5,jp:40,sg:", "kr:", ":1",
     "kr:nan", "kr:-1", ",,,", "", "\0", "\n", "alice", "9" * 5_000, str(SDKAPPID), *map(str, NUMBERS)]
) | st.text(max_size=10) | st.floats().map(str)  # fmt: skip
RAW = st.sampled_from([b"%", b"%ff", b"\xff", b"\xc3\xbc", b"+", b"&", b"=", b";", b"%00", b"%ed%a0%80", b"#"])
PAIRS = st.tuples(st.sampled_from([*RIGHT, "x"]), WORDS.map(lambda word: quote(word).encode()) | RAW)
HOSTS = st.sampled_from(
    [b"here", b"here", b"[::1]:80", b"", b"\xff", b"\xc3\xbc", b"a b", b"a" * 300, b'"', b"h/x"]
) | st.binary(max_size=8).filter(lambda host: not set(host) & set(b"\r\n"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("dispatch"), prepare) as server:
        yield server


def check(server: Live, status: int, said: bytes) -> None:
    server.check()
    if status != 200:
        assert status in {400, 404}
        # What HTTP itself forbids is told by aiohttp, without a newline at its end.
        assert is_one_line(said.decode()) or not said.endswith(b"\n")
        return
    answer = json.loads(said)
    codes = {point["code"] for point in answer["points"]}
    assert len(codes) == len(answer["points"]) == len(server.call(_points))
    assert all(point["gateway_url"].startswith("ws://") for point in answer["points"])
    if answer["policy"] == "great_circle":
        distances = [point["distance_km"] for point in answer["points"]]
        assert distances == sorted(distances)


async def _points(server: Server) -> list[object]:
    return list((await server.control("GET", "/access_points"))[1]["points"])


def query(pairs: list[tuple[str, bytes]]) -> bytes:
    return b"&".join(name.encode() + b"=" + value for name, value in pairs)


@examples(150)
@given(st.lists(PAIRS, max_size=5), HOSTS)
def test_questions_by_get(server: Live, pairs: list[tuple[str, bytes]], host: bytes) -> None:
    server.next_example()
    check(server, *server.http.ask("GET", b"/dispatch?" + query(pairs), headers={"Host": host}))


@examples(100)
@given(gone_wrong(RIGHT))
def test_questions_by_post(server: Live, body: bytes) -> None:
    server.next_example()
    check(server, *server.http.ask("POST", b"/dispatch", body))


@examples(50)
@given(st.lists(PAIRS, max_size=5))
def test_places_in_the_path_of_a_gateway(server: Live, pairs: list[tuple[str, bytes]]) -> None:
    """Without round trips they are nobody's business; a handshake is refused as it is none."""
    server.next_example()
    path = b"/".join(value.partition(b"#")[0] for _, value in pairs) or b"KR"
    status, _ = server.http.ask("GET", b"/ap/kr/from/" + path + b"/binfo?" + query(pairs).partition(b"#")[0])
    server.check()
    assert status in {400, 404}

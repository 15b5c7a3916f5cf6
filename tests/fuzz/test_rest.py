"""Whatever is sent to the REST API: a vendor's answer, and nothing changed by what is refused."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from itertools import product
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.transport.rest.commands import COMMANDS
from tests.fuzz.requests import BODIES, prepare
from tests.fuzzing import Live, Socket, examples, gone_wrong, live, nested, nested_object
from tests.serving import SDKAPPID, a_usersig, type_json

QUERY = {
    "sdkappid": str(SDKAPPID),
    "identifier": "administrator",
    "usersig": a_usersig("administrator"),
    "random": "1",
    "contenttype": "json",
}
IN_PART = "FailAccounts"
"""Stands in the only answer that tells of a refusal when some of what was asked for is done."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("rest"), prepare) as server:
        yield server


def target(command: str, query: str = urlencode(QUERY)) -> bytes:
    return f"/v4/{command}?{query}".encode()


def answered(server: Live, place: bytes, body: bytes, **headers: bytes) -> None:
    """One call, and what must hold after any call."""
    server.next_example()
    status, said = server.http.ask(
        "POST", place, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    server.check()
    assert 200 <= status < 500
    answer = envelope(said) if status == 200 else {"ErrorCode": status}
    has_changed = server.has_changed()
    assert not (has_changed and answer["ErrorCode"] and IN_PART not in answer)


def envelope(said: bytes) -> type_json:
    answer: type_json = json.loads(said)
    assert answer["ActionStatus"] == ("FAIL" if answer["ErrorCode"] else "OK")
    return answer


@pytest.mark.parametrize("name", COMMANDS)
def test_bodies_gone_wrong(server: Live, name: str) -> None:
    @examples(12)
    @given(gone_wrong(BODIES[name]))
    def send(body: bytes) -> None:
        answered(server, target(name), body)

    send()


WORDS = st.text(max_size=8) | st.sampled_from(
    ["\0", "\ud800", "9" * 30, "-1", "1e3", "alice", "a" * 33, "", a_usersig("alice")]
)
RAW = st.sampled_from(["%", "%ff", "%00", "+", ";", "&&", "="])


@examples(150)
@given(
    st.dictionaries(
        st.sampled_from([*QUERY, "x"]),
        WORDS.map(lambda word: quote(word, errors="replace")) | RAW | st.none(),
        max_size=3,
    ),
    st.sampled_from([*COMMANDS, "openim/nothing", "", "../openim/sendmsg", "openim/%2e%2e", "a" * 300]),
)
def test_queries_gone_wrong(server: Live, changes: dict[str, str | None], command: str) -> None:
    right = {name: quote(value) for name, value in QUERY.items()}
    query = "&".join(f"{name}={value}" for name, value in (right | changes).items() if value is not None)
    answered(server, target(command, query), b"{}")


BODY = b'{"UserID":"erin"}'
PACKED = gzip.compress(BODY)
ENCODINGS = st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"identity", b"x", b"gzip, gzip", b"\xff"])
LENGTHS = st.sampled_from([b"0", b"1", b"-1", b"+5", b"0x5", b"17", b"18", b"1048577", b"9" * 30, b"", b"5, 5"])
CHUNKS = st.lists(
    st.sampled_from([b"11\r\n" + BODY + b"\r\n", b"0\r\n\r\n", b"5\r\nabc\r\n", b"zz\r\n", b"-1\r\n",
    b"f" * 20 + b"\r\n", b'5;x=y\r\n{"a":\r\n']),
    max_size=4,
).map(b"".join)  # fmt: skip
BODIES_SENT = st.sampled_from(
    [BODY, PACKED, PACKED[:-5], zlib.compress(BODY), gzip.compress(bytes(3_000_000)), b""]
) | CHUNKS | st.binary(max_size=20)  # fmt: skip


@examples(150)
@given(st.none() | LENGTHS, st.none() | ENCODINGS, st.booleans(), BODIES_SENT)
def test_lengths_and_encodings_that_lie(
    server: Live,
    length: bytes | None,
    encoding: bytes | None,
    is_chunked: bool,  # noqa: FBT001 -- drawn
    body: bytes,
) -> None:
    server.next_example()
    lines = [b"POST " + target("im_open_login_svc/account_import") + b" HTTP/1.1", b"Host: here"]
    lines += [b"Content-Length: " + length] if length is not None else []
    lines += [b"Content-Encoding: " + encoding] if encoding is not None else []
    lines += [b"Transfer-Encoding: chunked"] if is_chunked else []
    line = Socket(server.address)
    line.send(b"\r\n".join([*lines, b"", body]))
    heard = line.read_rest()
    line.close()
    server.check()

    assert not re.search(rb"HTTP/\d\.\d 5", heard)
    first = heard.partition(b"HTTP/1.1 200 OK")[2].partition(b"\r\n\r\n")[2]
    # Who hangs up may not hear what was done.
    is_refused = bool(first) and bool(envelope(first[: first.index(b"}") + 1])["ErrorCode"])
    assert not (server.has_changed() and is_refused)


@pytest.mark.parametrize("name", COMMANDS)
def test_json_that_is_too_deep_is_refused(server: Live, name: str) -> None:
    for field, deep in product(BODIES[name], (nested(5_000), nested_object(5_000))):
        answered(server, target(name), b'{"%b":%b}' % (field.encode(), deep))

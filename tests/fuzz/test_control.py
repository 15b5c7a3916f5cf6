"""Whatever is sent to the control API by who has its token: done, or refused in one line and nothing changed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.requests import prepare
from tests.fuzzing import NUMBERS, Live, examples, gone_wrong, lasting, live
from tests.serving import REAL_MS, SDKAPPID, TOKEN, Server, at_ms, is_one_line

APP = f"/apps/{SDKAPPID}"
TRIAL = ("POST", f"{APP}/call_trial", None)
RIGHT: list[tuple[str, str, Any]] = [
    (
        "POST",
        "/apps",
        {
            "plan": "pro",
            "key": "k",
            "sdkappid": SDKAPPID,
            "price_book": "2020",
            "site": "intl",
            "billing_offset_ms": 0,
            "charge_day": 3,
            "account_delete": False,
            "start": "2026-10-01",
        },
    ),
    ("POST", "/apps", {"sdkappid": SDKAPPID, "price_book": "by-opening-day", "billing_offset_ms": 0,
    "start": "2026-10-01"}),
    ("PUT", f"{APP}/clock", {"now_ms": at_ms("2026-10-01")}),
    ("PUT", f"{APP}/clock", {"advance_ms": 1}),
    ("PUT", f"{APP}/clock", {"real": False}),
    ("PUT", f"{APP}/plan", {"plan": "ultimate"}),
    ("POST", f"{APP}/calls", {"call_id": "c", "participants": [{"user_id": "alice", "tier": "hd"}]}),
    ("PUT", f"{APP}/calls/c/participants", {"user_id": "bob", "tier": "audio"}),
    ("POST", f"{APP}/calls/c/end", None),
    TRIAL,
    ("POST", f"{APP}/reset", {"start": "1800-01-01"}),
    ("POST", f"{APP}/snapshots/none/fork", {"sdkappid": 7, "key": "k"}),
    ("POST", f"{APP}/snapshots/none/restore", None),
    ("PUT", f"{APP}/webhook", {"url": "gopher://here/", "token": "t"}),
    (
        "PUT",
        f"{APP}/faults",
        {
            "rules": [
                {"api": "openim/*", "latency_ms": 5, "code": 60008, "share": 0.5, "from_ms": 1, "until_ms": REAL_MS,
                "seed": 3}
            ]
        },
    ),
    ("PUT", f"{APP}/routing", {"policy": "client_probe", "pin": ["kr", "jp"], "hysteresis_ms": 5.5}),
    ("PUT", "/access_points/kr", {"state": "draining", "capacity": 0.5}),
]  # fmt: skip
GETS = ["/apps", APP, f"{APP}/call_trial", f"{APP}/statements/2026-10", f"{APP}/journal", f"{APP}/journal/x",
f"{APP}/snapshots",
        f"{APP}/faults", f"{APP}/webhook", f"{APP}/routing", f"{APP}/routing/explain?country=KR", "/access_points",
        "/version"]  # fmt: skip
PARTS = st.sampled_from(
    ["..", ".", "%2e%2e", "%00", "%0a", "%ff", "%2f", "", "kr", "c", "a" * 300, "2026-13", *map(str, NUMBERS)]
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("control"), prepare, all_of_it) as server:
        yield server


def asked(server: Live, method: str, target: str, body: bytes = b"", *, token: bytes = TOKEN.encode()) -> None:
    """One call, and what must hold after any call."""
    server.next_example()
    headers = {"Authorization": b"Bearer " + token}
    status, said = server.http.ask(method, b"/control/v1" + target.encode(), body, headers)
    server.check()
    if status in {200, 201}:
        assert json.loads(said) is not None
    else:
        assert 400 <= status < 500
        # What is no path, or no HTTP, is told by aiohttp, without a newline at its end.
        assert is_one_line(said.decode()) or not said.endswith(b"\n")
    assert not (server.has_changed() and (status not in {200, 201} or method == "GET"))


async def all_of_it(server: Server) -> list[Any]:
    webhook = await server.control("GET", f"{APP}/webhook")
    return [webhook, server.running.apps.snapshots(SDKAPPID), await lasting(server)]


@pytest.mark.parametrize("number", range(len(RIGHT)), ids=[f"{method} {path}" for method, path, _ in RIGHT])
def test_bodies_gone_wrong(server: Live, number: int) -> None:
    method, path, right = RIGHT[number]

    @examples(15)
    @given(gone_wrong(right))
    def send(body: bytes) -> None:
        asked(server, method, path, body)

    send()


@examples(200)
@given(
    st.sampled_from(
        [*[(method, path) for method, path, _ in RIGHT if "/reset" not in path], *[("GET", path) for path in GETS]]
    ),
    st.lists(st.tuples(st.integers(0, 6), PARTS), max_size=3),
)
def test_paths_gone_wrong(server: Live, right: tuple[str, str], changes: list[tuple[int, str]]) -> None:
    method, path = right
    parts = path.split("/")
    for index, part in changes:
        parts[index % len(parts)] = part
    asked(server, method, "/".join(parts) or "/", b"{}")


@examples(30)
@given(st.binary(max_size=20).filter(lambda token: not set(token) & set(b"\r\n\0")) | st.just(b"\xff"))
def test_another_token_opens_nothing(server: Live, token: bytes) -> None:
    asked(server, "PUT", f"{APP}/clock", b'{"advance_ms":1}', token=token)

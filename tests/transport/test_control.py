"""The control API: apps, clocks, statements and journals, never without the token."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from mock_im_server import VERSION
from mock_im_server.domain.clock import LATEST_MS
from tests.serving import KEY, REAL_MS, SDKAPPID, a_server, at_ms, some_settings

APP = f"/apps/{SDKAPPID}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/version"),
        ("GET", "/apps"),
        ("POST", "/apps"),
        ("GET", APP),
        ("POST", f"{APP}/reset"),
        ("PUT", f"{APP}/clock"),
        ("GET", f"{APP}/statements/2026-10"),
        ("GET", f"{APP}/journal"),
        ("GET", f"{APP}/journal/000000000001.arrow"),
    ],
)
@pytest.mark.parametrize("token", ["", "wrong", "ü"])
async def test_nothing_is_told_without_the_token(method: str, path: str, token: str) -> None:
    async with a_server() as server:
        status, text = await server.control(method, path, {"now_ms": LATEST_MS}, token=token)
        assert status == 401
        assert "control API needs" in text


async def test_a_status_says_what_a_person_asks_first() -> None:
    async with a_server() as server, server.connected() as wire:
        await wire.login("alice")
        assert await server.control("GET", APP) == (
            200,
            {
                "sdkappid": SDKAPPID,
                "plan": "pro",
                "price_book": "2020",
                "currency": "USD",
                "billing_offset_ms": 28_800_000,
                "charge_day": 3,
                "now_ms": at_ms("2026-10-01"),
                "is_clock_fixed": True,
                "epoch": 0,
                "day": "2026-10-01",
                "month": "2026-10",
                "accounts": 1,
                "online": 1,
                "logins": 1,
                "dau": 1,
                "peak_dau": 1,
                "groups": 0,
                "live_groups": 0,
                "peak_groups": 0,
                "peak_day": "2026-10-01",
                "total_cents": 14_999,
                "units": {"dau": 0, "groups": 0},
                "journal_rows": 3,
                "statements": [],
            },
        )
        assert (await server.control("GET", "/version"))[1] == {"name": "mock_im_server", "version": VERSION}
        assert len((await server.control("GET", "/apps"))[1]["apps"]) == 1


@pytest.mark.parametrize(
    ("site", "start", "book"),
    [
        ("intl", "2021-08-05", "2020"),
        ("intl", "2021-08-06", "2021-08"),
        ("intl", "2022-12-26", "2022-12"),
        ("cn-domestic", "2026-10-01", "cn-domestic"),
    ],
)
async def test_an_app_is_billed_by_the_list_of_the_day_it_opened(site: str, start: str, book: str) -> None:
    async with a_server() as server:
        wish = {"price_book": "by-opening-day", "site": site, "start": start}
        status, made = await server.control("POST", "/apps", wish)
        assert (status, made["price_book"]) == (201, book)


async def test_apps_are_made_beside_each_other() -> None:
    async with a_server() as server:
        status, made = await server.control("POST", "/apps", {"plan": "trial", "start": "2026-02-01"})
        assert status == 201
        assert (made["sdkappid"], made["plan"], made["month"], len(made["key"])) == (
            SDKAPPID + 1,
            "trial",
            "2026-02",
            64,
        )
        await server.import_account("alice")
        assert (await server.control("GET", f"/apps/{made['sdkappid']}"))[1]["accounts"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"plan": "gold"}, 409),
        ({"price_book": "1999"}, 409),
        ({"price_book": "cn-2019", "plan": "ultimate"}, 409),
        ({"price_book": "by-opening-day", "site": "moon"}, 409),
        ({"price_book": "by-opening-day", "start": "1999-12-31"}, 409),
        ({"sdkappid": SDKAPPID}, 409),
        ({"sdkappid": -1}, 409),
        ({"sdkappid": 1 << 70}, 409),
        ({"charge_day": 0}, 409),
        ({"charge_day": 29}, 409),
        ({"billing_offset_ms": 10**12}, 409),
        ({"start": "soon"}, 400),
        ({"start": "0001-01-01"}, 409),
        ({"start": "9999-12-31"}, 409),
        ({"nonsense": 1}, 400),
        ({"plan": 7}, 400),
        ([], 400),
    ],
)
async def test_an_app_that_cannot_be_is_refused_with_one_line(body: object, status: int) -> None:
    async with a_server() as server:
        found, text = await server.control("POST", "/apps", body)
        assert found == status
        assert text.count("\n") == 1
        assert len((await server.control("GET", "/apps"))[1]["apps"]) == 1


@pytest.mark.parametrize("path", ["/apps/7", "/apps/7/journal", f"{APP}/statements/2026-10", f"{APP}/journal/x.arrow"])
async def test_what_is_not_there_is_not_found(path: str) -> None:
    async with a_server() as server:
        status, text = await server.control("GET", path)
        assert (status, text.count("\n")) == (404, 1)


@pytest.mark.parametrize("path", ["/apps/" + "9" * 5_000, "/apps/x", f"{APP}/journal/..%2f..%2fapp.json", "/nothing"])
async def test_odd_paths_are_not_found(path: str) -> None:
    async with a_server() as server:
        assert (await server.control("GET", path))[0] == 404


async def test_a_clock_moves_to_an_instant_or_by_a_while() -> None:
    async with a_server() as server:
        moved = await server.control("PUT", f"{APP}/clock", {"now_ms": at_ms("2026-10-02")})
        assert moved == (200, {"now_ms": at_ms("2026-10-02"), "epoch": 1})
        moved = await server.control("PUT", f"{APP}/clock", {"advance_ms": 1_000})
        assert moved == (200, {"now_ms": at_ms("2026-10-02", "00:00:01"), "epoch": 2})


async def test_a_clock_follows_real_time_when_told_so() -> None:
    async with a_server() as server:
        await server.control("PUT", f"{APP}/clock", {"real": True})
        status = await server.status()
        assert (status["now_ms"], status["is_clock_fixed"]) == (REAL_MS, False)


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"now_ms": at_ms("2026-10-01") - 1}, 409),
        ({"advance_ms": -1}, 409),
        ({"now_ms": LATEST_MS + 1}, 409),
        ({"now_ms": 10**18}, 409),
        ({"now_ms": 10**30}, 409),
        ({"advance_ms": 10**18}, 409),
        ({"now_ms": "tomorrow"}, 400),
        ({}, 400),
    ],
)
async def test_a_clock_that_cannot_be_moved_so_stays(wish: dict[str, object], status: int) -> None:
    async with a_server() as server:
        assert (await server.control("PUT", f"{APP}/clock", wish))[0] == status
        found = await server.status()
        assert (found["now_ms"], found["epoch"], found["statements"]) == (at_ms("2026-10-01"), 0, [])


async def test_a_clock_ahead_of_real_time_cannot_follow_it() -> None:
    async with a_server() as server:
        await server.move_clock(REAL_MS + 1)
        assert (await server.control("PUT", f"{APP}/clock", {"real": True}))[0] == 409


async def test_months_close_and_are_charged_at_their_instants_on_one_long_jump() -> None:
    async with a_server() as server:
        await server.move_clock(at_ms("2027-03-02"))
        status = await server.status()
        assert status["statements"] == ["2026-10", "2026-11", "2026-12", "2027-01", "2027-02"]
        charged = [(await server.statement(month))["charged_on"] for month in status["statements"]]
        assert charged == ["2026-11-03", "2026-12-03", "2027-01-03", "2027-02-03", None]


async def test_a_real_clock_closes_its_month_by_itself() -> None:
    real_ms = at_ms("2026-11-30", "23:59:59")
    async with a_server(some_settings(start=None), real_ms=lambda: real_ms) as server:
        assert (await server.status())["statements"] == []
        real_ms = at_ms("2026-12-01")
        await server.app.settled_ms()
        assert list(server.app.statements) == ["2026-11"]


async def test_a_reset_app_begins_anew() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        status, fresh = await server.control("POST", f"{APP}/reset", {"start": "2026-03-01"})
        assert (status, fresh["accounts"], fresh["month"], fresh["journal_rows"]) == (200, 0, "2026-03", 1)


async def test_what_a_reset_leaves_is_gone_with_the_server_or_at_the_next_start(tmp_path: Path) -> None:
    async with a_server(some_settings(data_dir=tmp_path)) as server, server.connected() as wire:
        await wire.login("alice")
        old = server.app
        assert (await server.control("POST", f"{APP}/reset"))[0] == 200
        assert old.is_retired
    folder = tmp_path / str(SDKAPPID)
    assert sorted(path.name for path in folder.iterdir()) == ["app.json", "journal"]
    assert await old.store.numbers(["alice"]) == [0]
    # As a server leaves it that is killed in between.
    (folder / "journal.gone-1").mkdir()
    async with a_server(some_settings(data_dir=tmp_path)):
        assert sorted(path.name for path in folder.iterdir()) == ["app.json", "journal"]


async def test_a_reset_that_cannot_be_leaves_the_app_as_it_was() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        assert (await server.control("POST", f"{APP}/reset", {"start": "9999-01-01"}))[0] == 409
        assert (await server.status())["accounts"] == 1


def chain_head(data: bytes) -> str:
    """The chain of `docs/run-files.md`, recomputed from the bytes of a segment without our reader."""
    head = bytes(32)
    for metadata, body in messages(data):
        head = hashlib.blake2b(head + metadata[:-32] + body, digest_size=32).digest()
        assert metadata[-32:] == head
    return head.hex()


def messages(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    source = pa.BufferReader(data)
    while source.tell() < len(data):
        message = pa.ipc.read_message(source)
        yield message.metadata.to_pybytes(), message.body.to_pybytes() if message.body else b""


async def test_the_journal_is_fetched_whole_and_its_chain_holds() -> None:
    async with a_server() as server, server.connected("kr", "c0ffee") as wire:
        await wire.login("alice", status_instid=4)
        await wire.login("alice", usersig="bad")
        _, journal = await server.control("GET", f"{APP}/journal")
        (file,) = journal["files"]
        async with server.http.get(
            f"{server.running.control_url}{APP}/journal/{file['name']}",
            headers={"Authorization": "Bearer token-of-tests"},
        ) as response:
            data = await response.read()
    assert (len(data), chain_head(data)) == (file["bytes"], journal["head"])
    rows = pa.ipc.open_stream(data).read_all().to_pylist()
    assert [row["seq"] for row in rows] == [1, 2, 3, 4] == list(range(1, journal["last_seq"] + 1))
    assert [row["kind"] for row in rows] == [1, 3, 5, 6]
    assert rows[1]["text"] == "c0ffee kr"
    assert (rows[2]["user_id"], rows[2]["instance"], rows[2]["platform"], rows[2]["counted_day"]) == (
        "alice",
        4,
        7,
        20_727,
    )
    assert (rows[3]["code"], rows[3]["user_id"], rows[3]["counted_day"]) == (70003, "alice", -1)
    assert KEY not in rows[0]["text"]


async def test_the_control_api_may_have_a_port_of_its_own() -> None:
    async with a_server(some_settings(control_port=0)) as server:
        assert (await server.status())["accounts"] == 0
        await server.page(f"/control/v1{APP}", status=404)


async def test_health_and_metrics_need_no_token() -> None:
    async with a_server() as server:
        assert [await server.page(path) for path in ("/healthz", "/readyz")] == ["ok\n", "ok\n"]
        await server.import_account("alice")
        assert f'im_accounts{{sdkappid="{SDKAPPID}"}} 1.0' in await server.page("/metrics")

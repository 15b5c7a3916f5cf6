"""What an app's news begin with, once they are too many to be kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from mock_im_server.app import running
from mock_im_server.domain.faults import FaultRule
from mock_im_server.service.groups import NewGroup
from mock_im_server.service.kept import Kept
from mock_im_server.shared import base, keys
from mock_im_server.shared import peers as shared_peers
from mock_im_server.shared.apps import SharedApps
from mock_im_server.shared.peers import Listener, OutdatedError
from proofs.redis_server import RedisServer
from tests.serving import REAL_MS, SDKAPPID, Server, at_ms, identity, some_settings


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def redis_keys(redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis.url) as client:
        await client.flushdb()
        yield client


@asynccontextmanager
async def a_process(redis: RedisServer, folder: Path, http: ClientSession) -> AsyncIterator[Server]:
    settings = replace(some_settings(data_dir=folder, plan="trial"), store=redis.url)
    async with running(settings, real_ms=lambda: REAL_MS) as server:
        yield Server(server, http)


def listener_of(server: Server) -> Listener:
    assert isinstance(server.running.apps, SharedApps)
    return server.running.apps.listener


async def known_to(server: Server) -> Kept:
    await server.running.apps.catch_up()
    return server.app.kept()


async def differences(*servers: Server) -> set[str]:
    """What they do not all know alike; named only, as it is long."""
    known = [await known_to(server) for server in servers]
    differ = {
        name for name in Kept.__struct_fields__ if any(getattr(one, name) != getattr(known[0], name) for one in known)
    }
    clocks = {(one.clock.fixed_ms, one.clock.epoch) for one in known}
    return differ - {"clock"} | ({"clock"} if len(clocks) > 1 else set())


async def prefix_of(redis_keys: Redis) -> str:
    (found,) = [key async for key in redis_keys.scan_iter("*}:news")]
    return bytes(found).decode().removesuffix("news")


async def a_life(server: Server) -> None:
    """Some of all that processes tell each other."""
    app = server.app
    await app.accounts.import_all(["ann", "ben", "cat", "dan"])
    for name in ("kept", "left", "gone", "handed"):
        await app.groups.create(NewGroup(name, "Public", "ann", members=(("ben", "Admin"),), max_members=20))
    await app.groups.join("kept", "cat", joined_s=7)
    await app.groups.leave("left", "ben")
    await app.groups.destroy("gone")
    await app.groups.change_owner("handed", "ben")
    await app.groups.change("kept", {"Name": "Kept"}, max_members=30)
    await app.accounts.delete_all(["dan"])
    await app.accounts.kick("cat")
    await app.accounts.kick("cat")
    await app.faults.set([FaultRule(api="group_open_http_svc/*", latency_ms=1, share=0.5, seed=3)])
    await app.calls.open_trial()
    await app.calls.start("ended", [("ann", "audio"), ("ben", "hd")])
    await app.move_clock(at_ms("2026-10-02", "00:10:00"))
    await app.calls.end("ended")
    await app.calls.start("running", [("ann", "audio")])
    await server.running.apps.change_plan(SDKAPPID, "pro")
    await app.move_clock(at_ms("2026-11-02"))
    await app.journal.written()


@pytest.fixture
def bases_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is due after each entry, and no entry is too young to be dropped."""
    monkeypatch.setattr(base, "EVERY_ENTRIES", 1)
    monkeypatch.setattr(base, "ENTRY_BYTES", float("inf"))
    monkeypatch.setattr(base, "KEPT_MS", 0)


@pytest.mark.usefixtures("bases_at_once")
async def test_a_process_that_starts_later_knows_what_the_dropped_news_said(
    tmp_path: Path, redis: RedisServer, redis_keys: Redis, http: ClientSession
) -> None:
    async with a_process(redis, tmp_path / "one", http) as one, a_process(redis, tmp_path / "two", http) as two:
        await a_life(one)
        prefix = await prefix_of(redis_keys)
        said = await redis_keys.xlen(keys.news(prefix))
        await listener_of(two).shorten()
        assert await redis_keys.exists(keys.base(prefix))
        assert await redis_keys.xlen(keys.news(prefix)) < said / 2

        async with a_process(redis, tmp_path / "later", http) as later:
            known = await known_to(one)
            assert not await differences(one, later)
            assert {group.group_id for group in known.groups} == {"kept", "left", "handed"}
            assert list(known.statements) == ["2026-10"]
            assert known.generations

            await later.app.groups.join("kept", "dan")
            await later.app.accounts.kick("cat")
            await later.app.move_clock(at_ms("2026-12-04"))
            assert not await differences(one, two, later)
            assert list(one.app.statements) == ["2026-10", "2026-11"]


@pytest.mark.usefixtures("bases_at_once")
async def test_a_session_of_before_is_resumed_at_a_process_that_began_with_a_base(
    tmp_path: Path, redis: RedisServer, redis_keys: Redis, http: ClientSession
) -> None:
    async with a_process(redis, tmp_path / "one", http) as one:
        await one.app.accounts.import_all(["ann"])
        await one.app.accounts.kick("ann")
        async with one.connected() as wire:
            login = await wire.login("ben")
        await listener_of(one).shorten()
        assert await redis_keys.exists(keys.base(await prefix_of(redis_keys)))

        async with a_process(redis, tmp_path / "later", http) as later, later.connected() as wire:
            resumed = await wire.ask("im_open_status.wslogin", {"State": "Online"}, **identity(login))
            assert resumed["TinyId"] == login["TinyId"]


async def test_news_behind_a_base_are_heard_after_it(
    tmp_path: Path, redis: RedisServer, redis_keys: Redis, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "EVERY_ENTRIES", 1)
    monkeypatch.setattr(base, "ENTRY_BYTES", float("inf"))
    async with a_process(redis, tmp_path / "one", http) as one:
        await one.app.groups.create(NewGroup("early", "Public"))
        await listener_of(one).shorten()
        await one.app.groups.create(NewGroup("late", "Public"))
        await one.app.groups.destroy("early")
        await one.app.journal.written()
        # All of them are of the last minute.
        assert await redis_keys.xlen(keys.news(await prefix_of(redis_keys))) == 3

        async with a_process(redis, tmp_path / "later", http) as later:
            assert [group.group_id for group in (await known_to(later)).groups] == ["late"]


@pytest.mark.usefixtures("bases_at_once")
async def test_what_was_said_of_an_access_point_before_its_last_state_is_dropped(
    tmp_path: Path, redis: RedisServer, redis_keys: Redis, http: ClientSession
) -> None:
    async with a_process(redis, tmp_path / "one", http) as one:
        await one.control("PUT", f"/apps/{SDKAPPID}/routing", {"policy": "latency_table"})
        for capacity in (0.5, 0.6, 0.7):
            await one.control("PUT", "/access_points/sg", {"capacity": capacity})
        before = await redis_keys.xlen(keys.NEWS)
        await listener_of(one).shorten()
        assert await redis_keys.xlen(keys.NEWS) == before - 2

        async with a_process(redis, tmp_path / "later", http) as later:
            for path in ("/access_points", f"/apps/{SDKAPPID}/routing"):
                answer = await one.control("GET", path)
                assert answer[0] == 200
                assert await later.control("GET", path) == answer


@pytest.mark.usefixtures("bases_at_once")
async def test_a_process_that_was_silent_while_news_were_dropped_says_so(
    tmp_path: Path, redis: RedisServer, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_process(redis, tmp_path / "one", http) as one, Redis.from_url(redis.url) as client:
        stopped = Listener(client, "stopped")
        await stopped.catch_up()
        monkeypatch.setattr(shared_peers, "SILENT_S", -1.0)
        await stopped.catch_up()

        for capacity in (0.5, 0.6, 0.7):
            await one.control("PUT", "/access_points/sg", {"capacity": capacity})
        await listener_of(one).shorten()

        with pytest.raises(OutdatedError, match="dropped news"):
            await stopped.catch_up()

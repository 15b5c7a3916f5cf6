"""Apps spread over the nodes of a Redis cluster; what one app has is at one node."""

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from redis import Redis

from mock_im_server.domain.apps import AppSettings
from mock_im_server.service import App
from mock_im_server.service.groups import NewGroup
from proofs.redis_server import redis_cluster
from tests.serving import KEY, SDKAPPID, a_server, at_ms, some_settings

APPS = [SDKAPPID + number for number in range(6)]


async def a_month(app: App) -> None:
    assert await app.accounts.import_all(["alice", "bob"]) == [0, 0]
    assert (await app.groups.create(NewGroup("walkers", "Public", "alice")))[0] == 0
    assert await app.groups.join("walkers", "bob") == 0
    assert await app.groups.leave("walkers", "bob") == 0
    await app.move_clock(at_ms("2026-11-04"))
    await app.journal.written()


async def test_a_server_takes_a_cluster_for_its_store(tmp_path: Path) -> None:
    with redis_cluster(tmp_path / "redis") as nodes:
        settings = replace(some_settings(data_dir=tmp_path / "one"), store=nodes[0].url)
        settings = replace(settings, apps=tuple(AppSettings(sdkappid, "pro", KEY) for sdkappid in APPS))
        other = replace(settings, data_dir=tmp_path / "two", store=nodes[1].url)
        async with a_server(settings) as one, a_server(other) as two:
            async with one.connected() as wire:
                await wire.login("alice")
            async with two.connected() as wire:
                await wire.login("alice")
            for app in one.running.apps.values():
                await a_month(app)
            await two.running.apps.catch_up()
            for app in two.running.apps.values():
                status = await app.status()
                assert status["accounts"] == 2
                assert list(app.groups["walkers"].members) == ["alice"]
            assert two.running.apps[APPS[0]].statements["2026-10"]["peak_dau"] == 1

            await two.running.apps.reset(APPS[1], fixed_ms=at_ms("2026-10-01"))
            await one.running.apps.catch_up()
            assert (await one.running.apps[APPS[1]].status())["accounts"] == 0
            cuts = [await app.journal.cut() for app in one.running.apps.values()]
            assert [cut.last_seq for cut in cuts] == [cut.rows for cut in cuts]
            assert min(cut.rows for cut in cuts) >= 1

        with ExitStack() as stack:
            clients = [stack.enter_context(closing(Redis("127.0.0.1", node.port))) for node in nodes]
            lasting = [[key for key in client.keys("im:{*") if client.ttl(key) == -1] for client in clients]
            tags = [{key.split(b"}")[0] for key in keys} for keys in lasting]
    assert sum(map(bool, tags)) > 1
    # Each app is at one node, and nothing is left of the one before the reset.
    assert sum(map(len, tags)) == len(set().union(*tags)) == len(APPS)

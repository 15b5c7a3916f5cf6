"""States of access points and choices of routing stand in the journals, and hold after a restart."""

import json
from pathlib import Path
from typing import Any

from mock_im_server import journal as log
from tests.serving import SDKAPPID, Server, a_server, some_settings

ROUTING = f"/apps/{SDKAPPID}/routing"


def said(folder: Path, kind: int, sdkappid: int = SDKAPPID) -> list[dict[str, Any]]:
    rows = [row for batch in log.read(folder / str(sdkappid) / "journal").batches for row in batch.to_pylist()]
    return [json.loads(row["text"]) for row in rows if row["kind"] == kind]


async def trouble(server: Server) -> None:
    for code, wish in (
        ("kr", {"state": "down"}),
        ("jp", {"capacity": 0.5}),
        ("kr", {"state": "draining"}),
        ("kr", {"state": "draining"}),
    ):
        await server.control("PUT", f"/access_points/{code}", wish)


async def test_every_apps_journal_says_of_every_change_and_of_no_other(tmp_path: Path) -> None:
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        await server.control("POST", "/apps", {"sdkappid": SDKAPPID + 1})
        await trouble(server)
        await server.control("PUT", ROUTING, {"policy": "latency_table", "pin": ["jp", "kr"]})
        await server.control("PUT", ROUTING, {"policy": "latency_table", "pin": ["jp", "kr"]})

    changes = [
        (text["version"], text["code"], text["state"], text["capacity"]) for text in said(tmp_path, log.ACCESS_CHANGED)
    ]
    assert changes == [(2, "kr", "down", 1.0), (3, "jp", "up", 0.5), (4, "kr", "draining", 1.0)]
    assert said(tmp_path, log.ACCESS_CHANGED, SDKAPPID + 1) == said(tmp_path, log.ACCESS_CHANGED)
    assert said(tmp_path, log.ROUTING_CHANGED) == [
        {"version": 5, "policy": "latency_table", "pin": ["jp", "kr"], "hysteresis_ms": 10.0}
    ]
    assert said(tmp_path, log.ROUTING_CHANGED, SDKAPPID + 1) == []


async def test_a_restart_goes_on_with_states_choices_and_version(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings) as server:
        await trouble(server)
        await server.control("PUT", ROUTING, {"policy": "latency_table", "pin": ["jp", "kr"], "hysteresis_ms": 5})
        before = [await server.control("GET", path) for path in ("/access_points", ROUTING)]
    async with a_server(settings) as server:
        assert [await server.control("GET", path) for path in ("/access_points", ROUTING)] == before
        assert (await server.control("PUT", "/access_points/kr", {"state": "up"}))[1]["version"] == 6


async def test_a_journal_that_begins_amid_trouble_says_so(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings) as server:
        await trouble(server)
        await server.control("PUT", ROUTING, {"policy": "client_probe"})
        await server.control("POST", f"/apps/{SDKAPPID}/reset", {"start": "2026-10-01"})
        before = await server.control("GET", "/access_points")
    assert [(text["code"], text["state"]) for text in said(tmp_path, log.ACCESS_CHANGED)] == [
        ("jp", "up"),
        ("kr", "draining"),
    ]
    assert [text["policy"] for text in said(tmp_path, log.ROUTING_CHANGED)] == ["client_probe"]
    async with a_server(settings) as server:
        assert await server.control("GET", "/access_points") == before


async def test_each_point_shows_its_connections_state_and_capacity() -> None:
    async with a_server() as server, server.connected("kr"):
        await server.control("PUT", "/access_points/jp", {"state": "down", "capacity": 0.5})
        page = await server.page("/metrics")

    for line in (
        'im_access_point_connections{access_point="kr"} 1.0',
        'im_access_point_up{access_point="kr"} 1.0',
        'im_access_point_up{access_point="jp"} 0.0',
        'im_access_point_capacity{access_point="jp"} 0.5',
        "im_routing_version 2.0",
    ):
        assert line in page

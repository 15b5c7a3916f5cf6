"""Trouble at access points: who is cut off, who is asked to move, who is refused."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from tests.serving import ANSWER_TIMEOUT_S, SDKAPPID, Server, Wire, a_server, identity, some_settings


async def set_state(server: Server, code: str, state: str) -> int:
    status, point = await server.control("PUT", f"/access_points/{code}", {"state": state})
    assert status == 200, point
    return int(point["version"])


async def refusal(server: Server, access_point: str) -> tuple[int, str]:
    """Status and text of a handshake that fails."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    url = f"{server.running.url}/ap/{access_point}/binfo"
    async with server.http.get(url, headers=headers) as response:
        return response.status, await response.text()


async def connections(server: Server, code: str) -> int:
    listed = (await server.control("GET", "/access_points"))[1]["points"]
    return next(int(point["connections"]) for point in listed if point["code"] == code)


async def pushed(wire: Wire) -> Any:
    return json.loads(await wire.socket.receive_bytes(timeout=ANSWER_TIMEOUT_S))


async def test_a_lost_point_cuts_its_connections_and_no_others() -> None:
    async with (
        a_server() as server,
        server.connected("kr") as lost,
        server.connected("jp") as other,
        server.connected() as nowhere,
    ):
        await lost.login("alice")
        await other.login("bob")
        await set_state(server, "kr", "down")
        assert await lost.closes()
        assert (await other.login("bob"))["ErrorCode"] == 0
        assert (await nowhere.login("carol"))["ErrorCode"] == 0
        assert await refusal(server, "kr") == (503, "access point 'kr' is down\n")
        with pytest.raises(WSServerHandshakeError):
            await server.connected("kr").__aenter__()


async def test_sessions_end_with_the_point_and_a_resume_elsewhere_counts_for_nothing() -> None:
    async with a_server() as server:
        async with server.connected("kr") as lost:
            ticket = identity(await lost.login("alice"))
            await set_state(server, "kr", "down")
            assert await lost.closes()
        while (await server.status())["online"]:
            pass
        async with server.connected("jp") as wire:
            assert (await wire.ask("im_open_status.wslogin", **ticket))["ErrorCode"] == 0
            status = await server.status()
            assert (status["online"], status["dau"], status["logins"]) == (1, 1, 1)
        assert await connections(server, "kr") == 0


async def test_a_draining_point_asks_its_clients_to_move_and_keeps_them_meanwhile() -> None:
    async with a_server() as server, server.connected("kr") as wire, server.connected("kr") as silent:
        await wire.login("alice")
        version = await set_state(server, "kr", "draining")
        body = {"AccessPoint": "kr", "Version": version}
        head = {"ver": "v4", "servcmd": "im_mock_access.move", "seq": 0, "sdkappid": SDKAPPID}
        assert await pushed(wire) == {"head": head, "body": body}
        assert await pushed(silent) == {"head": {**head, "sdkappid": 0}, "body": body}
        assert (await wire.login("alice"))["ErrorCode"] == 0
        assert await refusal(server, "kr") == (503, "access point 'kr' is draining\n")
        assert await connections(server, "kr") == 2
        await set_state(server, "kr", "down")
        assert await wire.closes()


async def test_capacity_alone_disturbs_nobody_but_drives_no_one_away_either() -> None:
    async with a_server() as server, server.connected("kr") as wire:
        await server.control("PUT", "/access_points/kr", {"capacity": 0.0})
        assert (await wire.login("alice"))["ErrorCode"] == 0
        async with server.connected("kr") as another:
            assert (await another.login("bob"))["ErrorCode"] == 0


async def test_a_point_that_flaps_takes_clients_again_each_time() -> None:
    async with a_server() as server:
        for _ in range(5):
            async with server.connected("kr") as wire:
                assert (await wire.login("alice"))["ErrorCode"] == 0
                await set_state(server, "kr", "down")
                assert await wire.closes()
            await set_state(server, "kr", "up")
        async with server.connected("kr") as wire:
            assert (await wire.login("alice"))["ErrorCode"] == 0


async def test_an_access_point_that_is_not_there_is_not_found() -> None:
    async with a_server() as server:
        assert await refusal(server, "atlantis") == (404, "there is no access point 'atlantis'\n")


@pytest.mark.parametrize("place", ["XX", "KR.Nowhere", "91,0", "1,", ",", "x,y"])
async def test_a_place_that_is_none_is_refused_where_distance_matters(place: str) -> None:
    async with a_server(replace(some_settings(), round_trips=1)) as server:
        status, text = await refusal(server, f"kr/from/{place}")
        assert (status, text.count("\n")) == (400, 1)


@pytest.mark.parametrize("query", ["country=XX", "latitude=1", "city=Seoul", "latitude=x&longitude=1"])
async def test_so_is_one_in_the_query(query: str) -> None:
    async with a_server(replace(some_settings(), round_trips=1)) as server:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        url = f"{server.running.url}/ap/kr/binfo?{query}"
        async with server.http.get(url, headers=headers) as response:
            assert (response.status, (await response.text()).count("\n")) == (400, 1)


@pytest.mark.parametrize(
    "place", ["?country=GB", "/from/GB/binfo", "/from/51.5,-0.1/binfo", "?latitude=51.5&longitude=0"]
)
async def test_answers_take_a_round_trip_where_the_client_says_where_it_is(place: str) -> None:
    loop = asyncio.get_running_loop()
    async with a_server(replace(some_settings(), round_trips=1)) as server:
        url = f"{server.running.gateway_url}/ap/nl{place.replace('?', '/binfo?')}"
        async with server.http.ws_connect(url) as socket:
            began = loop.time()
            assert (await Wire(socket, "").login("alice"))["ErrorCode"] == 0
            # 360 km: 18 ms by the model; the smallest of 4,096 factors is about 0.7.
            assert loop.time() - began > 0.7 * 0.018


async def test_without_a_place_or_without_the_option_answers_leave_at_once() -> None:
    # From Brazil to Korea it would take 0.4 s.
    loop = asyncio.get_running_loop()
    for settings, place in ((replace(some_settings(), round_trips=1), "kr"), (some_settings(), "kr/from/BR")):
        async with a_server(settings) as server, server.connected(place) as wire:
            took_s = []
            for _ in range(5):
                began = loop.time()
                assert (await wire.login("alice"))["ErrorCode"] == 0
                took_s.append(loop.time() - began)
            assert min(took_s) < 0.2

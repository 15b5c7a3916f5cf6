"""Who connects and says nothing is shown out, and a flood is kept outside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from mock_im_server.transport import connections as module
from mock_im_server.transport.connections import HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, Connections
from mock_im_server.transport.listeners import Listeners
from tests.serving import SDKAPPID, a_server, a_usersig

GET = b"GET /quick HTTP/1.1\r\nHost: here\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n"
WAITS_S = 10.0


class Door:
    """A listener with a quick and a slow answer behind it, and clients of bare sockets."""

    def __init__(self, connections: Connections, port: int) -> None:
        self.connections = connections
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, said: bytes = b"") -> asyncio.StreamReader:
        """A client that is inside, or was turned away, and has said something."""
        came = len(self.connections) + self.connections.refused
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(said)
        async with asyncio.timeout(WAITS_S):
            while len(self.connections) + self.connections.refused == came:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0.001)
        return reader

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def later(self, seconds: float) -> None:
        """Let so much time have passed for the connections."""
        await asyncio.sleep(0)
        self.connections.close_silent(asyncio.get_running_loop().time() + seconds)


@asynccontextmanager
async def a_door(most: int | None = None) -> AsyncIterator[Door]:
    connections = Connections(most)
    app = web.Application(middlewares=[connections.marking])
    release = asyncio.Event()

    async def quick(_request: web.Request) -> web.Response:
        return web.Response(text="quick")

    async def slow(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response(text="slow")

    app.add_routes([web.get("/quick", quick), web.get("/slow", slow)])
    runner, listeners = (
        web.AppRunner(app, shutdown_timeout=0.1),
        Listeners("127.0.0.1", connections, shares_ports=False),
    )
    door = Door(connections, await listeners.open(runner, 0))
    try:
        yield door
    finally:
        release.set()
        await door.close()
        listeners.close()
        await runner.cleanup()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(WAITS_S):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize("said", [b"", b"G", b"GET /quick HTTP/1.1\r\nHost: here\r\nA: "])
async def test_who_never_finishes_a_request_is_shown_out(said: bytes) -> None:
    async with a_door() as door:
        reader = await door.connect(said)

        await door.later(HEAD_TIMEOUT_S - 1)
        assert len(door.connections) == 1
        await door.later(HEAD_TIMEOUT_S + 1)

        assert await is_closed(reader)
        assert door.connections.timed_out == 1


async def test_who_waits_for_an_answer_may_wait() -> None:
    async with a_door() as door:
        await door.connect(SLOW)
        async with asyncio.timeout(WAITS_S):
            while not door.connections.working:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.001)

        await door.later(IDLE_TIMEOUT_S * 10)

        assert len(door.connections) == 1


async def test_between_two_requests_there_is_more_time() -> None:
    async with a_door() as door:
        reader = await door.connect(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b"quick")

        await door.later(HEAD_TIMEOUT_S + 1)
        assert len(door.connections) == 1
        await door.later(IDLE_TIMEOUT_S + 1)

        assert await is_closed(reader)


async def test_a_flood_is_kept_outside_and_those_inside_are_served() -> None:
    async with a_door(most=2) as door:
        first = await door.connect(GET)
        await first.readuntil(b"quick")
        await door.connect()
        third = await door.connect(GET)

        assert await is_closed(third)
        assert (len(door.connections), door.connections.refused) == (2, 1)


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_TIMEOUT_S", 0.05)
    async with a_server() as server:
        host, _, port = server.running.url.removeprefix("http://").partition(":")
        query = f"sdkappid={SDKAPPID}&identifier=administrator&usersig={a_usersig('administrator')}&random=1"
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v4/im_open_login_svc/account_import?{query} HTTP/1.1\r\nHost: here\r\nContent-Length: 20\r\n\r\n"
        writer.write(head.encode() + b'{"UserID":')
        async with asyncio.timeout(WAITS_S):
            answer = await reader.readuntil(b"}")
        writer.close()
        await writer.wait_closed()

    assert b'"ErrorCode":60008' in answer


async def test_there_is_room_for_what_the_operating_system_allows() -> None:
    assert Connections(10).most == 10
    assert Connections().most > 10

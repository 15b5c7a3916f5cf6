"""The ports of a server."""

import asyncio
import os
import ssl
from typing import Final

from aiohttp import web

from mock_im_server.transport.connections import Connections, only_text, with_target

BACKLOG: Final = 4_096


class Listeners:
    """Ports that are listened on; whoever comes in is watched."""

    def __init__(self, host: str, connections: Connections, *, shares_ports: bool) -> None:
        """With `shares_ports`, other processes listen on the same ones."""
        self._host = host
        self._connections = connections
        self._shares_ports = shares_ports
        self._servers: list[asyncio.Server] = []

    async def open(self, runner: web.AppRunner, port: int, context: ssl.SSLContext | None = None) -> int:
        """The port, which is a free one for 0. Raises OSError with one line when it is taken."""
        new_protocol = runner.server or await _set_up(runner)
        try:
            server = await asyncio.get_running_loop().create_server(
                self._connections.watched(new_protocol),
                self._host,
                port,
                backlog=BACKLOG,
                ssl=context,
                reuse_port=self._shares_ports or None,
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            message = f"cannot listen on {self._host}:{port}: {reason}"
            raise OSError(message) from error
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Take no further connection."""
        for server in self._servers:
            server.close()


async def _set_up(runner: web.AppRunner) -> web.Server:
    await runner.setup()
    server = runner.server
    assert server is not None, "set up above"
    server.request_handler = only_text(server.request_handler)
    server.request_factory = with_target(server.request_factory)
    return server

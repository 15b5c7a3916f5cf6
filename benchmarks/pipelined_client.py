"""A client that costs little itself: raw WebSocket frames over open connections, a fixed number in flight on each."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, cast

import uvloop

_UPGRADE: Final = (
    "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_LENGTH_16: Final = 126


class _Connection(asyncio.Protocol):
    def __init__(self, path: str, frames: Sequence[bytes], in_flight: int) -> None:
        self._path = path
        self._frames = frames
        self._in_flight = in_flight
        self._next = 0
        self._answered = 0
        self._is_upgraded = False
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write((_UPGRADE % self._path).encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._is_upgraded = True
            self._buffer = self._buffer[end + 4 :]
            self._send(self._in_flight)
        count = self._take_messages()
        self._answered += count
        if self._answered == len(self._frames):
            self.done.set_result(None)
        elif count:
            self._send(count)

    def _take_messages(self) -> int:
        buffer, at, count = self._buffer, 0, 0
        while len(buffer) - at >= 4:
            length, header = buffer[at + 1], 2
            if length == _LENGTH_16:
                length, header = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            if len(buffer) - at < header + length:
                break
            at += header + length
            count += 1
        self._buffer = buffer[at:]
        return count

    def _send(self, count: int) -> None:
        frames = self._frames[self._next : self._next + count]
        self._next += len(frames)
        self.transport.write(b"".join(frames))


async def _run(port: int, frames: Sequence[bytes], connections: int, in_flight: int, path: str) -> float:
    each = len(frames) // connections
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    opened = []
    for number in range(connections):
        part = frames[number * each : (number + 1) * each]
        _, connection = await loop.create_connection(
            lambda part=part: _Connection(path, part, in_flight), "127.0.0.1", port
        )
        opened.append(connection)
    await asyncio.gather(*(connection.done for connection in opened))
    duration = time.perf_counter() - began
    for connection in opened:
        connection.transport.close()
    return duration


def run(port: int, frames: Sequence[bytes], connections: int, in_flight: int, path: str = "/binfo") -> float:
    """Seconds until every frame has its answer; the connections are closed afterwards."""
    return uvloop.run(_run(port, frames, connections, in_flight, path))

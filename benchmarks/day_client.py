"""Users who log in and out again, over a few trunks: as fast as answers come. A process of its own."""

import asyncio
import sys
from collections.abc import Iterator
from typing import cast

import msgspec
import uvloop

from benchmarks.idle_client import UPGRADE
from benchmarks.login_frames import payload
from mock_im_server.settings import DEMO_APP

TRUNKS = 4
IN_FLIGHT = 250
PROGRESS = 100_000
_MASK = bytes(4)
"""Nothing: a mask is asked for by the protocol, and not that it hides anything."""


class _Head(msgspec.Struct):
    servcmd: str
    seq: int


class _Body(msgspec.Struct):
    ErrorCode: int = 0
    A2Key: str = ""
    TinyId: str = ""
    InstId: int = 0


class _Answer(msgspec.Struct):
    head: _Head
    body: _Body


_decode = msgspec.json.Decoder(_Answer).decode


class _Trunk(asyncio.Protocol):
    def __init__(self, users: Iterator[int]) -> None:
        self._users = users
        self._buffer = b""
        self._is_upgraded = False
        self._online = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        frames: list[bytes] = []
        if not self._is_upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._is_upgraded, self._buffer = True, self._buffer[end + 4 :]
            for _ in range(IN_FLIGHT):
                self._begin_one(frames)
        for message in self._messages():
            self._go_on(message, frames)
        self._transport.write(b"".join(frames))
        if not self._online and not self.done.done():
            self.done.set_result(None)

    def _go_on(self, message: bytes, frames: list[bytes]) -> None:
        answer = _decode(message)
        assert not answer.body.ErrorCode, message
        if answer.head.servcmd.endswith("wslogin"):
            body = answer.body
            frames.append(
                _frame(
                    f'{{"head":{{"ver":"v4","platform":7,"sdkappid":{DEMO_APP.sdkappid},"seq":{answer.head.seq},'
                    f'"servcmd":"im_open_status.wslogout","a2":"{body.A2Key}","tinyid":"{body.TinyId}",'
                    f'"status_instid":{body.InstId}}},"body":{{}}}}'.encode()
                )
            )
            return
        self._online -= 1
        self._begin_one(frames)

    def _begin_one(self, frames: list[bytes]) -> None:
        user = next(self._users, None)
        if user is not None:
            self._online += 1
            frames.append(_frame(payload(user, user + 1)))

    def _messages(self) -> Iterator[bytes]:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 4:
            length, header = buffer[at + 1], 2
            if length == 126:
                length, header = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            if len(buffer) - at < header + length:
                break
            yield buffer[at + header : at + header + length]
            at += header + length
        self._buffer = buffer[at:]


def _frame(data: bytes) -> bytes:
    size = len(data)
    length = bytes([128 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x82" + length + _MASK + data


def _counted(first: int, count: int) -> Iterator[int]:
    for user in range(first, first + count):
        if user % PROGRESS == 0:
            print(user, flush=True)
        yield user


async def _main(port: int, first: int, count: int) -> None:
    users = _counted(first, count)
    loop = asyncio.get_running_loop()
    trunks = [(await loop.create_connection(lambda: _Trunk(users), "127.0.0.1", port))[1] for _ in range(TRUNKS)]
    await asyncio.gather(*[trunk.done for trunk in trunks])


if __name__ == "__main__":
    uvloop.run(_main(*map(int, sys.argv[1:])))

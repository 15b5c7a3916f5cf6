"""Opens WebSockets from one source address, says when all are open, and keeps them until its input ends."""

import asyncio
import sys
from typing import cast

import uvloop

from mock_im_server.settings import DEMO_APP

AT_ONCE = 200
UPGRADE = (
    f"GET /binfo?sdkappid={DEMO_APP.sdkappid}&instanceid=idle HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


class _Idle(asyncio.Protocol):
    def __init__(self) -> None:
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(UPGRADE)

    def data_received(self, _data: bytes) -> None:
        if not self.open.done():
            self.open.set_result(None)


async def _main(port: int, source: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    for first in range(0, count, AT_ONCE):
        opened = await asyncio.gather(
            *[
                loop.create_connection(_Idle, "127.0.0.1", port, local_addr=(source, 0))
                for _ in range(min(AT_ONCE, count - first))
            ]
        )
        await asyncio.gather(*[protocol.open for _, protocol in opened])
    print("open", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

"""A CONNECT proxy that leads every host to one address: for clients that have the vendor's host built in.

python examples/connect_proxy.py --port 18444 --to 127.0.0.1:18443

Then HTTPS_PROXY=http://127.0.0.1:18444 for the client, which must trust the server's certificate (`docs/wire.md`).
"""

import argparse
import asyncio
from contextlib import suppress
from functools import partial

HEADER_BYTES_MAX = 64 * 1024
PART_BYTES = 64 * 1024


async def lead(to: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"CONNECT "):
            there_reader, there_writer = await asyncio.open_connection(*to)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pass_on(reader, there_writer), pass_on(there_reader, writer))
        else:
            writer.write(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(PART_BYTES):
            writer.write(part)
            await writer.drain()
    writer.close()


async def serve(port: int, to: tuple[str, int]) -> None:
    server = await asyncio.start_server(partial(lead, to), "127.0.0.1", port, limit=HEADER_BYTES_MAX)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 -- whoever starts it with port 0 needs to know
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="Lead every host to one address.")
    parser.add_argument("--port", type=int, default=18444, help="port of the proxy; 0 picks a free one")
    parser.add_argument("--to", default="127.0.0.1:18443", metavar="HOST:PORT", help="the server's TLS listener")
    options = parser.parse_args()
    host, _, port = options.to.rpartition(":")
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, (host, int(port))))


if __name__ == "__main__":
    main()

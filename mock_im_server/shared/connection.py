"""The way to Redis, and the name under which this process is known there."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
END_RETRY_S: Final = 0.1


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    """Connections to the Redis of that URL, until the block ends. Raises OSError when it does not answer now."""
    redis = Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=ANSWER_TIMEOUT_S)
    try:
        try:
            await redis.ping()
        except RedisError as error:
            message = f"no Redis answers at {url}: {error}"
            raise OSError(message) from error
        yield redis
    finally:
        await redis.aclose()


def own_name() -> str:
    """Unlike any other process's, also of another machine and after a restart."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task that talks to Redis, and wait for its end.

    More than once: a client that reads may take a cancellation for its own time-out, and go on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=END_RETRY_S)

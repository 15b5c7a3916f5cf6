"""The way to Redis, and the name under which this process is known there."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any, Final, TypeVar, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mock_im_server.stores.base import StoreAwayError
from mock_im_server.stores.redis import AWAY, drop_idle, let_end

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
END_RETRY_S: Final = 0.1
ATTEMPTS: Final = 2

_T = TypeVar("_T")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    """Connections to the Redis of that URL, or to the cluster that it belongs to, until the block ends.

    Raises OSError when it does not answer now.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
        # What changes something must not be asked twice: the first time may have done it.
        "retry": Retry(NoBackoff(), 0),
    }
    redis: Redis = Redis.from_url(url, **options)
    try:
        try:
            if (await redis.info("cluster"))["cluster_enabled"]:
                await redis.aclose()
                # It takes the same commands, as long as all keys of one are at one node.
                redis = cast("Redis", RedisCluster.from_url(url, **options))
                await redis.ping()
        except AWAY as error:
            message = f"no Redis answers at {url}: {error}"
            raise OSError(message) from error
        yield redis
    finally:
        await redis.aclose()


async def repeated(redis: Redis, ask: Callable[[], Awaitable[_T]]) -> _T:
    """What Redis answers to a question that may be asked again: after a restart, old connections fail once each.

    Raises StoreAwayError.
    """
    for attempt in range(ATTEMPTS):
        try:
            return await ask()
        except AWAY as error:
            await drop_idle(redis)
            if attempt == ATTEMPTS - 1:
                message = f"Redis does not answer: {error}"
                raise StoreAwayError(message) from error
        finally:
            let_end()
    raise AssertionError("the last attempt returns or raises")


def own_name() -> str:
    """Unlike any other process's, also of another machine and after a restart."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


async def ended(task: asyncio.Task[None], *, tidies_s: float = 0) -> None:
    """Cancel a task that talks to Redis, and wait for its end; `tidies_s` is what it may need to leave things tidy.

    More than once: its client may forget a cancellation, and go on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=tidies_s + END_RETRY_S)

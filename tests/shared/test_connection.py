"""The way to Redis: a task on it ends when it is told to."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mock_im_server.shared.connection import repeated
from mock_im_server.stores.redis import answered

type_ask = Callable[[], Awaitable[object]]


async def asked_again(ask: type_ask) -> object:
    return await repeated(Redis(), ask)


async def asked_once(ask: type_ask) -> object:
    return await answered(ask())


async def answers_all_the_same() -> int:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return 1


async def calls_it_a_failure() -> int:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        message = "the connection is gone"
        raise RedisConnectionError(message) from None
    return 1


@pytest.mark.parametrize("asked", [asked_again, asked_once])
@pytest.mark.parametrize("client", [answers_all_the_same, calls_it_a_failure])
async def test_a_task_that_is_told_to_end_does_so_although_its_client_forgets(
    asked: Callable[[type_ask], Awaitable[object]], client: type_ask
) -> None:
    async def goes_on() -> None:
        for _ in range(3):
            with suppress(Exception):
                await asked(client)

    task = asyncio.create_task(goes_on())
    await asyncio.sleep(0)
    task.cancel()

    await asyncio.wait([task], timeout=5)
    assert task.cancelled()

"""The journal of an app that several processes serve, where it ends."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Connection, Redis

from mock_im_server import journal as log
from mock_im_server.journal import Row
from mock_im_server.shared.stream_journal import StreamJournal
from mock_im_server.stores.base import StoreAwayError
from proofs.redis_server import RedisServer

WAITS_S = 10.0


async def _being_sent(journal: StreamJournal, seq: int) -> asyncio.Task[None]:
    """A row on its way to Redis."""
    journal.append(Row(seq, 0, log.GROUP_CHANGED, text="{}"))
    waiting = asyncio.create_task(journal.written())
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting


async def test_a_row_that_is_being_sent_is_not_written(tmp_path: Path, redis: RedisServer) -> None:
    async with Redis.from_url(redis.url) as client, asyncio.timeout(WAITS_S):
        journal = StreamJournal(client, "im:{1.0}:", "one", tmp_path)
        await _being_sent(journal, 1)

        assert not journal.is_written
        await journal.written()

        assert await client.xlen("im:{1.0}:events") == 1
        assert journal.is_written


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
        ConnectionResetError("the other side is gone"),
    ],
)
async def test_a_row_is_sent_again_where_a_connection_has_just_closed(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    errors = [error]
    send = Connection.send_packed_command

    async def closed_once(connection: Connection, *arguments: Any, **options: Any) -> None:
        if errors:
            raise errors.pop()
        await send(connection, *arguments, **options)

    async with Redis.from_url(redis.url) as client, asyncio.timeout(WAITS_S):
        await client.delete("im:{1.3}:events")
        journal = StreamJournal(client, "im:{1.3}:", "one", tmp_path)
        journal.append(Row(1, 0, log.GROUP_CHANGED, text="{}"))
        monkeypatch.setattr(Connection, "send_packed_command", closed_once)

        await journal.written()

        assert await client.xlen("im:{1.3}:events") == 1


async def test_nobody_waits_for_a_journal_that_was_closed(tmp_path: Path, redis: RedisServer) -> None:
    async with Redis.from_url(redis.url) as client, asyncio.timeout(WAITS_S):
        journal = StreamJournal(client, "im:{1.1}:", "one", tmp_path)
        first, second = await _being_sent(journal, 1), await _being_sent(journal, 2)

        journal.close()

        await asyncio.gather(first, second)


async def test_a_journal_that_is_closed_amid_a_question_says_so(tmp_path: Path, redis: RedisServer) -> None:
    async with Redis.from_url(redis.url) as client, asyncio.timeout(WAITS_S):
        await client.set("im:{1.2}:seq", 7)
        journal = StreamJournal(client, "im:{1.2}:", "one", tmp_path)
        asked = asyncio.create_task(journal.cut())
        await client.ping()

        journal.close()

        with pytest.raises(StoreAwayError, match="reset"):
            await asked

"""The journal of an app that several processes serve: rows go into a stream, from which one of them writes files."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from mock_im_server import journal as log
from mock_im_server.journal import Cut, Row
from mock_im_server.shared import keys
from mock_im_server.shared.connection import repeated
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.stores.redis import AWAY, drop_idle

RETRY_S: Final = 0.05
POLL_S: Final = 0.02
NOT_NEWS: Final = frozenset(
    {
        log.CONNECTED, log.DISCONNECTED, log.LOGGED_IN, log.LOGIN_REFUSED, log.RESUMED, log.RESUME_REFUSED,
        log.LOGGED_OUT, log.IMPORTED, log.IMPORT_REFUSED, log.DELETE_REFUSED, log.CREATE_REFUSED, log.DESTROY_REFUSED,
        log.JOIN_REFUSED, log.TRIAL_REFUSED, log.CALL_REFUSED, log.FAULT_MET, log.UNANSWERED,
    }
)  # fmt: skip
"""Kinds of rows that change nothing which another process keeps in mind."""

encode: Final[Callable[[Any], bytes]] = msgspec.msgpack.Encoder().encode
decode_rows: Final[Callable[[bytes], list[Row]]] = msgspec.msgpack.Decoder(list[Row]).decode


class StreamJournal:
    """Appends rows to an app's streams; satisfies `journal.Appendable`."""

    def __init__(self, redis: Redis, prefix: str, server: str, folder: Path) -> None:
        self._redis = redis
        self._prefix = prefix
        self._server = server
        self._folder = folder
        self._pending: list[Row] = []
        self._on_their_way = 0
        """Rows that are being sent and not yet in Redis, whoever asked for it."""
        self._waiting: list[asyncio.Future[None]] = []
        self._sending: asyncio.Task[None] | None = None
        self._messages = count(1)
        self._is_closed = False
        self.rows = 0
        """Of this process."""
        self._lost: list[int] = []

    def append(self, row: Row) -> None:
        self._pending.append(row)

    def note_lost(self, batch: int) -> None:
        """A batch of the store had no answer: the drain must know that no row will come for it."""
        self._lost.append(batch)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    def extend(self, rows: Sequence[Row]) -> None:
        self._pending += rows

    @property
    def is_written(self) -> bool:
        return not self._pending and not self._on_their_way

    async def written(self) -> None:
        """Return when all appended rows are in Redis; while it is away, that takes until it is back."""
        if self.is_written or self._is_closed:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        await done

    async def cut(self) -> Cut:
        """The journal's files, once they hold everything up to here. Raises StoreAwayError when the app is reset."""
        await self.written()
        goal = int(await repeated(self._redis, lambda: self._redis.get(self._prefix + "seq")) or 0)
        while not self._is_closed:
            found = await repeated(self._redis, lambda: self._redis.hgetall(keys.drained(self._prefix)))
            if found and int(found[b"last_seq"]) >= goal:
                files = [(self._folder / name, size) for name, size in json.loads(found[b"files"])]
                return Cut(files, int(found[b"rows"]), int(found[b"last_seq"]), bytes.fromhex(found[b"head"].decode()))
            await asyncio.sleep(POLL_S)
        raise StoreAwayError("the app was reset meanwhile")

    def files(self) -> list[Path]:
        return log.segments(self._folder)

    def close(self) -> None:
        """Take no further row: what comes after a reset belongs to nobody."""
        self._is_closed = True

    async def ended(self) -> None:
        """Return when, after `close`, nothing of this process can come to the streams any more."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        while (self._waiting or self._lost) and not self._is_closed:
            rows, self._pending = self._pending, []
            self._on_their_way = len(rows)
            waiting, self._waiting = self._waiting, []
            lost, self._lost = self._lost, []
            message = self._message(rows, lost)
            while (rows or lost) and not self._is_closed:
                try:
                    await self._put(message, rows)
                    break
                except AWAY:
                    # The rows' changes stand: nobody is answered until the rows do too.
                    await drop_idle(self._redis)
                    await asyncio.sleep(RETRY_S)
            self.rows += len(rows)
            self._on_their_way = 0
            _set_all(waiting)
        # Whoever began to wait while a journal was closed would wait for ever.
        _set_all(self._waiting)
        self._waiting.clear()
        self._sending = None

    def _message(self, rows: Sequence[Row], lost: Sequence[int]) -> dict[str, bytes | str | int]:
        # The number lets a reader see that it has had a message already: one that is sent again after a broken
        # connection may stand in the stream twice.
        message: dict[str, bytes | str | int] = {"server": self._server, "number": next(self._messages)}
        if rows:
            message["rows"] = encode(rows)
        if lost:
            message["lost"] = encode(lost)
        return message

    async def _put(self, message: dict[str, Any], rows: Sequence[Row]) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(keys.events(self._prefix), message)
            if news := [row for row in rows if row.kind not in NOT_NEWS]:
                pipe.xadd(keys.news(self._prefix), message | {"rows": encode(news)})
            if logins := sum(row.kind == log.LOGGED_IN for row in rows):
                pipe.hincrby(self._prefix + "counters", "logins", logins)
            await pipe.execute()


def _set_all(waiting: Sequence[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)

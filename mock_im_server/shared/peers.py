"""What server processes tell each other, and when they listen.

A process hears all news before it answers a request: whoever was told of a change by one process finds it at every
other. Between requests it listens every few milliseconds, for the sake of sessions that others end.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.lock import Lock

from mock_im_server.service import App
from mock_im_server.service.replay import Replay
from mock_im_server.shared import base, keys
from mock_im_server.shared.connection import repeated
from mock_im_server.shared.stream_journal import RETRY_S, decode_rows, encode
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.stores.redis import AWAY, answered

LISTEN_INTERVAL_S: Final = 0.02
ENTRIES_AT_ONCE: Final = 1_000
WHISPERS_KEPT_MS: Final = 5_000
SILENT_S: Final = base.KEPT_MS / 2_000
"""A process that has not listened for so long, half of what news are kept for, looks whether it has missed any."""
ATTEMPTS: Final = 20
MOVE_S: Final = 10.0
"""So long a process may take to move a clock; after that another one may, and the first one's rows are refused."""

_decode: Final = msgspec.msgpack.Decoder().decode

type_fields = Mapping[bytes, bytes]


class AppPeers:
    """The other processes of one app; satisfies `service.peers.Peers`."""

    def __init__(self, redis: Redis, prefix: str, server: str, listener: "Listener") -> None:
        self._redis = redis
        self._prefix = prefix
        self._server = server
        self._listener = listener
        self._forgotten = 0
        self._logins: list[int] = []
        self._pushes: list[tuple[Sequence[int], tuple[int, int], bytes]] = []

    async def catch_up(self) -> None:
        await self._listener.catch_up()

    async def wait(self) -> None:
        await asyncio.sleep(LISTEN_INTERVAL_S / 10)
        await self._listener.catch_up()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        lock = Lock(self._redis, keys.moving(self._prefix), timeout=MOVE_S, sleep=LISTEN_INTERVAL_S / 2)
        await answered(lock.acquire())
        try:
            await self._listener.catch_up()
            yield
        finally:
            with suppress(*AWAY):  # It has run out, or will.
                await lock.release()

    def logged_in(self, user: int, instance: int, platform: int) -> None:
        self._logins += user, instance, platform

    def push(self, users: Sequence[int], but: tuple[int, int], events: bytes) -> None:
        self._pushes.append((users, but, events))

    async def totals(self, *, online: int, logins: int, rows: int) -> tuple[int, int, int]:  # noqa: ARG002 -- shared ones are exact
        async def asked() -> list[Any]:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(keys.online(self._prefix), self._server, str(online))
                pipe.hvals(keys.online(self._prefix))
                pipe.hget(self._prefix + "counters", "logins")
                pipe.get(self._prefix + "seq")
                answers: list[Any] = await pipe.execute()
                return answers

        _, everywhere, counted, seq = await repeated(self._redis, asked)
        return sum(map(int, everywhere)), int(counted or 0), int(seq or 0)

    @property
    def is_far(self) -> bool:
        return True

    @property
    def settles(self) -> bool:
        return self._listener.leads

    def tag(self) -> str:
        return f".{self._server}"

    async def whisper(self, online: int) -> None:
        """Tell what nobody needs to keep: logins and pushes of the last moments, and how many are online here."""
        logins, self._logins = self._logins, []
        pushes, self._pushes = self._pushes, []
        if not logins and not pushes:
            return
        message = {"server": self._server, "logins": encode(logins), "pushes": encode(pushes)}
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(keys.whispers(self._prefix), message, minid=self._forgotten, approximate=True)
            pipe.hset(keys.online(self._prefix), self._server, str(online))
            entry, _ = await pipe.execute()
        # By Redis's clock: whoever has not listened for so long has nobody's attention any more.
        self._forgotten = max(0, int(entry.partition(b"-")[0]) - WHISPERS_KEPT_MS)


class _Followed:
    """An app whose streams are read."""

    def __init__(self, app: App, peers: AppPeers, replay: Replay, prefix: str) -> None:
        self.app = app
        self.peers = peers
        self.replay = replay
        self.prefix = prefix
        self.news, self.whispers = keys.news(prefix), keys.whispers(prefix)
        self.entries_left = 0
        """Of the news, when this process last wrote a base."""


class OutdatedError(Exception):
    """Raised when this process has not listened for so long that there were news which it cannot hear any more."""


class Listener:
    """Reads all streams of this server's apps, and the one about the apps themselves."""

    def __init__(self, redis: Redis, server: str) -> None:
        self._redis = redis
        self._server = server
        self._read_to: dict[str, bytes] = {keys.NEWS: b"0"}
        self._apps: dict[str, _Followed] = {}
        self._heard: dict[tuple[str, bytes], int] = {}
        self._lock = asyncio.Lock()
        self._begun = 0
        self._done = 0
        """The last reading that heard everything."""
        self._read_s: float | None = None
        self._news_left = 0
        self.leads = False
        """Whether this process does what one of them must do."""
        self._delivering: set[asyncio.Task[None]] = set()
        self.on_news: list[Callable[[Mapping[str, Any]], Awaitable[None]]] = []
        """Told what others tell about apps, access points, routing and webhooks."""

    async def follow(self, app: App, peers: AppPeers, replay: Replay, prefix: str) -> None:
        """Hear what an app's news have come to and all news behind that, and from now on what is whispered."""
        followed = _Followed(app, peers, replay, prefix)
        whispers_end = await self._end_of(followed.whispers)
        found, entries = await base.so_far(self._redis, prefix)
        self._read_to |= {followed.news: b"0", followed.whispers: whispers_end}
        if found is not None:
            replay.begin(found.kept)
            self._read_to[followed.news] = found.entry
            self._heard |= {(followed.news, server): number for server, number in found.heard.items()}
        await self._hear_rows(followed, followed.news, entries)
        self._apps[followed.news] = self._apps[followed.whispers] = followed

    async def shorten(self) -> None:
        """Drop news that nobody needs any more. For one process at a time, the one that leads."""
        for followed in dict.fromkeys(self._apps.values()):
            if await base.is_due(self._redis, followed.prefix, followed.entries_left):
                found = await self._base(followed)
                if found is not None:
                    followed.entries_left = await base.write(self._redis, followed.prefix, found)
        if await self._redis.xlen(keys.NEWS) - self._news_left >= base.EVERY_ENTRIES:
            entries = await self._redis.xrange(keys.NEWS)
            gone = list(base.repeated_later([(entry, _about(_decode(fields[b"news"]))) for entry, fields in entries]))
            if gone:
                # Said first: a process that has not heard them must not go on as if it had.
                await self._redis.set(keys.NEWS_FORGOTTEN, gone[0])
                await self._redis.xdel(keys.NEWS, *gone)
            self._news_left = len(entries) - len(gone)

    async def _base(self, followed: _Followed) -> base.Base | None:
        """The app as of an entry; None where rows of this process are on their way all the time."""
        app, journal = followed.app, followed.app.journal
        for _ in range(ATTEMPTS):
            await journal.written()
            rows = journal.rows
            await self.catch_up()
            # Sessions that the news have ended do so beside, and have their turn first.
            await asyncio.sleep(0)
            if app.is_retired:
                return None
            # Nothing of one's own is known here that is not in the stream, and what is there was heard.
            if journal.is_written and journal.rows == rows:
                heard = {server: number for (stream, server), number in self._heard.items() if stream == followed.news}
                return base.Base(self._read_to[followed.news], heard, app.kept())
        return None

    def forget(self, prefix: str) -> None:
        for stream in (keys.news(prefix), keys.whispers(prefix)):
            self._apps.pop(stream, None)
            self._read_to.pop(stream, None)
        self._heard = {
            (stream, server): heard for (stream, server), heard in self._heard.items() if stream in self._apps
        }

    async def tell(self, news: Mapping[str, Any]) -> None:
        """Tell the others about apps, access points, routing or webhooks."""
        message = {"server": self._server, "news": encode(news)}
        await repeated(self._redis, lambda: self._redis.xadd(keys.NEWS, message))

    async def catch_up(self) -> None:
        """Hear everything that others had told when this was called. Those who ask meanwhile share the next reading.

        Raises StoreAwayError.
        """
        begun = self._begun
        async with self._lock:
            if self._done > begun:
                return
            self._begun = reading = self._begun + 1
            while await self._read():
                pass
            self._done = reading

    async def run(self) -> None:
        """Listen and whisper until cancelled."""
        while True:
            try:
                for followed in set(self._apps.values()):
                    await followed.peers.whisper(len(followed.app.sessions))
                await self.catch_up()
                await asyncio.sleep(LISTEN_INTERVAL_S)
            except (StoreAwayError, *AWAY):
                await asyncio.sleep(RETRY_S)

    async def _read(self) -> bool:
        """Whether there may be more."""
        found = await repeated(self._redis, self._fetched)
        now_s = asyncio.get_running_loop().time()
        if self._read_s is not None and now_s - self._read_s > SILENT_S:
            await repeated(self._redis, partial(self._check_that_nothing_is_missed, now_s - self._read_s))
        self._read_s = now_s
        for name, entries in found:
            stream = name.decode()
            if stream == keys.NEWS:
                await self._hear(entries)
            elif (followed := self._apps.get(stream)) is not None:
                if stream == followed.news:
                    await self._hear_rows(followed, stream, entries)
                else:
                    self._hear_whispers(followed, stream, entries)
        return bool(found)

    async def _fetched(self) -> list[Any]:
        """What is new in the streams. One question for each app, whose streams are at one node of a cluster."""
        at_one_node = [[keys.NEWS], *([app.news, app.whispers] for app in dict.fromkeys(self._apps.values()))]
        async with self._redis.pipeline(transaction=False) as pipe:
            for streams in at_one_node:
                pipe.xread({name: self._read_to[name] for name in streams}, count=ENTRIES_AT_ONCE)
            return [found for answer in await pipe.execute() for found in answer]

    async def _check_that_nothing_is_missed(self, silent_s: float) -> None:
        """After a silence. Raises OutdatedError."""
        ends = {keys.NEWS: keys.NEWS_FORGOTTEN}
        ends |= {app.news: keys.forgotten(app.prefix) for app in self._apps.values()}
        for stream, end in ends.items():
            forgotten = await self._redis.get(end)
            if forgotten is not None and base.order_of(self._read_to[stream]) < base.order_of(forgotten):
                message = f"this process was silent for {silent_s:.0f} s, and others have dropped news that it needs"
                raise OutdatedError(message)

    async def _hear(self, entries: Sequence[tuple[bytes, type_fields]]) -> None:
        for entry, fields in entries:
            if fields[b"server"].decode() != self._server:
                news = _decode(fields[b"news"])
                for hear in self.on_news:
                    await hear(news)
            self._read_to[keys.NEWS] = entry

    async def _hear_rows(self, followed: _Followed, stream: str, entries: Sequence[tuple[bytes, type_fields]]) -> None:
        rows = []
        heard: dict[tuple[str, bytes], int] = {}
        for _, fields in entries:
            teller, number = (stream, fields[b"server"]), int(fields[b"number"])
            # Sent again after a broken connection, or one's own.
            if number > heard.get(teller, self._heard.get(teller, 0)) and fields[b"server"].decode() != self._server:
                heard[teller] = number
                rows += decode_rows(fields[b"rows"])
        if rows:
            await followed.replay.take(rows)
        # Only now: where Redis goes away on the way, they are read again.
        self._heard |= heard
        if entries:
            self._read_to[stream] = entries[-1][0]

    def _hear_whispers(self, followed: _Followed, stream: str, entries: Sequence[tuple[bytes, type_fields]]) -> None:
        for entry, fields in entries:
            self._read_to[stream] = entry
            if fields[b"server"].decode() == self._server:
                continue
            task = asyncio.create_task(_deliver(followed.app, fields))
            self._delivering.add(task)
            task.add_done_callback(self._delivering.discard)

    async def _end_of(self, stream: str) -> bytes:
        last = await self._redis.xrevrange(stream, count=1)
        return bytes(last[0][0]) if last else b"0"


def _about(news: Mapping[str, Any]) -> tuple[str, object]:
    """What news replace: the last ones of the same thing."""
    ((what, said),) = news.items()
    return what, said if what == "app" else said.get("code", said.get("sdkappid"))


async def _deliver(app: App, fields: type_fields) -> None:
    """What is whispered to an app that is reset meanwhile, or while Redis goes away, is nobody's any more."""
    with suppress(StoreAwayError):
        await _delivered(app, fields)


async def _delivered(app: App, fields: type_fields) -> None:
    sessions = app.sessions
    flat = _decode(fields[b"logins"])
    for user, instance, platform in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        if sessions.of_user(user):
            await app.end_replaced(user, instance, platform)
    for users, but, events in _decode(fields[b"pushes"]):
        app.messages.push_here(users, tuple(but), events)

"""The apps of several server processes: known to all by a table in Redis, their journals written by one of them."""

import asyncio
import json
import shutil
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from mock_im_server import journal as log
from mock_im_server.apps import JOURNAL, AppRefusedError, Apps, check_start
from mock_im_server.domain.apps import AppSettings
from mock_im_server.domain.clock import Clock
from mock_im_server.journal import Journal
from mock_im_server.service import App
from mock_im_server.service.replay import Replay
from mock_im_server.shared import keys
from mock_im_server.shared.connection import ended
from mock_im_server.shared.drain import Drain
from mock_im_server.shared.peers import AppPeers, Listener
from mock_im_server.shared.stream_journal import StreamJournal
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.stores.redis import AWAY, NO_ANSWER, RedisStore, answered

ALIVE_S: Final = 10
"""So long after its last sign a process is taken for dead, and its unfinished actions for unanswered."""
DRAINER_S: Final = 5
LAST_ROWS_S: Final = 2.0
BEAT_S: Final = 1.0


class SharedApps(Apps):
    """Apps whose counts are in Redis; satisfies the same needs as `Apps`, snapshots excepted."""

    def __init__(self, data_dir: Path, *, redis: Redis, server: str, **parts: Any) -> None:  # noqa: ANN401 -- passed on as they came
        super().__init__(data_dir, new_store=_no_store, **parts)
        self._redis = redis
        self._server = server
        self._prefixes: dict[int, str] = {}
        self._drains: dict[int, tuple[str, asyncio.Task[None]]] = {}
        self.listener = Listener(redis, server)
        self.listener.on_news.append(self._hear)
        self.on_news = self.listener.on_news

    async def find_all(self) -> None:
        """Take up every app that the others know; what became of them is heard by catching up."""
        await self._redis.set(keys.ALIVE + self._server, 1, ex=ALIVE_S)
        for sdkappid in await self._redis.hkeys(keys.APPS):
            await self._find(int(sdkappid))

    async def make(self, settings: AppSettings, *, fixed_ms: int | None = None) -> App:
        if settings.sdkappid not in self and await self._redis.hexists(keys.APPS, str(settings.sdkappid)):
            message = f"SDKAppID {settings.sdkappid} is taken"
            raise AppRefusedError(message)
        return await self._begun(settings, fixed_ms)

    async def reset(self, sdkappid: int, *, fixed_ms: int | None = None) -> App:
        check_start(fixed_ms)
        old = self._leave(sdkappid)
        app = await self._begun(old.settings, fixed_ms)
        # After the others have been told: they may be reading what is deleted now.
        self._free(sdkappid, self._released(old))
        return app

    @staticmethod
    async def _released(old: App) -> None:
        assert isinstance(old.journal, StreamJournal), "as assembled"
        await old.journal.ended()
        await old.release()

    async def _forgotten(self, old: App, prefix: str) -> None:
        """Whoever has reset the app frees its keys, but for what this process may have written since then."""
        assert isinstance(old.journal, StreamJournal), "as assembled"
        assert isinstance(old.store, RedisStore), "as assembled"
        await old.journal.ended()
        with suppress(*AWAY):
            await self._redis.unlink(*keys.of_processes(prefix))
        old.store.forget()
        await old.forget()

    def _free(self, sdkappid: int, freeing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(freeing, name=f"reset {sdkappid}")
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    async def _begun(self, settings: AppSettings, fixed_ms: int | None) -> App:
        """A new app under keys of its own, made known to all."""
        sdkappid = settings.sdkappid
        generation = int(await self._redis.incr(keys.GENERATION))
        prefix = self._prefixes[sdkappid] = keys.prefix_of(sdkappid, generation)
        app = await super().make(settings, fixed_ms=fixed_ms)
        entry = json.dumps({"settings": asdict(app.settings), "prefix": prefix})
        await self._redis.hset(keys.APPS, str(sdkappid), entry)
        await self._follow(app)
        await self.listener.tell({"app": sdkappid})
        return app

    async def catch_up(self) -> None:
        await self.listener.catch_up()

    async def tell(self, news: Mapping[str, Any]) -> None:
        await self.listener.tell(news)

    async def save(self, sdkappid: int, name: str) -> None:
        """Raises AppRefusedError: a snapshot is a copy of a journal, and a store in Redis is not rebuilt from one."""
        message = f"snapshot {name!r} of app {sdkappid} needs the store in the server's memory: leave --store out"
        raise AppRefusedError(message)

    async def run(self) -> None:
        """Listen, say that this process lives, and write the journals while nobody else does. Until cancelled."""
        parts = self.listener.run(), self._keep_up(), self._shorten(), super().run()
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            # Not `gather`, which would cancel them too: the second time cuts short what they tidy up.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                await ended(task, tidies_s=2 * LAST_ROWS_S)

    async def _keep_up(self) -> None:
        try:
            while True:
                try:
                    await self._beat()
                except NO_ANSWER:
                    await self._stop_drains()
                await asyncio.sleep(BEAT_S)
        finally:
            # Rows of the last moments; where Redis is away they are lost with the process, and nobody was answered.
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_ROWS_S):
                    await asyncio.gather(*[app.journal.written() for app in list(self._apps.values())])
            await self._stop_drains()
            await self._redis.delete(keys.ALIVE + self._server)
            if await self._redis.get(keys.DRAINER) == self._server.encode():
                await self._redis.delete(keys.DRAINER)

    async def _shorten(self) -> None:
        # Beside the beat, by which the others know that this process lives: under load it may take a while.
        while True:
            await asyncio.sleep(BEAT_S)
            if self.listener.leads:
                with suppress(StoreAwayError, *AWAY):
                    await self.listener.shorten()

    async def _beat(self) -> None:
        redis = self._redis
        await redis.set(keys.ALIVE + self._server, 1, ex=ALIVE_S)
        if not await redis.set(keys.DRAINER, self._server, nx=True, ex=DRAINER_S):
            self.listener.leads = await redis.get(keys.DRAINER) == self._server.encode()
            if not self.listener.leads:
                await self._stop_drains()
                return
            await redis.expire(keys.DRAINER, DRAINER_S)
        self.listener.leads = True
        await self._forget_the_dead()
        for sdkappid, prefix in list(self._prefixes.items()):
            if sdkappid not in self:
                continue
            drains, task = self._drains.get(sdkappid, ("", None))
            if task is not None and task.done():
                task.result()
            if drains != prefix:
                if task is not None:
                    await ended(task)
                    await redis.unlink(*keys.of_processes(drains))
                drained = await redis.hgetall(keys.drained(prefix))
                journal = await asyncio.to_thread(self._opened_journal, sdkappid, prefix, drained)
                drain = Drain(redis, prefix, journal, self._is_alive)
                self._drains[sdkappid] = prefix, asyncio.create_task(_drained(drain, journal))

    async def _forget_the_dead(self) -> None:
        """Nobody is online at a process that is gone."""
        prefixes = list(self._prefixes.values())
        async with self._redis.pipeline(transaction=False) as pipe:
            for prefix in prefixes:
                pipe.hkeys(keys.online(prefix))
            counted = dict(zip(prefixes, await pipe.execute(), strict=True))
        servers = {server.decode() for found in counted.values() for server in found}
        for server in [server for server in servers if not await self._is_alive(server)]:
            for prefix in prefixes:
                await self._redis.hdel(keys.online(prefix), server)

    async def _stop_drains(self) -> None:
        await asyncio.gather(*[ended(task) for _, task in self._drains.values()])
        # Only now: who is interrupted here has them stopped at the end.
        self._drains.clear()

    async def _is_alive(self, server: str) -> bool:
        return bool(await self._redis.exists(keys.ALIVE + server))

    def _opened_journal(self, sdkappid: int, prefix: str, drained: Mapping[bytes, bytes]) -> Journal:
        """The journal's files, open where they end; a further part where another machine wrote what was before.

        Those of before a reset go.
        """
        folder = self._folder(sdkappid) / JOURNAL
        mark = self._folder(sdkappid) / "journal.of"
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists() or mark.read_text(encoding="utf-8") != prefix:
            shutil.rmtree(folder)
            folder.mkdir()
            mark.write_text(prefix, encoding="utf-8")
        contents = log.read(folder)
        journal = Journal(folder, syncs=self._syncs_journals)
        journal.resume_after(contents.head, contents.rows, contents.last_seq)
        if drained and int(drained[b"last_seq"]) > contents.last_seq:
            head = bytes.fromhex(drained[b"head"].decode())
            journal.resume_after(head, int(drained[b"rows"]), int(drained[b"last_seq"]))
        return journal

    async def _find(self, sdkappid: int) -> None:
        found = await answered(self._redis.hget(keys.APPS, str(sdkappid)))
        if found is None:
            return
        entry = json.loads(found)
        if self._prefixes.get(sdkappid) == entry["prefix"]:
            return
        if sdkappid in self._apps:
            prefix = self._prefixes[sdkappid]
            self._free(sdkappid, self._forgotten(self._leave(sdkappid), prefix))
        self._prefixes[sdkappid] = entry["prefix"]
        settings = AppSettings(**entry["settings"])
        self._check(settings)
        app = self._assembled(settings, Clock())
        self._apps[sdkappid] = app
        try:
            await answered(self._follow(app))
        except StoreAwayError:
            # It is found once more when its news are read again.
            del self._apps[sdkappid], self._prefixes[sdkappid]
            raise
        for hear in self.on_made:
            hear(app)

    async def _follow(self, app: App) -> None:
        prefix = self._prefixes[app.settings.sdkappid]
        assert isinstance(app.peers, AppPeers), "apps of this server have peers"
        await self.listener.follow(app, app.peers, Replay(app, self._catalogue.plans), prefix)

    async def _hear(self, news: Mapping[str, Any]) -> None:
        if "app" not in news:
            return
        await self._find(news["app"])

    def _leave(self, sdkappid: int) -> App:
        old = self._apps.pop(sdkappid)
        old.retire()
        self.listener.forget(self._prefixes.pop(sdkappid))
        return old

    def _enter(self, app: App) -> None:
        self._apps[app.settings.sdkappid] = app
        for hear in self.on_made:
            hear(app)

    def _make_room(self, settings: AppSettings) -> None:
        """Nothing is in the way: the drain sees to the files."""

    def _new_journal(self, settings: AppSettings) -> StreamJournal:
        folder = self._folder(settings.sdkappid) / JOURNAL
        return StreamJournal(self._redis, self._prefixes[settings.sdkappid], self._server, folder)

    def _new_store(self, settings: AppSettings) -> RedisStore:
        return RedisStore(self._redis, self._prefixes[settings.sdkappid], self._server)

    def _assembled(self, settings: AppSettings, clock: Clock) -> App:
        app = super()._assembled(settings, clock)
        assert isinstance(app.store, RedisStore), "as made above"
        assert isinstance(app.journal, StreamJournal), "as made above"
        app.store.on_lost = app.journal.note_lost
        app.peers = AppPeers(self._redis, self._prefixes[settings.sdkappid], self._server, self.listener)
        return app


def _no_store() -> RedisStore:
    raise AssertionError("each app has a store of its own")


async def _drained(drain: Drain, journal: Journal) -> None:
    try:
        await drain.run()
    finally:
        journal.close()

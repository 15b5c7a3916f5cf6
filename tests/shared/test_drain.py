"""From the stream to the files: every row once, in the one order, whoever dies on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from mock_im_server import journal as log
from mock_im_server.domain.actions import Action, Claim, Quota
from mock_im_server.journal import Journal, Row
from mock_im_server.shared import keys
from mock_im_server.shared.connection import ended
from mock_im_server.shared.drain import Drain
from mock_im_server.shared.stream_journal import StreamJournal
from mock_im_server.stores.redis import RedisStore
from proofs.redis_server import RedisServer

ACCOUNTS = Quota("accounts", None, 70398)
ACTIVE = Quota("active/20727", None, 72000)


def login(user: str) -> Action:
    return Action(0, (Claim(ACCOUNTS, user), Claim(ACTIVE, user)))


class Shared:
    """An app's keys, two processes that use them, and a drain."""

    def __init__(self, client: Redis, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.prefix = f"{{{uuid4().hex}}}:"
        self.alive = {"one", "two"}
        self.stores = {name: RedisStore(client, self.prefix, name) for name in self.alive}
        self.journals = {name: StreamJournal(client, self.prefix, name, folder) for name in self.alive}

    async def does(self, name: str, *users: str, tells: bool = True) -> None:
        """A process logs users in, and writes the rows or not."""
        for user, outcome in zip(users, await self.stores[name].apply([login(user) for user in users]), strict=True):
            self.journals[name].append(Row(outcome.seq, 1, log.LOGGED_IN, outcome.number, user))
        if tells:
            await self.journals[name].written()

    async def drained(self, until: Callable[[list[Row]], bool]) -> list[Row]:
        """The files' rows once they satisfy."""

        async def is_alive(name: str) -> bool:
            return name in self.alive

        contents = log.read(self.folder)
        journal = Journal(self.folder)
        journal.resume_after(contents.head, contents.rows, contents.last_seq)
        task = asyncio.create_task(Drain(self.client, self.prefix, journal, is_alive).run())
        try:
            async with asyncio.timeout(10):
                while not until(rows := self.rows()):  # noqa: ASYNC110 -- files tell nobody
                    await asyncio.sleep(0.01)
        finally:
            await ended(task)
            journal.close()
        return rows

    def rows(self) -> list[Row]:
        return [Row(**row) for batch in log.read(self.folder).batches for row in batch.to_pylist()]


@pytest.fixture
async def shared(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Shared]:
    async with Redis.from_url(redis.url) as client:
        yield Shared(client, tmp_path)


def reach(seq: int) -> Callable[[list[Row]], bool]:
    return lambda rows: bool(rows) and rows[-1].seq == seq


async def test_rows_of_two_processes_stand_in_the_one_order(shared: Shared) -> None:
    await shared.does("one", "a", "b", tells=False)
    await shared.does("two", "c")
    await shared.journals["one"].written()

    rows = await shared.drained(reach(3))

    assert [(row.seq, row.user_id) for row in rows] == [(1, "a"), (2, "b"), (3, "c")]


async def test_what_a_dead_process_did_is_said_and_that_nobody_was_told(shared: Shared) -> None:
    await shared.does("one", "a", tells=False)
    await shared.does("two", "b")
    shared.alive.remove("one")

    first, second = await shared.drained(reach(2))

    assert (first.kind, first.user, first.user_id, first.counted_day) == (log.UNANSWERED, 1, "a", 20727)
    assert (second.kind, second.user_id) == (log.LOGGED_IN, "b")


async def test_a_batch_whose_answer_was_lost_does_not_hold_up_the_rest(shared: Shared) -> None:
    await shared.stores["one"].apply([login("a")])
    shared.journals["one"].note_lost(1)
    await shared.does("two", "b")

    rows = await shared.drained(reach(2))

    assert [row.kind for row in rows] == [log.UNANSWERED, log.LOGGED_IN]


async def test_what_changed_nothing_needs_no_word(shared: Shared) -> None:
    await shared.stores["one"].apply([Action(0)])
    shared.journals["one"].note_lost(1)
    await shared.does("two", "b")

    rows = await shared.drained(reach(2))

    assert [row.kind for row in rows] == [log.GROUP_CHANGED, log.LOGGED_IN]


async def test_a_message_that_was_sent_twice_is_one(shared: Shared) -> None:
    await shared.does("one", "a")
    ((_, message),) = (await shared.client.xrevrange(keys.events(shared.prefix), count=1))[:1]
    await shared.client.xadd(keys.events(shared.prefix), message)
    await shared.does("one", "b")

    assert [row.seq for row in await shared.drained(reach(2))] == [1, 2]


async def test_another_drain_goes_on_where_the_files_end(shared: Shared) -> None:
    await shared.does("one", "a")
    await shared.drained(reach(1))
    await shared.does("two", "b")

    rows = await shared.drained(reach(2))

    assert [row.user_id for row in rows] == ["a", "b"]
    assert len(log.segments(shared.folder)) == 2


async def test_what_is_on_the_disk_leaves_the_stream(shared: Shared) -> None:
    await shared.does("one", "a", "b")
    await shared.drained(reach(2))
    await shared.does("one", "c")

    await shared.drained(reach(3))

    assert await shared.client.xlen(keys.events(shared.prefix)) <= 2

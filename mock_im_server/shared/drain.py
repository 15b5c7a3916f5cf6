"""From the stream of events to the journal's files: every row once, in the one order, without a gap.

The script numbers what it does and says so in the stream before anybody is told; the row follows from the process that
asked. Where that process has died, or never learned what became of its actions, a row of kind `unanswered` takes the
place: what changed is said, and that nobody was told of it.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from mock_im_server import journal as log
from mock_im_server.domain import plans
from mock_im_server.domain.actions import STALE_EPOCH
from mock_im_server.journal import NOT_COUNTED, Journal, Row
from mock_im_server.shared import keys
from mock_im_server.shared.stream_journal import RETRY_S, decode_rows
from mock_im_server.stores.redis import NO_ANSWER, unpacked

BLOCK_MS: Final = 100
ENTRIES_AT_ONCE: Final = 1_000
INTERVAL_S: Final = 0.02
_DAY_PREFIX: Final = plans.active_users(0)[:-1]

_decode: Final = msgspec.msgpack.Decoder().decode


@dataclass(slots=True)
class _Span:
    """Numbers that one run of the script has given out."""

    entry: bytes
    first: int
    last: int
    server: str
    batch: int
    actions: bytes
    outcomes: bytes


class Drain:
    """Writes one app's journal from its stream."""

    def __init__(self, redis: Redis, prefix: str, journal: Journal, is_alive: Callable[[str], Awaitable[bool]]) -> None:
        """`journal` is open where its files end; `is_alive` says whether a process of that name still lives."""
        self._redis = redis
        self._prefix = prefix
        self._journal = journal
        self._is_alive = is_alive
        self._spans: deque[_Span] = deque()
        self._rows: dict[int, Row] = {}
        self._lost: set[tuple[str, int]] = set()
        self._next = journal.last_seq + 1
        self._last_ms = 0
        self._read_to = b"0"

    async def run(self) -> None:
        """Drain until cancelled. An OSError of the disk goes through."""
        while True:
            try:
                await self._step()
                # Nobody waits for a file but who asks for the journal: many rows share a write.
                await asyncio.sleep(INTERVAL_S)
            except (*NO_ANSWER, ConnectionError):
                await asyncio.sleep(RETRY_S)

    async def _step(self) -> None:
        stream = keys.events(self._prefix)
        found = await self._redis.xread({stream: self._read_to}, count=ENTRIES_AT_ONCE, block=BLOCK_MS)
        entries = found[0][1] if found else []
        for entry, fields in entries:
            self._take(entry, fields)
            self._read_to = entry
        before = self._journal.last_seq
        self._emit()
        if not entries and self._spans:
            await self._stand_in()
        if self._journal.last_seq != before or not entries:
            await self._say_how_far()

    def _take(self, entry: bytes, fields: Mapping[bytes, bytes]) -> None:
        server = fields[b"server"].decode()
        if b"seqs" in fields:
            first, _, last = fields[b"seqs"].partition(b"-")
            if int(last) >= self._next:
                span = _Span(
                    entry,
                    int(first),
                    int(last),
                    server,
                    int(fields[b"batch"]),
                    fields[b"actions"],
                    fields[b"outcomes"],
                )
                self._spans.append(span)
            return
        if b"rows" in fields:
            for row in decode_rows(fields[b"rows"]):
                if row.seq >= self._next:
                    self._rows[row.seq] = row
        if b"lost" in fields:
            self._lost |= {(server, batch) for batch in _decode(fields[b"lost"])}

    def _emit(self) -> None:
        """Write what follows without a gap."""
        rows, number = self._rows, self._next
        ready = []
        while (row := rows.pop(number, None)) is not None:
            ready.append(row)
            number += 1
        if ready:
            self._next = number
            self._last_ms = ready[-1].time_ms
            self._journal.extend(ready)
            self._journal.write()
        while self._spans and self._spans[0].last < number:
            span = self._spans.popleft()
            self._lost.discard((span.server, span.batch))

    async def _stand_in(self) -> None:
        """Put rows of our own where none will come any more."""
        span = self._spans[0]
        if (span.server, span.batch) not in self._lost and await self._is_alive(span.server):
            return
        for row in _unanswered(span, self._last_ms):
            if row.seq >= self._next:
                self._rows.setdefault(row.seq, row)
        self._emit()

    async def _say_how_far(self) -> None:
        journal = self._journal
        cut = await journal.cut()
        files = json.dumps([[path.name, size] for path, size in cut.files])
        # What is on the disk need not stay in memory.
        oldest = self._spans[0].entry if self._spans else self._read_to
        async with self._redis.pipeline(transaction=True) as pipe:
            how_far = {"rows": cut.rows, "last_seq": cut.last_seq, "head": cut.head.hex(), "files": files}
            pipe.hset(keys.drained(self._prefix), mapping=how_far)
            if not self._rows:
                pipe.xtrim(keys.events(self._prefix), minid=oldest.decode(), approximate=False)
            await pipe.execute()


def _unanswered(span: _Span, time_ms: int) -> list[Row]:
    """Rows that say what a batch changed: who was registered or counted stands in the columns, the rest in the text."""
    _, flat, _ = _decode(span.outcomes)
    rows = []
    seq = span.first
    actions = unpacked(_decode(span.actions))
    for (claims, effects), code, number, added in zip(actions, flat[::3], flat[1::3], flat[2::3], strict=True):
        if code == STALE_EPOCH:
            continue
        rows.append(_row(seq, time_ms, claims, effects, (code, number, added)))
        seq += 1
    return rows


def _row(seq: int, time_ms: int, claims: Sequence[Any], effects: object, outcome: tuple[int, int, int]) -> Row:
    code, number, added = outcome
    if not claims and not effects:
        # It only took a number: nothing changed, and nothing has to be said of it.
        return Row(seq, time_ms, log.GROUP_CHANGED, text="{}")
    user_id, day = None, NOT_COUNTED
    for at, ((name, _, _), member) in enumerate(claims):
        if code or not added >> at & 1:
            continue
        if name in {plans.ACCOUNTS, plans.ADMINS}:
            user_id = member
        elif name.startswith(_DAY_PREFIX):
            day = int(name.removeprefix(_DAY_PREFIX))
    text = json.dumps({"claims": [[quota[0], member] for quota, member in claims], "effects": effects, "added": added})
    return Row(seq, time_ms, log.UNANSWERED, number, user_id, counted_day=day, code=code, text=text)

"""How an app's news begin: with what they had come to, so that those of long ago need not be kept.

The process that leads writes this *base* from time to time and drops the news before it, but for those of the last
minute: others may be about to hear them.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from mock_im_server.service.kept import Kept
from mock_im_server.shared import keys

EVERY_ENTRIES: Final = 1_000
ENTRY_BYTES: Final = 100
"""An entry has more, so that to write bases costs no more than to tell what they stand for."""
KEPT_MS: Final = 60_000
"""News of the last minute stay, by Redis's clock."""

type_entries = list[tuple[bytes, dict[bytes, bytes]]]


class Base(msgspec.Struct):
    """An app, up to an entry of its news."""

    entry: bytes
    heard: dict[bytes, int]
    """The number of each process's last message."""
    kept: Kept


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Base).decode


async def so_far(redis: Redis, prefix: str) -> tuple[Base | None, type_entries]:
    """The base, if there is one, and the news behind it, as they were at one moment."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.get(keys.base(prefix))
        pipe.xrange(keys.news(prefix))
        found, entries = await pipe.execute()
    if found is None:
        return None, entries
    base = _decode(found)
    return base, [one for one in entries if order_of(one[0]) > order_of(base.entry)]


async def is_due(redis: Redis, prefix: str, entries_left: int) -> bool:
    """Whether many news have come since the last base, after which so many were left."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.xlen(keys.news(prefix))
        pipe.strlen(keys.base(prefix))
        entries, weight = await pipe.execute()
    return bool(entries - entries_left >= max(EVERY_ENTRIES, weight / ENTRY_BYTES))


async def write(redis: Redis, prefix: str, base: Base) -> int:
    """Put a base in place of the last one and drop the news before it; how many are left."""
    before = _before(base.entry)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.set(keys.base(prefix), _encode(base))
        pipe.set(keys.forgotten(prefix), before)
        pipe.xtrim(keys.news(prefix), minid=before, approximate=False)
        pipe.xlen(keys.news(prefix))
        *_, left = await pipe.execute()
    return int(left)


def repeated_later(news: Sequence[tuple[bytes, Hashable]]) -> Iterable[bytes]:
    """Entries that may go, of (entry, what it is about): a later one says the same thing anew.

    >>> list(repeated_later([(b"1-0", "a"), (b"2-0", "b"), (b"3-0", "a"), (b"70000-0", "b"), (b"70001-0", "b")]))
    [b'2-0', b'1-0']
    """
    oldest_kept = order_of(_before(news[-1][0]).encode()) if news else (0, 0)
    said = set()
    for entry, about in reversed(news):
        if about in said and order_of(entry) < oldest_kept:
            yield entry
        said.add(about)


def order_of(entry: bytes) -> tuple[int, int]:
    """Milliseconds and number of an entry: as text they would be compared wrongly."""
    time_ms, _, number = entry.partition(b"-")
    return int(time_ms), int(number or 0)


def _before(entry: bytes) -> str:
    """The first entry that stays when news are dropped up to this one."""
    return f"{max(0, order_of(entry)[0] - KEPT_MS)}-0"

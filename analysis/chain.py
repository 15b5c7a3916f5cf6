"""The journal's hash chain: reads Arrow messages one by one and believes only what hashes to the next link.

Each message's metadata block ends with BLAKE2b-256 of (the link before + the rest of the metadata + the body), over
all segments, beginning with zeros; the schema message of each segment is a link too (`docs/run-files.md`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pyarrow as pa

from analysis.run_files import CHAIN_BYTES, JOURNAL_SCHEMA

_START: Final = bytes(CHAIN_BYTES)
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""Arrow's mark for the end of a stream; a journal that is still open has none."""


@dataclass(frozen=True, slots=True)
class Links:
    """The rows up to the first broken link, the last good hash, and what broke (None: nothing)."""

    table: pa.Table
    head: str
    damage: str | None


class ChainBrokenError(Exception):
    """Raised with file, byte and reason where a journal stops being trustworthy."""


def read(paths: Iterable[Path]) -> Links:
    """Read segments in order; rows after a broken link are not looked at."""
    segments = Segments(paths, pa.memory_map)
    table = pa.Table.from_batches(list(segments), JOURNAL_SCHEMA)
    return Links(table, segments.head, segments.damage)


class Segments:
    """The batches of segments in order, up to the first broken link; `head` and `damage` hold once they are read."""

    def __init__(self, paths: Iterable[Path], opened: Callable[[str], pa.NativeFile]) -> None:
        self._paths = paths
        self._opened = opened
        self._head = _START
        self.damage: str | None = None

    @property
    def head(self) -> str:
        return self._head.hex()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for path in self._paths:
                for batch, link in _messages(path, self._head, self._opened):
                    self._head = link
                    if batch is not None:
                        yield batch
        except ChainBrokenError as broken:
            self.damage = str(broken)


def _messages(
    path: Path, head: bytes, opened: Callable[[str], pa.NativeFile]
) -> Iterator[tuple[pa.RecordBatch | None, bytes]]:
    try:
        with opened(str(path)) as source:
            size = source.size()
            while (at := source.tell()) < size:
                if source.read_at(len(_END), at) == _END:
                    return
                source.seek(at)
                message = pa.ipc.read_message(source)
                head = _link(message, head, f"{path.name} at byte {at:,}")
                yield _batch(message, path), head
    except (OSError, EOFError, pa.ArrowInvalid) as unreadable:
        raise ChainBrokenError(f"{path.name} is cut short or damaged: {unreadable}") from unreadable


def _link(message: pa.Message, head: bytes, where: str) -> bytes:
    metadata = memoryview(message.metadata)
    hashed = blake2b(head, digest_size=CHAIN_BYTES)
    hashed.update(metadata[:-CHAIN_BYTES])
    if message.body is not None:
        hashed.update(message.body)
    if hashed.digest() != bytes(metadata[-CHAIN_BYTES:]):
        raise ChainBrokenError(f"{where}: the message does not hash to its link")
    return hashed.digest()


def _batch(message: pa.Message, path: Path) -> pa.RecordBatch | None:
    if message.type == "record batch":
        return pa.ipc.read_record_batch(message, JOURNAL_SCHEMA)
    if message.type == "schema" and not _schema(message).equals(JOURNAL_SCHEMA):
        raise ChainBrokenError(f"{path.name} has other columns than a journal")
    return None


def _schema(message: pa.Message) -> pa.Schema:
    return pa.ipc.read_schema(message)

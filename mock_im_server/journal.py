"""The journal: every change of state and every refusal, in order, on disk before anybody hears of it.

Arrow IPC streams of `docs/run-files.md`. Rows are gathered while one tick of the loop is answered and written with one
system call; answers leave afterwards, so a killed process loses nothing that it has acknowledged.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

CHAIN_BYTES: Final = 32
SEGMENT_BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 65_536
"""Of one record batch."""

(
    APP_OPENED,
    CLOCK_MOVED,
    CONNECTED,
    DISCONNECTED,
    LOGGED_IN,
    LOGIN_REFUSED,
    RESUMED,
    RESUME_REFUSED,
    LOGGED_OUT,
    IMPORTED,
    IMPORT_REFUSED,
    MONTH_CLOSED,
    CHARGED,
) = range(1, 14)

NOT_COUNTED: Final = -1


class Row(NamedTuple):
    """One row; the columns are explained in `docs/run-files.md`."""

    seq: int
    time_ms: int
    kind: int
    user: int = 0
    user_id: str | None = None
    instance: int = 0
    platform: int = 0
    connection: int = 0
    request_seq: int = 0
    counted_day: int = NOT_COUNTED
    code: int = 0
    text: str | None = None


SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("time_ms", pa.int64(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("user", pa.int64(), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("instance", pa.int64(), nullable=False),
        pa.field("platform", pa.int16(), nullable=False),
        pa.field("connection", pa.int64(), nullable=False),
        pa.field("request_seq", pa.int64(), nullable=False),
        pa.field("counted_day", pa.int32(), nullable=False),
        pa.field("code", pa.int32(), nullable=False),
        pa.field("text", pa.string()),
    ]
)

_TYPE_CODES: Final = {pa.int8(): "b", pa.int16(): "h", pa.int32(): "i", pa.int64(): "q"}
_COLUMNS: Final = [(field.type, _TYPE_CODES.get(field.type)) for field in SCHEMA]
_CONTINUATION: Final = b"\xff\xff\xff\xff"


class Journal:
    """The journal of one app, open for appending.

    `head` is the hash of the last message; a reader who kept it notices a journal that was cut short.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: list[Row] = []
        self._file: int | None = None
        self._bytes = 0
        self.head = bytes(CHAIN_BYTES)
        self.rows = 0
        self.last_seq = 0

    def append(self, row: Row) -> None:
        self._pending.append(row)

    def extend(self, rows: list[Row]) -> None:
        self._pending += rows

    def write(self) -> None:
        """Hand all appended rows to the operating system. Raises OSError when it does not take them."""
        while self._pending:
            rows = self._pending[:ROWS_MAX]
            self._write_message(_batch(rows).serialize(), first_seq=rows[0].seq)
            self.rows += len(rows)
            self.last_seq = rows[-1].seq
            del self._pending[: len(rows)]

    def files(self) -> list[Path]:
        return segments(self._folder)

    def close(self) -> None:
        self.write()
        self._end_segment()

    def resume_after(self, head: bytes, rows: int, last_seq: int) -> None:
        """Go on behind what `read` has found; new rows begin a new segment."""
        self.head, self.rows, self.last_seq = head, rows, last_seq

    def _write_message(self, message: pa.Buffer, *, first_seq: int) -> None:
        if self._file is not None and self._bytes >= SEGMENT_BYTES_MAX:
            self._end_segment()
        data = b""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{first_seq:012}.arrow"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            self._bytes = 0
            data, self.head = chained(SCHEMA.serialize(), self.head)
        more, head = chained(message, self.head)
        data += more
        _write_all(self._file, data)
        self.head = head
        self._bytes += len(data)

    def _end_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def segments(folder: Path) -> list[Path]:
    """The files of a journal, in order."""
    return sorted(folder.glob("*.arrow"))


def chained(message: pa.Buffer, head: bytes) -> tuple[bytes, bytes]:
    """An IPC message with its place in the hash chain, and the new head.

    The length of a message's metadata block counts its padding, so 32 bytes of hash behind the flatbuffer are padding to
    every Arrow reader. One write holds rows and hash: no crash can separate them.
    """
    view = memoryview(message)
    length = int.from_bytes(view[4:8], "little")
    metadata, body = view[8 : 8 + length], view[8 + length :]
    hashed = blake2b(head, digest_size=CHAIN_BYTES)
    hashed.update(metadata)
    hashed.update(body)
    digest = hashed.digest()
    size = (length + CHAIN_BYTES).to_bytes(4, "little")
    return b"".join((_CONTINUATION, size, metadata, digest, body)), digest


class Contents(NamedTuple):
    """What `read` found intact."""

    batches: list[pa.RecordBatch]
    head: bytes
    rows: int
    last_seq: int


def read(folder: Path) -> Contents:
    """All intact rows, in order; a torn end of the last segment, which nobody was told of, is cut off the file.

    Raises JournalDamagedError when anything but that end is damaged.
    """
    batches: list[pa.RecordBatch] = []
    head = bytes(CHAIN_BYTES)
    files = segments(folder)
    for path in files:
        end = 0
        for batch, digest, end in _messages(path, head):
            head = digest
            if batch is not None:
                batches.append(batch)
        if end != path.stat().st_size:
            if path != files[-1]:
                message = f"{path} is damaged at byte {end}, and later segments follow it"
                raise JournalDamagedError(message)
            _cut(path, end)
    rows = sum(batch.num_rows for batch in batches)
    last_seq = batches[-1].column("seq")[-1].as_py() if batches else 0
    return Contents(batches, head, rows, last_seq)


class JournalDamagedError(Exception):
    """Raised when a journal cannot be continued without dropping rows that somebody was told of."""


def _messages(path: Path, head: bytes) -> Iterator[tuple[pa.RecordBatch | None, bytes, int]]:
    """Each intact message of a segment: its rows (none for the schema), the chain's head and where it ends."""
    with pa.memory_map(str(path)) as source:
        while True:
            try:
                message = pa.ipc.read_message(source)
            except (EOFError, pa.ArrowInvalid, OSError):
                return
            metadata = message.metadata.to_pybytes()
            hashed = blake2b(head, digest_size=CHAIN_BYTES)
            hashed.update(metadata[:-CHAIN_BYTES])
            if message.body is not None:
                hashed.update(message.body)
            if hashed.digest() != metadata[-CHAIN_BYTES:]:
                return
            head = hashed.digest()
            batch = pa.ipc.read_record_batch(message, SCHEMA) if message.type == "record batch" else None
            yield batch, head, source.tell()


def _cut(path: Path, end: int) -> None:
    if end:
        os.truncate(path, end)
    else:
        path.unlink()


def _batch(rows: list[Row]) -> pa.RecordBatch:
    """Columns made by hand: half the cost of `pa.array`, which looks at every object and imports pandas on its way."""
    columns = []
    for values, (kind, code) in zip(zip(*rows, strict=True), _COLUMNS, strict=True):
        buffers = [None, pa.py_buffer(array(code, values))] if code else _text_buffers(values)
        columns.append(pa.Array.from_buffers(kind, len(rows), buffers))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _text_buffers(values: Sequence[str | None]) -> list[pa.Buffer]:
    """Validity bits, offsets and bytes of a nullable string column."""
    encoded = [b"" if value is None else value.encode() for value in values]
    validity = np.packbits([value is not None for value in values], bitorder="little")
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    return [pa.py_buffer(part) for part in (validity, offsets, b"".join(encoded))]


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]

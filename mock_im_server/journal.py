"""The journal: every change of state and every refusal, in order, on disk before anybody hears of it.

Arrow IPC streams of `docs/run-files.md`. Rows are gathered while one tick of the loop is answered and written with one
system call; answers leave afterwards, so a killed process loses nothing that it has acknowledged.
"""

import os
import struct
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple, Protocol

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
    DELETED,
    DELETE_REFUSED,
    GROUP_CREATED,
    CREATE_REFUSED,
    GROUP_DESTROYED,
    DESTROY_REFUSED,
    JOINED,
    JOIN_REFUSED,
    LEFT,
    GROUP_CHANGED,
    PLAN_CHANGED,
    TRIAL_OPENED,
    TRIAL_REFUSED,
    CALL_STARTED,
    CALL_REFUSED,
    CALL_ENDED,
    KICKED,
    CALL_CHANGED,
    ACCESS_CHANGED,
    ROUTING_CHANGED,
    FAULTS_CHANGED,
    FAULT_MET,
    UNANSWERED,
) = range(1, 37)

NOT_COUNTED: Final = -1
REST_CLIENT_SUFFIX: Final = " rest"
"""Behind the name of a REST client in the row that gives it a connection's number."""


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
_ALIGNMENT: Final = 8
_BODY_LENGTH_SLOT: Final = 10
"""Where a vtable keeps the place of field 3: behind its two sizes and three fields of two bytes."""


class Mark(NamedTuple):
    """The end of a segment, and what stood in the journal up to there."""

    segment: str
    head: bytes
    rows: int
    last_seq: int


BEGINNING: Final = Mark("", bytes(CHAIN_BYTES), 0, 0)


class Cut(NamedTuple):
    """A journal up to some row: its files with their sizes, as rows may be added meanwhile, and what they hold."""

    files: list[tuple[Path, int]]
    rows: int
    last_seq: int
    head: bytes


class Appendable(Protocol):
    """What an app asks of its journal, wherever rows go."""

    @property
    def rows(self) -> int: ...

    @property
    def is_written(self) -> bool: ...

    def append(self, row: Row) -> None: ...

    async def written(self) -> None:
        """Return when all appended rows are kept: before that, nobody may hear of them."""

    async def cut(self) -> Cut:
        """The journal up to here."""

    def files(self) -> list[Path]: ...

    def close(self) -> None: ...


class Journal:
    """The journal of one app, open for appending.

    `head` is the hash of the last message; a reader who kept it notices a journal that was cut short.
    """

    # After a failed write the file may end in half a message. Another one behind it could never be read, so that the
    # first failure is the last write: `write` raises from then on.

    def __init__(self, folder: Path, *, syncs: bool = False) -> None:
        """With `syncs`, what is written is on the disk before anybody hears of it, and outlives a loss of power."""
        self._folder = folder
        self._syncs = syncs
        self._pending: list[Row] = []
        self._file: int | None = None
        self._bytes = 0
        self._failure: OSError | None = None
        self._is_closed = False
        self.head = bytes(CHAIN_BYTES)
        self.rows = 0
        self.last_seq = 0
        self.ended_bytes = 0
        """Of segments that take no further row, behind what a checkpoint holds."""

    def append(self, row: Row) -> None:
        self._pending.append(row)

    def extend(self, rows: list[Row]) -> None:
        self._pending += rows

    @property
    def is_written(self) -> bool:
        return not self._pending

    def write(self) -> None:
        """Hand all appended rows to the operating system. Raises JournalLostError when it does not take them."""
        if self._is_closed or not self._pending:
            return
        while self._pending:
            if self._failure is not None:
                raise JournalLostError(self._folder, self._failure)
            rows = self._pending[:ROWS_MAX]
            try:
                self._write_message(_batch(rows).serialize(), first_seq=rows[0].seq)
                if len(rows) == len(self._pending):
                    self._sync()
            except OSError as error:
                self._failure = error
                raise JournalLostError(self._folder, error) from error
            self.rows += len(rows)
            self.last_seq = rows[-1].seq
            del self._pending[: len(rows)]

    async def written(self) -> None:
        """Return when all appended rows are kept: at once, as the operating system does not make anybody wait."""
        self.write()

    async def cut(self) -> Cut:
        """The journal up to here."""
        self.write()
        sizes = [(path, path.stat().st_size) for path in segments(self._folder)]
        return Cut(sizes, self.rows, self.last_seq, self.head)

    def files(self) -> list[Path]:
        return segments(self._folder)

    def ended(self) -> list[Path]:
        """The files that take no further row."""
        return self.files()[: None if self._file is None else -1]

    def close(self) -> None:
        """Write what is left, and take no further row: what comes after a reset belongs to nobody."""
        if self._failure is None:
            self.write()
        self._is_closed = True
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
            self._sync_folder()
            self._bytes = 0
            data, self.head = chained(SCHEMA.serialize(), self.head)
        more, self.head = chained(message, self.head)
        data += more
        _write_all(self._file, data)
        self._bytes += len(data)

    def _end_segment(self) -> None:
        if self._file is not None:
            self._sync()
            os.close(self._file)
            self._file = None
            self.ended_bytes += self._bytes

    def _sync(self) -> None:
        if self._syncs and self._file is not None:
            os.fdatasync(self._file)

    def _sync_folder(self) -> None:
        """A new file is lost with the power unless its name is on the disk too."""
        if self._syncs:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def segments(folder: Path, after: Mark = BEGINNING) -> list[Path]:
    """The files of a journal, in order; those behind a mark."""
    return sorted(path for path in folder.glob("*.arrow") if path.name > after.segment)


def chained(message: pa.Buffer, head: bytes) -> tuple[bytes, bytes]:
    """An IPC message with its place in the hash chain, and the new head.

    The length of a message's metadata block counts its padding, so 32 bytes of hash behind the flatbuffer are padding
    to every Arrow reader. One write holds rows and hash: no crash can separate them.
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


class JournalLostError(OSError):
    """Raised when the operating system does not take a row: from then on nothing may be acknowledged."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"cannot write the journal in {folder}: {error.strerror or error}; the server stops")


class JournalDamagedError(Exception):
    """Raised when a journal cannot be continued without dropping rows that somebody was told of."""


def read(folder: Path, after: Mark = BEGINNING) -> Contents:
    """All intact rows, in order; a torn end of the last segment, which nobody was told of, is cut off the file.

    Segments up to `after` are not looked at; rows are counted from the journal's beginning.
    Raises JournalDamagedError when anything but that end is damaged.
    """
    batches: list[pa.RecordBatch] = []
    head = after.head
    files = segments(folder, after)
    for path in files:
        segment = _segment(path, head)
        if segment.end < path.stat().st_size and path != files[-1]:
            message = f"{path} is damaged at byte {segment.end}, and later segments follow it"
            raise JournalDamagedError(message)
        if segment.batches:
            os.truncate(path, segment.end)
            batches += segment.batches
            head = segment.head
        else:
            # Its first row was never written, and the next one needs its name.
            path.unlink()
    return Contents(batches, head, after.rows + _rows(batches), _last_seq(batches, after.last_seq))


def read_ended(path: Path, after: Mark) -> tuple[list[pa.RecordBatch], Mark]:
    """The rows of the segment that follows `after`, and its end. Raises JournalDamagedError when it is not whole."""
    segment = _segment(path, after.head)
    if segment.end < path.stat().st_size:
        message = f"{path} is damaged at byte {segment.end}"
        raise JournalDamagedError(message)
    batches = segment.batches
    rows, last_seq = after.rows + _rows(batches), _last_seq(batches, after.last_seq)
    return batches, Mark(path.name, segment.head, rows, last_seq)


def _rows(batches: Sequence[pa.RecordBatch]) -> int:
    return sum(batch.num_rows for batch in batches)


def _last_seq(batches: Sequence[pa.RecordBatch], before: int) -> int:
    return batches[-1].column("seq")[-1].as_py() if batches else before


class _Segment(NamedTuple):
    batches: list[pa.RecordBatch]
    head: bytes
    end: int
    """Behind the last intact message."""


def _segment(path: Path, head: bytes) -> _Segment:
    """What a segment holds up to its end, or up to where a crash cut it. Raises JournalDamagedError."""
    data = memoryview(path.read_bytes())
    batches: list[pa.RecordBatch] = []
    at = 0
    while at < len(data):
        end = _message_end(data, at)
        if end is not None and end > len(data) and not _any_message_behind(data, at):
            break
        digest = None if end is None or end > len(data) else _verified(data[at:end], head)
        if digest is None:
            message = f"{path} is damaged at byte {at}"
            raise JournalDamagedError(message)
        batches += _batches(data[at:end])
        head, at = digest, end or 0
    return _Segment(batches, head, at)


def _message_end(data: memoryview, at: int) -> int | None:
    """Where the message at `at` says that it ends, beyond the data when it was cut. None: no message begins so."""
    if data[at : at + 4] != _CONTINUATION[: len(data) - at]:
        return None
    body_at = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    if at + 8 > len(data) or body_at > len(data):
        return max(body_at, len(data) + 1)
    try:
        return body_at + _body_bytes(data[at + 8 : body_at])
    except struct.error:
        return None


def _body_bytes(metadata: memoryview) -> int:
    """`bodyLength`, field 3 of the flatbuffer table `Message` (Arrow's `format/Message.fbs`); 0 when it is left out."""
    (table,) = struct.unpack_from("<I", metadata)
    (to_vtable,) = struct.unpack_from("<i", metadata, table)
    size, field_at = struct.unpack_from("<H8xH", metadata, table - to_vtable)
    if size <= _BODY_LENGTH_SLOT or not field_at:
        return 0
    (body_bytes,) = struct.unpack_from("<q", metadata, table + field_at)
    return max(0, int(body_bytes))


def _verified(message: memoryview, head: bytes) -> bytes | None:
    """The chain's new head, or None when the message is not what was written behind `head`."""
    body_at = 8 + int.from_bytes(message[4:8], "little")
    hashed = blake2b(head, digest_size=CHAIN_BYTES)
    hashed.update(message[8 : body_at - CHAIN_BYTES])
    hashed.update(message[body_at:])
    digest = hashed.digest()
    return digest if message[body_at - CHAIN_BYTES : body_at] == digest else None


def _batches(data: memoryview) -> list[pa.RecordBatch]:
    message = pa.ipc.read_message(pa.py_buffer(data))
    return [pa.ipc.read_record_batch(message, SCHEMA)] if message.type == "record batch" else []


def _any_message_behind(data: memoryview, at: int) -> bool:
    """Whether a whole record batch follows: then this is not the end of the file but a damaged length."""
    raw = data.obj
    assert isinstance(raw, bytes), "a segment is read as bytes"
    while (at := raw.find(_CONTINUATION, at + 1)) != -1:
        end = None if at % _ALIGNMENT else _message_end(data, at)
        if end is not None and end <= len(data):
            try:
                return bool(_batches(data[at:end]))
            except (pa.ArrowException, OSError):
                continue
    return False


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

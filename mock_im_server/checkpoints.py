"""What a journal came to by the end of a segment: a server that comes back reads only the rows behind it.

A checkpoint stands in the journal's folder and goes with it. Another process makes it, from the one before and the
segments that have ended since, so that no login waits for it; without it, or when it is damaged, all rows are read.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, get_origin

import msgspec
import pyarrow as pa
from pyroaring import BitMap

from mock_im_server import journal as log
from mock_im_server.journal import Journal, Mark
from mock_im_server.recovery import Folded, fold

FILE: Final = "checkpoint"
EVERY_BYTES: Final = 2 * log.SEGMENT_BYTES_MAX
"""Of ended segments, at least, from one checkpoint to the next."""
_FORMAT: Final = 1
_DIGEST_BYTES: Final = 32
_NICENESS: Final = 10


class Checkpoint(msgspec.Struct, array_like=True):
    """A journal's state at a mark."""

    format: int
    sizes: dict[str, int]
    """Of the segments that it stands for, in bytes."""
    mark: Mark
    state: Folded


def latest(folder: Path) -> Checkpoint | None:
    """The checkpoint of a journal; None where there is none that fits its segments."""
    try:
        data = memoryview((folder / FILE).read_bytes())
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != _digest(body):
            return None
        found = msgspec.msgpack.decode(body, type=Checkpoint, dec_hook=_decoded)
        is_fit = all((folder / name).stat().st_size == size for name, size in found.sizes.items())
    except (OSError, msgspec.MsgspecError):
        return None
    return found if is_fit and found.format == _FORMAT else None


def take(folder: Path, ended: Sequence[str]) -> None:
    """Make the checkpoint at the end of the last of these segments. Raises JournalDamagedError, OSError."""
    found = latest(folder) or Checkpoint(_FORMAT, {}, log.BEGINNING, Folded())
    for name in ended:
        if name > found.mark.segment:
            path = folder / name
            batches, found.mark = log.read_ended(path, found.mark)
            found.sizes[name] = path.stat().st_size
            found.state = fold(batches, found.state)
    body = msgspec.msgpack.encode(found, enc_hook=_encoded)
    for left in folder.glob(f"{FILE}.*"):
        left.unlink()  # Of a process that was killed.
    draft = folder / f"{FILE}.draft"
    with draft.open("wb") as file:
        file.write(_digest(body))
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)


async def make_if_due(journal: Journal, every_bytes: int = EVERY_BYTES) -> None:
    """Have another process make one where so many bytes of segments have ended; to cancel leaves the last one."""
    if journal.ended_bytes < every_bytes:
        return
    ended = journal.ended()
    folder = ended[0].parent
    # To make one costs about what it weighs, and should cost no more than to write the journal itself.
    if journal.ended_bytes < _size(folder / FILE):
        return
    journal.ended_bytes = 0
    command = [sys.executable, "-m", __name__, str(folder), *[path.name for path in ended]]
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _digest(body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()


def _encoded(part: object) -> bytes:
    if isinstance(part, BitMap):
        return bytes(part.serialize())
    assert isinstance(part, pa.LargeStringArray), "nothing else is unknown to msgspec"
    batch = pa.RecordBatch.from_arrays([part], names=["names"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _decoded(of: type, part: Any) -> Any:  # noqa: ANN401 -- as msgspec has it
    if of is BitMap:
        return BitMap.deserialize(part)
    if of is pa.LargeStringArray:
        return pa.ipc.open_stream(part).read_next_batch().column(0)
    assert get_origin(of) is Counter, "nothing else is unknown to msgspec"
    return Counter(part)


def main() -> int:
    """Raises nothing: a checkpoint that could not be made is missed by nobody but the next start."""
    folder, *ended = sys.argv[1:]
    os.nice(_NICENESS)
    try:
        # From here on the folder is this one, even when an app is reset and another journal takes its name.
        os.chdir(folder)
        take(Path(), ended)
    except FileNotFoundError:
        return 0  # The journal is gone: nobody will come back to it.
    except (OSError, log.JournalDamagedError) as error:
        print(f"mock_im_server: no checkpoint of {folder}: {error}", file=sys.stderr)  # noqa: T201 -- a command's message
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

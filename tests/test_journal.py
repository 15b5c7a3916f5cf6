"""The journal: what is written is read again, a crash's torn end goes, any other damage is told."""

import errno
import os
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server import journal as log
from mock_im_server.journal import Journal, JournalDamagedError, JournalLostError, Row, chained, read, segments

BATCH_SIZES = [3, 1, 20, 5]


def a_row(seq: int) -> Row:
    return Row(
        seq,
        1_790_784_000_000 + seq,
        log.LOGGED_IN,
        user=seq,
        user_id=f"user{seq}" if seq % 2 else None,
        instance=1 << 40,
        platform=7,
        connection=seq // 3,
        request_seq=seq,
        counted_day=20_727 if seq % 3 else log.NOT_COUNTED,
    )


def written(
    folder: Path, sizes: list[int] = BATCH_SIZES, *, first_seq: int = 1
) -> tuple[Journal, list[Row], list[int]]:
    """A journal of several batches, its rows, and the size of its last file after each."""
    journal = Journal(folder)
    rows: list[Row] = []
    ends: list[int] = []
    for size in sizes:
        batch = [a_row(first_seq + len(rows) + number) for number in range(size)]
        journal.extend(batch)
        journal.write()
        rows += batch
        ends.append(journal.files()[-1].stat().st_size)
    journal.close()
    return journal, rows, ends


def rows_of(batches: list[pa.RecordBatch]) -> list[Row]:
    return [Row(**row) for batch in batches for row in batch.to_pylist()]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    journal, rows, _ = written(tmp_path)
    contents = read(tmp_path)
    assert rows_of(contents.batches) == rows
    assert (contents.head, contents.rows, contents.last_seq) == (journal.head, 29, 29)
    assert (journal.rows, journal.last_seq) == (29, 29)


def test_any_arrow_reader_reads_it(tmp_path: Path) -> None:
    journal, rows, _ = written(tmp_path)
    (path,) = journal.files()
    table = pa.ipc.open_stream(path.read_bytes()).read_all()
    assert table.schema == log.SCHEMA
    assert rows_of(table.to_batches()) == rows


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
int64s = st.integers(0, 2**63 - 1)


@given(
    st.lists(
        st.builds(
            Row,
            seq=int64s,
            time_ms=int64s,
            kind=st.integers(1, 13),
            user=int64s,
            user_id=texts,
            instance=int64s,
            platform=st.integers(0, 2**15 - 1),
            connection=int64s,
            request_seq=int64s,
            counted_day=st.integers(-1, 2**31 - 1),
            code=st.integers(-(2**31), 2**31 - 1),
            text=texts,
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_value_of_a_column_survives(rows: list[Row]) -> None:
    assert rows_of([log._batch(rows)]) == rows


def test_an_empty_folder_is_an_empty_journal(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == ([], bytes(32), 0, 0)


def test_a_batch_has_a_bounded_number_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "ROWS_MAX", 10)
    written(tmp_path, [25])
    assert [batch.num_rows for batch in read(tmp_path).batches] == [10, 10, 5]


def test_segments_go_on_with_rows_and_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SEGMENT_BYTES_MAX", 2_000)
    journal, rows, _ = written(tmp_path, [10] * 6)
    names = [path.name for path in segments(tmp_path)]
    assert len(names) > 2
    assert names[:2] == ["000000000001.arrow", "000000000011.arrow"]
    contents = read(tmp_path)
    assert rows_of(contents.batches) == rows
    assert contents.head == journal.head


@pytest.mark.parametrize(("syncs", "asked"), [(True, ["folder", "file"] * 2), (False, [])])
def test_a_journal_that_syncs_has_every_write_on_the_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, syncs: bool, asked: list[str]
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _folder: synced.append("folder"))
    monkeypatch.setattr(os, "fdatasync", lambda _file: synced.append("file"))
    monkeypatch.setattr(log, "SEGMENT_BYTES_MAX", 1)
    journal = Journal(tmp_path, syncs=syncs)
    journal.append(a_row(1))
    journal.write()
    assert synced == asked[:2]

    journal.append(a_row(2))
    journal.write()
    # The segment that has ended is synced once more before it is closed.
    assert synced == [*asked[:2], *asked[1:2], *asked[2:]]


def test_a_disk_that_does_not_sync_ends_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fails)
    journal = Journal(tmp_path, syncs=True)
    journal.append(a_row(1))
    with pytest.raises(JournalLostError):
        journal.write()


def test_a_journal_goes_on_behind_what_was_read(tmp_path: Path) -> None:
    written(tmp_path, [4])
    contents = read(tmp_path)
    journal = Journal(tmp_path)
    journal.resume_after(contents.head, contents.rows, contents.last_seq)
    journal.append(a_row(5))
    journal.close()
    assert [path.name for path in segments(tmp_path)] == ["000000000001.arrow", "000000000005.arrow"]
    again = read(tmp_path)
    assert [row.seq for row in rows_of(again.batches)] == [1, 2, 3, 4, 5]
    assert (again.rows, again.head) == (journal.rows, journal.head)


def test_an_end_torn_at_any_byte_is_cut_off_and_nothing_else(tmp_path: Path) -> None:
    _, rows, ends = written(tmp_path)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    for size in range(ends[-2], ends[-1]):
        path.write_bytes(whole[:size])
        assert rows_of(read(tmp_path).batches) == rows[:24]
        assert path.stat().st_size == ends[-2]


def test_a_first_write_torn_at_any_byte_leaves_no_file_in_the_way(tmp_path: Path) -> None:
    written(tmp_path, [2])
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert read(tmp_path) == ([], bytes(32), 0, 0)
        assert segments(tmp_path) == []


def test_damage_to_any_byte_before_the_last_message_is_told(tmp_path: Path) -> None:
    _, _, ends = written(tmp_path)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    for at in range(0, ends[-2], 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(JournalDamagedError, match=str(path)):
            read(tmp_path)
        assert path.stat().st_size == len(whole)


def test_damage_to_the_rows_of_the_last_message_is_told_too(tmp_path: Path) -> None:
    _, _, ends = written(tmp_path)
    (path,) = segments(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[ends[-1] - 100] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(JournalDamagedError):
        read(tmp_path)


@pytest.mark.parametrize("garbage", [b"x", b"\0" * 64, b"\xff" * 4 + b"\x10\0\0\0" + b"\0" * 64])
def test_garbage_behind_the_last_message_is_damage(tmp_path: Path, garbage: bytes) -> None:
    written(tmp_path)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes() + garbage)
    with pytest.raises(JournalDamagedError):
        read(tmp_path)


def test_a_torn_segment_with_another_behind_it_is_damage(tmp_path: Path) -> None:
    written(tmp_path, [4])
    written(tmp_path, [4], first_seq=5)
    first, _ = segments(tmp_path)
    os.truncate(first, first.stat().st_size - 1)
    with pytest.raises(JournalDamagedError, match="later segments"):
        read(tmp_path)


def test_a_missing_segment_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SEGMENT_BYTES_MAX", 2_000)
    written(tmp_path, [10] * 6)
    segments(tmp_path)[1].unlink()
    with pytest.raises(JournalDamagedError):
        read(tmp_path)


def test_the_chain_is_that_of_the_contract() -> None:
    message = log._batch([a_row(1)]).serialize()
    head = bytes(range(32))
    data, digest = chained(message, head)
    length = int.from_bytes(message[4:8], "little")
    metadata, body = message[8 : 8 + length], message[8 + length :]
    assert digest == blake2b(head + metadata.to_pybytes() + body.to_pybytes(), digest_size=32).digest()
    assert (
        data == b"\xff" * 4 + (length + 32).to_bytes(4, "little") + metadata.to_pybytes() + digest + body.to_pybytes()
    )


def test_a_failed_write_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(a_row(1))
    journal.write()
    journal.append(a_row(2))
    real_write = os.write

    def half(file: int, data: memoryview) -> int:
        if len(data) < 600:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(file, data[: len(data) - 500])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(JournalLostError, match=r"cannot write the journal in .*: No space left on device"):
        journal.write()
    monkeypatch.undo()
    # There is room again, but behind half a message nothing could be read.
    with pytest.raises(JournalLostError):
        journal.write()
    journal.close()
    assert not journal.is_written
    assert [row.seq for row in rows_of(read(tmp_path).batches)] == [1]


def test_a_closed_journal_takes_no_row(tmp_path: Path) -> None:
    journal, rows, _ = written(tmp_path)
    journal.append(a_row(30))
    journal.write()
    assert rows_of(read(tmp_path).batches) == rows

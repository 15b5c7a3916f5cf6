"""The journal on disk."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from mock_im_server import journal as log
from mock_im_server.journal import Journal, JournalDamagedError, Row


def a_journal(folder: Path, writes: int = 4, rows: int = 3) -> Journal:
    journal = Journal(folder)
    for write in range(writes):
        for number in range(rows):
            seq = write * rows + number + 1
            name = None if seq % 2 else f"user_{seq}"
            journal.append(Row(seq, seq * 10, log.LOGGED_IN, seq, name, text="é" if seq == 5 else None))
        journal.write()
    return journal


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)

    contents = log.read(tmp_path)

    table = pa.Table.from_batches(contents.batches)
    assert table["seq"].to_pylist() == list(range(1, 13))
    assert table["user_id"].to_pylist()[:3] == [None, "user_2", None]
    assert table["text"].to_pylist()[4] == "é"
    assert (contents.head, contents.rows, contents.last_seq) == (journal.head, 12, 12)


def test_any_arrow_reader_reads_a_segment(tmp_path: Path) -> None:
    a_journal(tmp_path)

    with pa.ipc.open_stream(str(next(tmp_path.glob("*.arrow")))) as reader:
        assert reader.read_all().num_rows == 12


def test_a_journal_goes_on_behind_what_was_read(tmp_path: Path) -> None:
    a_journal(tmp_path).close()
    contents = log.read(tmp_path)
    journal = Journal(tmp_path)
    journal.resume_after(contents.head, contents.rows, contents.last_seq)
    journal.append(Row(13, 130, log.LOGGED_OUT))
    journal.close()

    assert log.read(tmp_path).last_seq == 13
    assert len(log.segments(tmp_path)) == 2


def test_a_torn_end_costs_only_the_last_write_wherever_it_is_torn(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    a_journal(whole, writes=3)
    path = log.segments(whole)[0]
    before = path.stat().st_size
    a_journal(tmp_path / "longer", writes=4)
    longer = log.segments(tmp_path / "longer")[0].read_bytes()
    for end in range(before, len(longer)):
        torn = tmp_path / "torn"
        torn.mkdir()
        (torn / path.name).write_bytes(longer[:end])

        assert log.read(torn).last_seq == 9, end
        assert log.read(torn).last_seq == 9, "the torn end has been cut off"
        shutil.rmtree(torn)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_damaged_middle_is_an_error_and_nothing_is_dropped(tmp_path: Path, share: float) -> None:
    a_journal(tmp_path)
    path = log.segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(JournalDamagedError, match=path.name):
        log.read(tmp_path)
    assert path.read_bytes() == data


def test_a_row_left_out_breaks_the_chain(tmp_path: Path) -> None:
    a_journal(tmp_path / "a", writes=2)
    a_journal(tmp_path / "b", writes=1)
    a = log.segments(tmp_path / "a")[0].read_bytes()
    b = log.segments(tmp_path / "b")[0].read_bytes()
    schema_end = a.index(b"\xff\xff\xff\xff", 8)
    assert a[:schema_end] == b[:schema_end]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "000000000001.arrow").write_bytes(a[:schema_end] + a[len(b) :])

    with pytest.raises(JournalDamagedError):
        log.read(tmp_path / "c")


def test_a_full_disk_stops_the_journal_for_good(tmp_path: Path) -> None:
    journal = Journal(Path("/dev/full"))
    journal.append(Row(1, 1, log.LOGGED_IN))

    with pytest.raises(OSError, match="cannot write the journal"):
        journal.write()

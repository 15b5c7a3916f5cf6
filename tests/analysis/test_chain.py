"""The hash chain: what holds, what breaks it, and over how many segments."""

from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pytest

from analysis import chain, run_files
from proofs.forging import write_journal
from tests.analysis.runs import a_recording


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write_journal(tmp_path, a_recording().journal_with_close(), batch_rows=25)
    (path,) = (tmp_path / run_files.JOURNAL_FOLDER).iterdir()
    return path


def test_an_intact_journal_has_all_its_rows(journal: Path) -> None:
    links = chain.read([journal])
    assert links.damage is None
    assert links.table.num_rows == a_recording().journal_with_close().num_rows


def test_the_head_is_the_hash_as_the_format_describes_it(tmp_path: Path) -> None:
    table = a_recording().journal_with_close().slice(0, 3).combine_chunks()
    part = write_journal(tmp_path, table)
    head = bytes(32)
    for message in (run_files.JOURNAL_SCHEMA.serialize(), table.to_batches()[0].serialize()):
        raw = bytes(message)
        head = blake2b(head + raw[8:], digest_size=32).digest()
    assert part["head"] == head.hex() == chain.read(_segments(tmp_path)).head


def test_arrow_reads_a_chained_file_like_any_other(journal: Path) -> None:
    with pa.ipc.open_stream(str(journal)) as stream:
        assert stream.read_all().num_rows == chain.read([journal]).table.num_rows


@pytest.mark.parametrize("at", [40, 700, 3_000, -1])
def test_a_flipped_bit_breaks_the_chain(journal: Path, at: int) -> None:
    data = bytearray(journal.read_bytes())
    data[at] ^= 4
    journal.write_bytes(data)
    damage = chain.read([journal]).damage
    assert damage is not None
    assert journal.name in damage


def test_the_rows_before_a_break_are_kept(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:-10])
    links = chain.read([journal])
    assert links.damage is not None
    assert links.table.num_rows % 25 == 0
    assert links.table.num_rows > 0


def test_an_end_of_stream_mark_is_no_damage(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes() + b"\xff\xff\xff\xff\x00\x00\x00\x00")
    assert chain.read([journal]).damage is None


def test_a_segment_that_does_not_follow_the_one_before_is_noticed(tmp_path: Path, journal: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_journal(other, a_recording({"2026-10-03": 30}).journal_with_close())
    assert chain.read([journal, *_segments(other)]).damage is not None


def _segments(folder: Path) -> list[Path]:
    return sorted((folder / run_files.JOURNAL_FOLDER).iterdir())

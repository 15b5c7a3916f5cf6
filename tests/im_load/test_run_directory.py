"""A run's directory is marked as unfinished until everything is in it."""

from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import pytest

from im_load.run_directory import RunDirectory

NOON = datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC)


def a_directory(runs: Path) -> RunDirectory:
    return RunDirectory(runs, "dau_spike", "2026-10", 7, NOON)


def test_a_run_is_partial_until_it_is_complete(tmp_path: Path) -> None:
    directory = a_directory(tmp_path)
    names = [path.name for path in tmp_path.iterdir()]

    directory.complete()

    assert names == ["dau_spike-2026-10-seed7-20261123T120005.partial"]
    assert [path.name for path in tmp_path.iterdir()] == ["dau_spike-2026-10-seed7-20261123T120005"]


@pytest.mark.parametrize("is_complete", [False, True])
def test_two_runs_of_the_same_second_have_their_own(tmp_path: Path, is_complete: bool) -> None:  # noqa: FBT001 -- a case
    first = a_directory(tmp_path)
    if is_complete:
        first.complete()

    assert a_directory(tmp_path).id == f"{first.id}-2"


def test_a_ledger_is_written_as_it_comes_and_knows_its_hash(tmp_path: Path) -> None:
    directory = a_directory(tmp_path)
    for part in (b"one", b"", b"two"):
        directory.ledger(3).write(part)
    directory.close_ledgers()
    ledger = directory.ledger(3)

    assert (directory.path / ledger.name).read_bytes() == b"onetwo"
    assert ledger.name == "ledger/worker-3.arrow"
    assert (ledger.bytes, ledger.digest()) == (6, blake2b(b"onetwo", digest_size=32).hexdigest())


def test_latest_points_to_the_newest(tmp_path: Path) -> None:
    for _ in range(2):
        directory = a_directory(tmp_path)
        directory.link_latest()

    assert (tmp_path / "latest").resolve() == directory.path
    assert len(list(tmp_path.iterdir())) == 3, "two runs and the link"


def test_a_document_is_readable_json(tmp_path: Path) -> None:
    directory = a_directory(tmp_path)

    directory.write_json("plan.json", {"name": "Zürich", "days": []})

    assert (directory.path / "plan.json").read_text("utf-8") == '{\n  "name": "Zürich",\n  "days": []\n}\n'

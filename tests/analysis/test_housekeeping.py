"""Runs are listed with what they came to; what is removed is old, asked for, and a run."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis import run_files
from analysis.__main__ import main
from im_load.run_directory import RunDirectory

NOW = datetime.now(UTC)


def a_kept_run(folder: Path, days_ago: float, outcome: str | None = "passed") -> Path:
    """As much of a run as tells one, with `latest` pointing to it."""
    started = NOW - timedelta(days=days_ago)
    path = folder / f"dau_spike-2026-10-seed7-{started:%Y%m%dT%H%M%S}"
    (path / run_files.LEDGER_FOLDER).mkdir(parents=True)
    (path / run_files.PLAN).write_text('{"format": 1, "scenario": "dau_spike", "arrivals": 5}')
    (path / run_files.LEDGER_FOLDER / "worker-0.arrow").write_bytes(bytes(1_000_000))
    if outcome:
        verdict = {"outcome": outcome, "peak_dau": 20_000, "total_cents": 29_998, "currency": "USD"}
        (path / run_files.VERDICT).write_text(json.dumps(verdict))
        link = folder / run_files.LATEST
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_runs_are_listed_the_newest_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_kept_run(tmp_path, 3, "failed")
    a_kept_run(tmp_path, 5, outcome=None)
    newest = a_kept_run(tmp_path, 1)
    assert main(["runs", str(tmp_path)]) == 0
    _, unaudited, failed, passed, total = capsys.readouterr().out.splitlines()
    assert "not audited" in unaudited
    assert failed.split()[1:] == ["1.0", "MB", "failed", "20,000", "299.98", "USD"]
    assert passed.split()[0] == newest.name
    assert passed.endswith("passed            20,000       299.98 USD  latest")
    assert total == "3 runs, 3.0 MB"


def test_the_newest_are_kept(tmp_path: Path) -> None:
    _, _, third, second, first = (a_kept_run(tmp_path, days) for days in (5, 4, 3, 2, 1))
    assert main(["runs", str(tmp_path), "--keep", "3", "--yes"]) == 0
    assert names(tmp_path) == {run_files.LATEST, first.name, second.name, third.name}


def test_what_is_older_goes_and_of_that_the_newest_may_stay(tmp_path: Path) -> None:
    _, old, _, new = (a_kept_run(tmp_path, days) for days in (5, 4, 3, 0.5))
    assert main(["runs", str(tmp_path), "--older-than", "3.5", "--keep", "3", "--yes"]) == 0
    assert len(names(tmp_path)) == 4
    assert main(["runs", str(tmp_path), "--older-than", "1", "--yes"]) == 0
    assert names(tmp_path) == {run_files.LATEST, new.name}
    assert not old.exists()


def test_the_newest_run_that_is_left_becomes_the_latest(tmp_path: Path) -> None:
    older, newer = a_kept_run(tmp_path, 2), a_kept_run(tmp_path, 1)
    assert main(["runs", str(tmp_path), "--remove", newer.name, "--yes"]) == 0
    assert (tmp_path / run_files.LATEST).resolve() == older.resolve()


def test_without_runs_there_is_no_latest(tmp_path: Path) -> None:
    a_kept_run(tmp_path, 1)
    assert main(["runs", str(tmp_path), "--keep", "0", "--yes"]) == 0
    assert names(tmp_path) == set()


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = a_kept_run(runs, 9)
    elsewhere = a_kept_run(tmp_path / "elsewhere", 8)
    stamped = "dau_spike-2026-10-seed7-20200101T000000"
    (runs / "notes.txt").write_text("mine")
    (runs / "before").mkdir()
    (runs / stamped).mkdir()
    (runs / stamped / run_files.PLAN).write_text('{"plan": "for the holidays"}')
    (runs / elsewhere.name).symlink_to(elsewhere)
    before = names(runs)
    assert main(["runs", str(runs), "--older-than", "0", "--yes"]) == 0
    assert names(runs) == before - {run.name, run_files.LATEST}
    assert elsewhere.is_dir()


@pytest.mark.parametrize("name", ["..", ".", "latest", "nothing", "../elsewhere", "notes.txt"])
def test_only_a_run_can_be_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_kept_run(tmp_path, 1)
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["runs", str(tmp_path), "--remove", run.name, name, "--yes"]) == 3
    assert capsys.readouterr().err == f"python -m analysis: {name} is no run of this folder\n"
    assert names(tmp_path) == {run.name, run_files.LATEST, "notes.txt"}


def test_a_run_in_progress_is_shown_and_never_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    playing = RunDirectory(tmp_path, "dau_spike", "2026-10", 7, NOW - timedelta(days=9))
    assert main(["runs", str(tmp_path), "--keep", "0", "--yes"]) == 0
    assert main(["runs", str(tmp_path), "--remove", playing.path.name, "--yes"]) == 3
    assert main(["runs", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "nothing to remove" in printed.out
    assert "in progress" in printed.out
    assert printed.err.endswith(f"{playing.path.name} is in progress\n")

    playing.release()

    assert main(["runs", str(tmp_path), "--keep", "0", "--yes"]) == 0
    assert names(tmp_path) == set()


def test_without_somebody_to_ask_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_kept_run(tmp_path, 1)
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert main(["runs", str(tmp_path), "--keep", "0"]) == 3
    assert "give --yes" in capsys.readouterr().err
    assert run.is_dir()


def test_json_tells_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_kept_run(tmp_path, 1)
    assert main(["runs", str(tmp_path), "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["path"], document["state"], document["total_cents"]) == (str(run), "passed", 29_998)


def test_a_folder_that_is_not_there_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().err == f"python -m analysis: {tmp_path}/none: No such file or directory\n"

"""A run that is read in parts has the same verdict as one that is read whole, healthy or spoilt."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from analysis import big_runs, gates, run_files
from analysis.audit import audit
from analysis.report import page
from analysis.verdict import Verdict, as_json
from benchmarks import big_run
from proofs.forging import Forgery, without_row
from proofs.mutations import MUTATIONS
from tests.analysis.judging import judged
from tests.analysis.recordings import Recording
from tests.analysis.runs import a_recording, a_run

DAYS = {"2026-10-01": 60, "2026-10-02": 90, "2026-10-09": 40}
PART_ROWS = 80
"""So that each of these runs has several parts, and days begin inside of them."""
SPOILINGS = (
    "ledger row dropped", "other user in the ledger", "refusal seen as success", "answer lost", "request never sent",
    "seen on another day", "journal row repeated", "journal rows swapped", "registered under another name",
    "registration forgotten", "refusal kept as login", "days in utc", "request_seq moved by 1,000,000 in the ledger",
    "connection moved by 1,000 in the journal", "code moved by 72,000 in the journal", "seq moved by 1 in the journal",
)  # fmt: skip
"""Of `proofs.mutations`; `python -m proofs mutations` tries all."""


def read_in_parts(run: Path) -> Verdict:
    said: list[str] = []
    read = big_runs.load(run, 0, say=said.append, part_rows=PART_ROWS)
    assert said == []
    assert read.whole is not None
    audited = audit(read)
    return Verdict(audited, gates.evaluate(gates.read(gates.DEFAULT_FILE), audited))


def the_same(run: Path) -> dict[str, Any]:
    """Judge a run both ways; return the one verdict."""
    verdict = as_json(judged(run))
    assert as_json(read_in_parts(run)) == verdict
    return verdict


@pytest.mark.parametrize("workers", [1, 3])
def test_a_healthy_run_passes_both_ways(tmp_path: Path, workers: int) -> None:
    recording = a_recording(DAYS, workers=workers)
    recording.batch_rows = 16
    assert the_same(recording.written(tmp_path))["outcome"] == "passed"


def test_a_generated_run_passes_both_ways(tmp_path: Path) -> None:
    verdict = the_same(big_run.write(tmp_path / "run", 20_000))
    assert verdict["outcome"] == "passed"
    assert {reading["reading"] for reading in verdict["readings"]} >= {"a resumed session counts as a login"}


@pytest.mark.parametrize("mutation", SPOILINGS)
def test_a_spoilt_run_has_the_same_verdict_both_ways(tmp_path: Path, spoilable: Path, mutation: str) -> None:
    files = Forgery.of(spoilable)
    MUTATIONS[mutation](files, Random(7))
    files.write(tmp_path / "run")
    the_same(tmp_path / "run")


@pytest.fixture(scope="module")
def spoilable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run(tmp_path_factory.mktemp("spoilable"), days=DAYS)


def _a_request_id_twice_in_the_ledger(recording: Recording) -> None:
    ledger = recording.ledgers[0]
    recording.ledgers[0] = pa.concat_tables([ledger, ledger.slice(3, 2), ledger.slice(90, 1)])


def _a_request_id_twice_in_the_journal(recording: Recording) -> None:
    assert recording.journal is not None
    recording.journal = pa.concat_tables([recording.journal, recording.journal.slice(30, 2)])


def _a_gap_in_the_journal(recording: Recording) -> None:
    assert recording.journal is not None
    recording.journal = without_row(recording.journal, 40)


def _values_that_cannot_be(recording: Recording) -> None:
    for row, column, value in ((2, "app_before_ms", 2**62), (80, "request_seq", -1), (110, "answered_us", -(2**40))):
        recording.change_ledger(column, row, value)


def _half_an_answer(recording: Recording) -> None:
    recording.change_ledger("answered_us", 70, None)


def _outcomes_that_nobody_knows(recording: Recording) -> None:
    for row in (5, 66):
        for column in ("answered_us", "app_after_ms", "code"):
            recording.change_ledger(column, row, None)


def _a_login_repeated_for_a_lost_one(recording: Recording) -> None:
    _outcomes_that_nobody_knows(recording)
    for row in (100, 101):
        recording.change_ledger("kind", row, "repeat")


def _a_stranger(recording: Recording) -> None:
    recording.change_ledger("user_id", 70, "somebody")


def _an_early_answer(recording: Recording) -> None:
    recording.change_ledger("sent_us", 100, 0)
    recording.change_ledger("sent_us", 40, 10**9)
    recording.change_ledger("answered_us", 40, 10**9)


@pytest.mark.parametrize(
    "spoil",
    [
        _a_request_id_twice_in_the_ledger,
        _a_request_id_twice_in_the_journal,
        _a_gap_in_the_journal,
        _values_that_cannot_be,
        _half_an_answer,
        _outcomes_that_nobody_knows,
        _a_login_repeated_for_a_lost_one,
        _a_stranger,
        _an_early_answer,
    ],
    ids=lambda spoil: spoil.__name__.strip("_"),
)
def test_what_is_not_plain_has_the_same_verdict_both_ways(tmp_path: Path, spoil: Callable[[Recording], None]) -> None:
    recording = a_recording(DAYS)
    spoil(recording)
    assert the_same(recording.written(tmp_path))["outcome"] != "passed"


@pytest.mark.parametrize("folder", [run_files.LEDGER_FOLDER, run_files.JOURNAL_FOLDER])
def test_a_file_that_is_cut_short_has_the_same_verdict_both_ways(tmp_path: Path, folder: str) -> None:
    recording = a_recording(DAYS)
    recording.batch_rows = 20
    run = recording.written(tmp_path)
    (path,) = (run / folder).iterdir()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert the_same(run)["outcome"] == "invalid"


def test_a_gate_on_single_requests_is_judged_both_ways(tmp_path: Path) -> None:
    run = a_run(tmp_path, days=DAYS)
    file = tmp_path / "gates.toml"
    gate = 'metric = "latency.service_p99_ms"\nwhere = { platform = "Web" }\nat_most = 1000\nkind = "performance"'
    file.write_text(f"[[gate]]\n{gate}\n")
    audited = audit(big_runs.load(run, 0, part_rows=PART_ROWS))
    (result,) = gates.evaluate(gates.read(file), audited)
    assert result.passed
    assert result.value == judged(run, file).gates[0].value


def test_the_report_has_the_same_latencies_both_ways(tmp_path: Path) -> None:
    run = a_run(tmp_path, days=DAYS)
    whole, in_parts = (page(verdict).split("In milliseconds")[1] for verdict in (judged(run), read_in_parts(run)))
    assert in_parts == whole


@pytest.mark.parametrize(
    ("options", "reason"), [({"plan": "trial", "days": {"2026-10-01": 30}}, "the plan trial has limits")]
)
def test_a_run_that_cannot_be_read_in_parts_says_why_and_is_judged_the_ordinary_way(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    said: list[str] = []
    run = big_runs.load(a_run(tmp_path, **options), 0, say=said.append)
    assert run.whole is None
    assert len(said) == 1
    assert reason in said[0]


def test_a_small_run_is_read_the_ordinary_way_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    assert big_runs.load(a_run(tmp_path), say=said.append).whole is None
    assert said == []

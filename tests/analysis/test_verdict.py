"""The verdict's files and lines, as scripts and people read them."""

import json
from pathlib import Path

import pytest
from junitparser import JUnitXml

from analysis import run_files, verdict
from analysis.bills import TIMES
from proofs.forging import rewrite_manifest
from tests.analysis.judging import judged
from tests.analysis.runs import a_recording, a_run, a_statement


def test_verdict_json_has_the_documented_keys(tmp_path: Path) -> None:
    run = a_run(tmp_path, days={"2026-10-16": 20_001})
    verdict.write(judged(run), run)
    found = json.loads((run / run_files.VERDICT).read_text())
    gates = found.pop("gates")
    around = {key: found.pop(key) for key in ("headroom", "peak_set_by", "readings", "unproven")}
    witness = {"peak_dau": 20_001, "amount_cents": 29_998, "peak_groups": 0, "total_cents": 44_997}
    assert found == {
        "format": 1,
        "run": "a_run",
        "outcome": "passed",
        "bill_is": "compared",
        "month": "2026-10",
        "peak_dau": 20_001,
        "peak_day": "2026-10-16",
        "dau_units": 2,
        "amount_cents": 29_998,
        "total_cents": 44_997,
        "currency": "USD",
        "charged_on": "2026-11-03",
        "peak_groups": 0,
        "caps": [],
        "access": None,
        "lines": a_statement("2026-10", {"2026-10-16": 20_001})["lines"],
        "witnesses": dict.fromkeys(("plan", "ledger", "journal", "statement"), witness),
        "findings": [],
    }
    assert (around["headroom"][0]["left"], around["peak_set_by"]["day"]) == (9_999, "2026-10-16")
    assert gates[0] == {
        "metric": "workers.missing",
        "where": {},
        "rule": "= 0",
        "value": 0,
        "passed": True,
        "kind": "validity",
        "on_failure": "fail",
        "samples": None,
    }


def test_a_passed_run_is_two_lines(tmp_path: Path) -> None:
    lines = verdict.text(judged(a_run(tmp_path, days={"2026-10-16": 20_001})), "runs/x/report.html")
    assert lines.splitlines() == [
        f"peak DAU 20,001 on 2026-10-16 · 2 units {TIMES} 149.99 = 299.98 USD, charged 2026-11-03",
        "plan = ledger = journal = statement   · report: runs/x/report.html",
    ]


def test_absent_witnesses_are_named(tmp_path: Path) -> None:
    recording = a_recording()
    recording.journal = recording.statement = None
    lines = verdict.text(judged(recording.written(tmp_path)), "r").splitlines()
    assert lines[1] == "plan = ledger (no journal, no statement)   · report: r"
    assert [line.split()[0] for line in lines[2:]] == ["warning", "warning"]


def test_a_failed_run_lists_its_findings_one_a_line(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {"2026-10-01": 30, "2026-10-02": 51})
    judgement = judged(recording.written(tmp_path))
    lines = verdict.text(judgement, "r").splitlines()
    assert lines[0].startswith("FAILED · ")
    assert len(lines) == len(judgement.findings) + 1
    assert "DAU of statement and ledger differ: 2026-10-02 51 against 50" in "\n".join(lines)


def test_the_cause_comes_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = None
    run = recording.written(tmp_path).rename(tmp_path / "run.partial")
    rewrite_manifest(run, complete=False, problems=[{"code": "interrupted", "text": "the run was stopped"}])
    (run / run_files.LEDGER_FOLDER / "worker-0.arrow").write_bytes(b"")
    judgement = judged(run)
    lines = verdict.text(judgement, "r").splitlines()
    assert lines[0] == f"INVALID: this run proves nothing · {len(judgement.findings)} findings · report: r"
    assert lines[1] == "invalid  interrupted: the run was stopped"
    assert len(lines) == 8
    assert lines[-1] == f"and {len(judgement.findings) - 6} more, in the report and in summary.md beside it"
    assert judgement.findings[0].code == "interrupted"


def test_a_terminal_shows_one_finding_of_each_code_before_more_of_the_same(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {"2026-10-01": 30, "2026-10-02": 20_001}) | {"currency": "EUR"}
    judgement = judged(recording.written(tmp_path))
    lines = verdict.text(judgement, "r").splitlines()
    shown = {line.split()[1] for line in lines[1:-1]}
    assert len(judgement.findings) > verdict.FINDINGS_SHOWN_MAX + 1
    assert shown == {f"{finding.code}:" for finding in judgement.findings}


def test_junit_has_a_case_for_each_check_and_gate(tmp_path: Path) -> None:
    recording = a_recording()
    recording.manifest["complete"] = False
    judgement = judged(recording.written(tmp_path))
    suites = list(JUnitXml.fromstring(verdict.junit(judgement)))
    cases = [case for suite in suites for case in suite]
    assert len(cases) == len(judgement.audit.checks) + len(judgement.gates)
    assert [case.name for case in cases if case.result] == ["the run is finished"]


def test_the_summary_shows_all_witnesses(tmp_path: Path) -> None:
    text = verdict.summary(judged(a_run(tmp_path)))
    assert text.startswith("# Passed\n")
    assert text.count("| 50 | 0.00 |") == 4


@pytest.mark.parametrize("lost", [run_files.PLAN, run_files.STATEMENT])
def test_without_plan_or_statement_the_other_still_prices_the_month(tmp_path: Path, lost: str) -> None:
    run = a_run(tmp_path)
    (run / lost).unlink()
    found = verdict.as_json(judged(run))
    assert (found["outcome"], found["peak_dau"]) == ("invalid", 50)


def test_without_both_nothing_is_priced_but_the_findings_are_there(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run / run_files.PLAN).unlink()
    (run / run_files.STATEMENT).unlink()
    found = verdict.as_json(judged(run))
    assert (found["outcome"], found["month"], found["peak_dau"]) == ("invalid", None, None)

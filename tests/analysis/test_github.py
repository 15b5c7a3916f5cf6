"""Annotations and job summary, as GitHub Actions takes them."""

from pathlib import Path

import pytest

from analysis import github
from analysis.__main__ import main
from analysis.findings import error, warning
from analysis.gates import Gate, Result
from analysis.verdict import Verdict
from tests.analysis.judging import judged
from tests.analysis.runs import a_recording, a_run, a_statement

GATES = """
[[gate]]
metric = "dau.peak"
equals = 50
kind = "exact"

[[gate]]
metric = "dau.peak"
at_most = 40
kind = "performance"
on_failure = "warn"

[[gate]]
metric = "bill.amount_cents"
equals = 1
kind = "exact"
"""


def test_failed_gates_point_to_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path)
    (tmp_path / "gates.toml").write_text(GATES)
    monkeypatch.chdir(tmp_path)
    assert main(["audit", str(run), "--gates", "gates.toml", "--github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("::")] == [
        "::error title=gate_failed,file=gates.toml,line=13::bill.amount_cents is 0, must be = 1",
        "::warning title=gate_failed,file=gates.toml,line=7::dau.peak is 50, must be ≤ 40",
    ]


def test_a_finding_of_the_audit_is_an_error_without_a_file(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {"2026-10-01": 30, "2026-10-02": 51})
    lines = github.annotations(judged(recording.written(tmp_path)), Path("gates.toml"), Path()).splitlines()
    assert "::error title=dau_differs::DAU of statement and ledger differ: 2026-10-02 51 against 50" in lines


def test_a_passed_run_has_no_annotations(tmp_path: Path) -> None:
    assert github.annotations(judged(a_run(tmp_path)), Path("gates.toml"), Path()) == ""


def test_a_gate_file_elsewhere_is_not_pointed_to(tmp_path: Path) -> None:
    audited = judged(a_run(tmp_path)).audit
    failed = Result(Gate("dau.peak", "equals", 1, "exact", is_warning=False, line=3), 50, passed=False)
    judgement = Verdict(audited, [failed])
    assert github.annotations(judgement, tmp_path / "g.toml", tmp_path / "repository").startswith(
        "::error title=gate_failed::dau.peak is 50"
    )


def test_what_github_would_drop_is_counted() -> None:
    lines = github._shown("error", [f"::error::{number}" for number in range(12)])
    assert len(lines) == github.SHOWN_MAX
    assert lines[-1] == "::error::and 3 more"


def test_control_letters_are_escaped() -> None:
    assert github._command("error", error("c", "a\nb % c"), None, None) == "::error title=c::a%0Ab %25 c"
    assert "file=a%2Cb%3A.toml" in github._command("warning", warning("c", "t"), "a,b:.toml", 1)


def test_in_github_actions_nothing_has_to_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = a_recording()
    recording.journal = recording.statement = None
    run, summary = recording.written(tmp_path), tmp_path / "summary"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert main(["audit", str(run)]) == 0
    assert "::warning title=statement_absent::" in capsys.readouterr().out
    assert summary.read_text().startswith("before\n# Passed\n")
    assert main(["audit", str(run), "--no-github"]) == 0
    assert "::" not in capsys.readouterr().out


def test_a_summary_that_cannot_be_written_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(a_run(tmp_path)), "--job-summary", str(tmp_path / "no" / "summary")]) == 3
    assert "cannot write" in capsys.readouterr().err


def test_a_summary_too_long_for_github_is_cut(tmp_path: Path) -> None:
    github.append_summary("€" * github.SUMMARY_BYTES_MAX, tmp_path / "summary")
    assert (tmp_path / "summary").stat().st_size <= github.SUMMARY_BYTES_MAX + 1

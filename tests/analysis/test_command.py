"""The command line: lines, files and exit codes."""

import json
from pathlib import Path

import pytest

from analysis import run_files
from analysis.__main__ import main
from analysis.bills import TIMES
from analysis.metrics import METRICS
from proofs.forging import rewrite_manifest
from tests.analysis.runs import a_recording, a_run, a_statement

WRITTEN = {run_files.VERDICT, run_files.SUMMARY, run_files.JUNIT, run_files.REPORT}


def test_a_passed_audit_prints_two_lines_and_writes_four_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path)
    assert main(["audit", str(run)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"peak DAU 50 on 2026-10-02 · 0 units {TIMES} 149.99 = 0.00 USD, charged 2026-11-03",
        f"plan = ledger = journal = statement   · report: {run}/report.html",
    ]
    assert printed.err == ""
    assert {path.name for path in run.iterdir()} >= WRITTEN


def test_a_second_audit_writes_the_same_bytes(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    main(["audit", str(run)])
    first = {name: (run / name).read_bytes() for name in WRITTEN}
    main(["audit", str(run)])
    assert first == {name: (run / name).read_bytes() for name in WRITTEN}


def test_a_failed_audit_ends_with_1_and_an_invalid_one_with_2(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {})
    assert main(["audit", str(recording.written(tmp_path, "failed"))]) == 1
    run = a_recording().written(tmp_path, "invalid")
    rewrite_manifest(run, complete=False)
    assert main(["audit", str(run)]) == 2
    assert json.loads((run / run_files.VERDICT).read_text())["outcome"] == "invalid"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["audit", "{tmp}/nowhere"], "no such directory"),
        (["audit", "{tmp}"], "not a run"),
        (["audit", "{run}", "--gates", "{tmp}/none.toml"], "No such file"),
        (["bill", "--dau", "ten", "--plan", "pro"], "'ten' is not a count"),
        (["bill", "--dau", "-1", "--plan", "pro"], "-1"),
        (["bill", "--dau", "1", "--plan", "gold"], "plan 'gold' is unknown; known: trial, pro"),
        (["bill", "--dau", "1", "--plan", "pro", "--price-book", "9"], "price book '9' is unknown"),
        (["bill", "--dau", "1", "--plan", "ultimate", "--price-book", "cn-2019"], "plan 'ultimate' is unknown"),
        (["bill", "--plan", "pro"], "--dau"),
        (["bill", "--dau", "1", "--plan", "pro", "--price-book", "2022-12"], "give them with --mau"),
        (["bill", "--dau", "1", "--plan", "pro", "--call-minutes", "8k=1"], "'8k=1' is not TIER=N"),
        (["bill", "--dau", "1", "--plan", "pro", "--call-minutes", "hd=1,hd=2"], "each once"),
        (["bill", "--dau", "1", "--plan", "pro", "--call-minutes", "hd"], "'' is not a count"),
        (["bill", "--dau", "1", "--plan", "pro", "--price-book", "cn-2019", "--call-minutes", "hd=1"], "no prices of"),
        (["bill", "--dau", "1", "--plan", "pro", "--opened", "today"], "'today' is not a date"),
        (["bill", "--dau", "1", "--plan", "pro", "--opened", "2026-01-01"], "no price list of site intl is known"),
        (["bill", "--dau", "1", "--plan", "pro", "--opened", "2021-01-01", "--site", "x"], "site 'x' is unknown"),
        (["bill", "--dau", "1", "--plan", "pro", "--site", "intl"], "give it with --opened"),
        (["focus", "{tmp}/nowhere"], "statement.json is missing"),
        (["gates", "{tmp}/none.toml"], "No such file"),
        (["early", "{tmp}/nowhere", "--gates", "gates/million.toml"], "no such directory"),
        (["early", "{tmp}"], "--gates"),
        ([], "COMMAND"),
    ],
)
def test_wrong_use_ends_with_3_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    run = tmp_path / "runs"
    run.mkdir()
    filled = [a.format(tmp=tmp_path, run=a_run(run) if a == "{run}" else "") for a in arguments]
    try:
        code: object = main(filled)
    except SystemExit as left:
        code = left.code
    assert code == 3
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_the_bill_of_a_million_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bill", "--dau", "1000000", "--plan", "pro"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines] == ["149.99", "14,849.01", "14,999.00"]


def test_the_bill_as_json_is_in_cents(capsys: pytest.CaptureFixture[str]) -> None:
    main(["bill", "--dau", "20001", "--plan", "ultimate", "--price-book", "2021-08", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["dau_units"], found["amount_cents"], found["total_cents"]) == (2, 89_998, 179_997)


@pytest.mark.parametrize(
    ("arguments", "amounts"),
    [
        (
            ["--dau", "25000", "--groups", "250000", "--opened", "2021-09-01"],
            ["449.99", "899.98", "899.98", "2,249.95"],
        ),
        (["--mau", "12000", "--opened", "2023-01-01", "--groups", "9"], ["399.00", "30.00", "0.00", "429.00"]),
        (["--dau", "1", "--groups", "250000"], ["149.99", "0.00", "299.98", "449.97"]),
        (
            ["--dau", "1", "--call-minutes", "audio=1000,hd=10000"],
            ["149.99", "0.00", "0.00", "3.99", "153.98"],
        ),
        (
            ["--dau", "150000", "--opened", "2019-06-01", "--site", "cn-domestic"],
            ["999.00", "10,000.00", "10,999.00"],
        ),
    ],
)
def test_a_bill_has_a_line_for_each_thing_that_was_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], amounts: list[str]
) -> None:
    assert main(["bill", "--plan", "pro", *arguments]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines] == amounts


def test_the_bill_as_json_has_all_lines_of_the_statement(capsys: pytest.CaptureFixture[str]) -> None:
    main(["bill", "--dau", "9", "--plan", "pro", "--call-minutes", "2k=2", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [line["item"] for line in found["lines"]] == ["plan", "dau", "groups", "call_2k"]
    assert (found["call_seconds"], found["peak_groups"]) == ({"2k": 120}, 0)


def test_a_gate_file_is_checked_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gates", "gates/million.toml", "analysis/default_gates.toml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "gates/million.toml: 9 gates",
        "analysis/default_gates.toml: 5 gates",
    ]


@pytest.mark.parametrize(("most", "code", "says"), [(50, 0, ""), (49, 1, "dau.peak is 50, must be ≤ 49\n")])
def test_a_run_that_goes_on_is_judged_by_gates_that_may_abort(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], most: int, code: int, says: str
) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(f'[[gate]]\nmetric = "dau.peak"\nat_most = {most}\nkind = "exact"\nabort = true\n')
    assert main(["early", str(a_run(tmp_path)), "--gates", str(path)]) == code
    assert capsys.readouterr().out == says


@pytest.mark.parametrize("command", [[], ["audit"], ["bill"], ["focus"], ["gates"], ["early"]])
def test_help_is_worth_reading(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "python -m analysis" in text
    if command == ["audit"]:
        assert all(name in text for name in METRICS)

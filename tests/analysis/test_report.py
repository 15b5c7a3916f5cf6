"""The page: whole, self-contained, and the same bytes each time."""

import re
from pathlib import Path

import pytest

from analysis import report
from tests.analysis.judging import judged
from tests.analysis.runs import a_recording, a_run, a_statement


def test_the_page_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert report.page(judged(run)) == report.page(judged(run))


def test_the_page_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    page = report.page(judged(a_run(tmp_path)))
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    assert not re.search(r'(src|xlink:href)="(?!#)', page)
    assert len(page.encode()) < 2_000_000


def test_ids_are_unique_on_the_page(tmp_path: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', report.page(judged(a_run(tmp_path))))
    assert len(ids) == len(set(ids))


def test_the_waterfall_leads_from_rows_to_cents(tmp_path: Path) -> None:
    steps = report.waterfall(judged(a_run(tmp_path, days={"2026-10-16": 20_001})).audit)
    figures = [step.figure for step in steps]
    assert figures[3:] == ["20,001", "20,001", "10,001", "2", "299.98"]
    assert steps[0].share == 1.0


def test_the_bill_under_other_readings_is_shown(tmp_path: Path) -> None:
    page = report.page(judged(a_run(tmp_path)))
    assert "billing days begin at midnight UTC" in page
    assert "price book 2021-08" in page


@pytest.mark.parametrize(
    ("plan", "days"),
    [
        ("trial", {}),
        ("trial", {"2026-10-01": 1}),
        ("trial", {"2026-10-31": 100}),
        ("pro", {}),
        ("pro", {"2026-10-01": 1}),
        ("pro", {"2026-10-31": 10_000}),
    ],
)
def test_small_months_have_a_page_too(tmp_path: Path, days: dict[str, int], plan: str) -> None:
    assert "Passed" in report.page(judged(a_run(tmp_path, days=days, plan=plan)))


def test_findings_stand_on_the_page_escaped(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {}) | {"currency": "<b>"}
    page = report.page(judged(recording.written(tmp_path)))
    assert 'class="failed"' in page
    assert "the statement&#39;s currency is &lt;b&gt; instead of USD" in page


def test_a_run_without_plan_and_statement_has_a_page_with_its_findings(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run / "plan.json").unlink()
    (run / "statement.json").unlink()
    assert "plan.json is missing" in report.page(judged(run))

"""pandas and DuckDB count the same, and the audit notices when they do not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import loading, recount, second_opinion
from analysis.audit import audit
from analysis.bills import cents, started_units
from analysis.counts import Count
from analysis.prices import Overage, price_books
from tests.analysis.runs import a_run


def test_both_count_the_same_users_and_answers(tmp_path: Path) -> None:
    run = loading.load(a_run(tmp_path))
    assert run.journal is not None
    ledger = second_opinion.of_ledger(run.ledger.table, run.offset_ms)
    journal = second_opinion.of_journal(run.journal.table, run.offset_ms)
    assert ledger == recount.of_ledger(run.ledger.answered, run.offset_ms) == journal
    assert ledger.dau == {20_727: 30, 20_728: 50}


def test_a_difference_between_the_two_makes_the_run_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_opinion, "of_ledger", lambda *_: Count({20_727: 29}))
    audited = audit(loading.load(a_run(tmp_path)))
    assert {finding.code for finding in audited.findings} == {"implementations_differ"}


@given(st.integers(0, 10**8))
def test_both_price_a_peak_alike(peak: int) -> None:
    overage: Overage = price_books()["2020"].dau
    units = started_units(peak, overage)
    charge = second_opinion.charge(peak, overage)
    assert charge == second_opinion.Charge(units, cents(units, overage.unit_price))

"""pandas and DuckDB count the same, and the audit notices when they do not."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import loading, recount, second_opinion
from analysis.audit import audit
from analysis.bills import cents, started_units
from analysis.counts import Count
from analysis.prices import Overage, price_books
from tests.analysis.runs import a_run

DATABASE = duckdb.connect()
OVERAGES = [item for book in price_books().values() for item in (book.dau, book.mau, book.groups) if item]


def test_both_count_the_same_users_and_answers(tmp_path: Path) -> None:
    run = loading.load(a_run(tmp_path))
    assert run.journal is not None
    with duckdb.connect() as database:
        ledger = second_opinion.of_ledger(database, run.ledger.table, run.offset_ms)
        journal = second_opinion.of_journal(database, run.journal.table, run.offset_ms)
    assert ledger == recount.of_ledger(run.ledger.answered, run.offset_ms) == journal
    assert ledger.dau == {20_727: 30, 20_728: 50}
    assert ledger.monthly_users == {"2026-10": 50}


def test_a_difference_between_the_two_makes_the_run_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "of_ledger", lambda *_: Count({20_727: 29}))
    audited = audit(loading.load(a_run(tmp_path)))
    assert {finding.code for finding in audited.findings} == {"implementations_differ"}


@given(st.integers(0, 10**9), st.sampled_from(OVERAGES))
def test_both_price_a_quantity_alike(peak: int, overage: Overage) -> None:
    units = started_units(peak, overage)
    charge = second_opinion.charge(DATABASE, peak, overage)
    assert charge == second_opinion.Charge(units, cents(units, overage.unit_price))

"""The audit: completeness first, then arithmetic, then row by row; each check gives findings, none stops the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import duckdb

from analysis import completeness, matching, second_opinion, witnesses
from analysis.bills import Bill
from analysis.counts import Count, Peak, peak
from analysis.findings import Finding, invalid
from analysis.journals import Journal
from analysis.loading import Run, Terms
from analysis.prices import Overage
from analysis.second_opinion import Charge
from analysis.witnesses import Counts, Summary

DIFFERENCES: Final = "comparison"
COMPLETENESS: Final = "completeness"


@dataclass(frozen=True, slots=True)
class Check:
    """A check that was made, and what it found."""

    name: str
    group: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that is known of a run; figures are the ledger's, None without terms."""

    run: Run
    terms: Terms | None
    counts: Counts
    summaries: Mapping[str, Summary | None]
    peak: Peak | None
    bill: Bill | None
    checks: tuple[Check, ...]

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the checks."""
        return [finding for check in self.checks for finding in check.findings]

    @property
    def differences(self) -> int:
        """How many comparisons of witnesses failed."""
        return sum(finding.severity == "error" for finding in self.findings)


def audit(run: Run, progress: Callable[[str], None] = lambda _step: None) -> Audit:
    """Judge a run; `progress` hears what is being done."""
    progress("counting with pandas")
    counted = witnesses.counts(run)
    terms = run.terms
    top = peak(counted.ledger.dau, terms.days) if terms else None
    bill = terms.bill(witnesses.usage(counted.ledger, terms)) if terms else None
    checks = [*_complete(run), *_arithmetic(run, counted, terms)]
    progress("counting with DuckDB")
    checks.append(Check("pandas and DuckDB agree", COMPLETENESS, tuple(_second(run, counted, bill))))
    if run.journal:
        progress("comparing row by row")
        checks += _row_by_row(run, run.journal)
    return Audit(
        run=run,
        terms=terms,
        counts=counted,
        summaries=witnesses.summaries(run, counted, terms),
        peak=top,
        bill=bill,
        checks=tuple(checks),
    )


def _complete(run: Run) -> list[Check]:
    found = {
        "the run is finished": completeness.of_manifest(run),
        "the ledgers are the ones handed over": completeness.of_ledger_files(run),
        "each planned request has one row": completeness.of_rows(run),
        "every outcome is known": completeness.of_outcomes(run),
        "the journal is whole": completeness.of_journal(run),
        "the statement is there": completeness.of_statement(run),
        "the plan's readings are known": witnesses.readings(run),
    }
    return [Check(name, COMPLETENESS, tuple(findings)) for name, findings in found.items()]


def _arithmetic(run: Run, counted: Counts, terms: Terms | None) -> list[Check]:
    found = {
        "each request kept to its billing day": witnesses.clock(run),
        "daily DAU": witnesses.daily_dau(run, counted, terms),
        "answers by day and code": witnesses.daily_codes(run, counted),
        "price book": witnesses.price_book(run, terms),
        "statement against our own bill": witnesses.statement(run, counted, terms),
        "statement against the journal": witnesses.journal_statement(run),
    }
    return [Check(name, DIFFERENCES, tuple(findings)) for name, findings in found.items()]


def _row_by_row(run: Run, journal: Journal) -> list[Check]:
    registered = matching.registrations(run.ledger, journal)
    matches = matching.match(run.ledger, journal, registered)
    found = {
        "each answer has one journal row": matching.pairs(matches),
        "both sides say the same of it": matching.contents(matches),
        "the journal keeps real-time order": matching.order(matches),
        "one number a user": matching.registration(journal, registered),
        "a user counts once a day": matching.counted_days(journal, run.offset_ms),
    }
    return [Check(name, DIFFERENCES, tuple(findings)) for name, findings in found.items()]


def _second(run: Run, counted: Counts, bill: Bill | None) -> list[Finding]:
    with duckdb.connect() as database:
        second = second_opinion.of_ledger(database, run.ledger.table, run.offset_ms)
        findings = _count_differs("ledger", counted.ledger, second)
        if run.journal and counted.journal:
            second = second_opinion.of_journal(database, run.journal.table, run.offset_ms)
            findings += _count_differs("journal", counted.journal, second)
        for line in bill.overages if bill else ():
            charge = second_opinion.charge(database, line.quantity, Overage(line.free, line.per, line.unit_price))
            if charge != Charge(line.units, line.amount_cents):
                text = f"pandas and DuckDB charge differently: {line.amount_cents} and {charge.cents} cents"
                findings.append(invalid("implementations_differ", text))
    return findings


def _count_differs(name: str, first: Count, second: Count) -> list[Finding]:
    return [
        invalid("implementations_differ", f"pandas and DuckDB count the {name}'s {what} differently")
        for what, one, other in (
            ("users", first.dau, second.dau),
            ("answers", first.codes, second.codes),
            ("months", first.monthly_users, second.monthly_users),
        )
        if dict(one) != dict(other)
    ]

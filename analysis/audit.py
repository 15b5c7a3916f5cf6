"""The audit: completeness first, then arithmetic, then row by row; each check gives findings, none stops the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from analysis import (
    access,
    access_journal,
    bounds,
    call_trials,
    cap_table,
    caps,
    completeness,
    matching,
    planned,
    second_opinion,
    volumes,
    witnesses,
)
from analysis.access import AccessAudit
from analysis.bills import Bill
from analysis.bounds import Bounds
from analysis.cap_table import Cap
from analysis.caps import Tally
from analysis.counts import Count, Peak, peak
from analysis.findings import Finding, invalid
from analysis.journals import Journal
from analysis.loading import Run, Terms
from analysis.matching import Matches
from analysis.prices import Overage
from analysis.second_opinion import Charge
from analysis.volumes import Range
from analysis.witnesses import Counts, Summary

DIFFERENCES: Final = "comparison"
COMPLETENESS: Final = "completeness"
CAPS: Final = "caps"
ACCESS: Final = "access"


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
    tallies: tuple[Tally, ...] = ()
    """Of the quotas that the journal's replay judged."""
    bounds: tuple[Bounds, ...] = ()
    """Of the quotas that the ledger alone had to judge."""
    matches: Matches | None = None
    """The ledger's rows beside the journal's."""
    access: AccessAudit | None = None
    """Of a run about access points."""

    @property
    def caps(self) -> list[Cap]:
        """Each quota in the form of the report, those at which the run raced first."""
        raced = frozenset(quota.name for quota in self.run.plan.quotas) if self.run.plan else frozenset()
        found = [*cap_table.of_tallies(self.tallies, raced), *cap_table.of_bounds(self.bounds, raced)]
        return sorted(found, key=lambda cap: not cap.is_raced)

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
    bill = terms.bill(witnesses.ledger_usage(counted, terms)) if terms else None
    checks = [*_complete(run), *_arithmetic(run, counted, terms)]
    progress("counting with DuckDB")
    checks.append(Check("pandas and DuckDB agree", COMPLETENESS, tuple(_second(run, counted, bill))))
    matches = None
    if run.whole:
        checks += _checks(run.whole.compared, DIFFERENCES)
    elif run.journal:
        progress("comparing row by row")
        matches, compared = _row_by_row(run, run.journal)
        checks += compared
    reached, checked = _access(run, matches, progress)
    checks += checked
    progress("replaying the caps")
    tallies, bounded, capped = _caps(run)
    return Audit(
        run=run,
        terms=terms,
        counts=counted,
        summaries=witnesses.summaries(run, counted, terms),
        peak=top,
        bill=bill,
        checks=(*checks, *capped),
        tallies=tallies,
        bounds=bounded,
        matches=matches,
        access=reached,
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
    # Shown where there is something to compare: most runs are about users alone.
    if any(day.admitted for day in run.plan.days) if run.plan else counted.ledger.others:
        found |= {
            "successes by day and verb": planned.admitted(run, counted),
            "groups by day, and their peak": planned.groups(run, counted),
            "seconds of calls by tier": planned.calls(run, counted),
        }
    return [Check(name, DIFFERENCES, tuple(findings)) for name, findings in found.items()]


def _row_by_row(run: Run, journal: Journal) -> tuple[Matches, list[Check]]:
    registered = matching.registrations(run.ledger, journal)
    matches = matching.match(run.ledger, journal, registered)
    found = {
        "each answer has one journal row": matching.pairs(matches),
        "both sides say the same of it": matching.contents(matches),
        "the journal keeps real-time order": matching.order(matches),
        "one number a user": matching.registration(journal, registered),
        "a user counts once a day": matching.counted_days(journal, run.offset_ms),
    }
    return matches, _checks(found, DIFFERENCES)


def _checks(found: Mapping[str, Sequence[Finding]], group: str) -> list[Check]:
    return [Check(name, group, tuple(findings)) for name, findings in found.items()]


def _access(
    run: Run, matches: Matches | None, progress: Callable[[str], None]
) -> tuple[AccessAudit | None, list[Check]]:
    """Route every login again, where the run says how its app was routed."""
    lacking = completeness.of_access(run)
    checks = [Check("what became of access points is known", COMPLETENESS, tuple(lacking))] if lacking else []
    if run.access is None:
        return None, checks
    progress("routing every login again")
    reached = access.audit(run, run.access)
    checks.append(Check("every login came in where it belongs", ACCESS, reached.findings))
    if run.journal and matches:
        witnessed = access_journal.findings(
            run.ledger, run.journal, run.access, reached.points, reached.visits, matches
        )
        checks.append(Check("the journal saw nobody elsewhere, nor at a lost access point", ACCESS, tuple(witnessed)))
    return reached, checks


def _caps(run: Run) -> tuple[tuple[Tally, ...], tuple[Bounds, ...], list[Check]]:
    """Judge each cap in both directions: by the journal's replay, or without one by what the ledger can know."""
    if run.terms is None:
        return (), (), []
    raced = run.plan.quotas if run.plan else []
    first_plan = run.plan.app.plan if run.plan else run.terms.plan
    checks = (
        [Check("the plan's caps are the vendor's", CAPS, tuple(bounds.planned(raced, first_plan)))] if raced else []
    )
    if run.journal is None:
        bounded = tuple(bounds.audited(run.ledger, first_plan, raced, run.offset_ms))
        found = bounds.findings(bounded, raced)
        return (
            (),
            bounded,
            [*checks, Check("caps, as far as a ledger can tell", CAPS, tuple(found))] if found else checks,
        )
    tallies = tuple(caps.tallies(run.journal, first_plan, run.offset_ms))
    judged = {
        "accounts are made once": run.whole.registered if run.whole else caps.registrations(run.journal),
        "groups are made before they are destroyed": caps.lifetimes(run.journal),
        "calls only while a trial runs": call_trials.findings(run.journal),
        "seconds of each call": volumes.call_ends(run.journal),
        "nothing admitted over a cap, nothing refused below it": caps.findings(run.journal, tallies),
    }
    return tallies, (), [*checks, *(Check(name, CAPS, tuple(findings)) for name, findings in judged.items())]


def _second(run: Run, counted: Counts, bill: Bill | None) -> list[Finding]:
    with duckdb.connect() as database:
        if run.whole:
            second = run.whole.second_ledger
        else:
            second = second_opinion.of_ledger(database, run.ledger.table, run.offset_ms)
        findings = _count_differs("ledger", counted.ledger, second)
        if run.journal and counted.journal:
            if run.whole:
                second = run.whole.second_journal
            else:
                second = second_opinion.of_journal(database, run.journal.table, run.offset_ms)
            findings += _count_differs("journal", counted.journal, second)
        if run.terms and counted.ledger.others:
            findings += _groups_differ(database, run, run.terms, counted)
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
            ("other answers", first.others, second.others),
        )
        if dict(one) != dict(other)
    ]


def _groups_differ(database: duckdb.DuckDBPyConnection, run: Run, terms: Terms, counted: Counts) -> list[Finding]:
    """Count the peak of groups a second time."""
    volume = counted.ledger_volume
    pairs = [("ledger", volume.peak_groups, Range(*second_opinion.ledger_groups(database, terms.days, run.offset_ms)))]
    if counted.journal_volume:
        peak = second_opinion.journal_groups(database, terms.days, run.offset_ms)
        pairs.append(("journal", counted.journal_volume.peak_groups, Range(peak, peak)))
    return [
        invalid(
            "implementations_differ", f"pandas and DuckDB find other peaks of groups in the {name}: {one} and {two}"
        )
        for name, one, two in pairs
        if one != two
    ]

"""What the plan says beside users and codes: successes by verb, the peak of groups, seconds of calls.

Zero tolerance, as for everything else: a plan that cannot say a figure exactly says its least and its most.
"""

from collections.abc import Mapping

from analysis.billing_days import day_number, day_of, iso
from analysis.bills import Usage
from analysis.counts import Count
from analysis.findings import Finding, error, listed, warning
from analysis.loading import Run
from analysis.recount import SESSION_VERBS
from analysis.volumes import DayOfGroups, Range
from analysis.witnesses import Counts


def admitted(run: Run, counted: Counts) -> list[Finding]:
    """Compare the successes of each day and verb with the least and most that the plan names."""
    if run.plan is None:
        return []
    texts = []
    for day in run.plan.days:
        number = day_number(day.day)
        for verb, bounds in sorted(day.admitted.items()):
            due, found = Range(*bounds), _successes(run, counted.ledger, number, verb)
            if not due.holds(found):
                texts.append(f"{day.day} {verb}: {due.text} against {found:,}")
    return [error("admitted_differs", f"successes of plan and ledger differ: {listed(texts)}")] if texts else []


def groups(run: Run, counted: Counts) -> list[Finding]:
    """Compare the peak of groups and each day's groups: plan, ledger and journal."""
    findings = []
    ledger = counted.ledger_volume
    best = counted.journal_volume or ledger
    if run.plan and run.plan.peak_groups:
        due = Range(*run.plan.peak_groups)
        if due.high < best.peak_groups.low or due.low > best.peak_groups.high:
            text = f"the plan has a peak of {due.text} groups, {_name(counted)} {best.peak_groups.text}"
            findings.append(error("peak_groups_differs", text))
    if counted.journal_volume:
        peak = counted.journal_volume.peak_groups.high
        if not ledger.peak_groups.holds(peak):
            text = f"the journal has a peak of {peak:,} groups, the ledger {ledger.peak_groups.text}"
            findings.append(error("peak_groups_differs", text))
        texts = _days_differ(counted.journal_volume.groups_by_day, ledger.groups_by_day)
        if texts:
            findings.append(error("groups_differ", f"groups by day of journal and ledger differ: {listed(texts)}"))
    elif ledger.peak_groups.low < ledger.peak_groups.high:
        findings.append(warning("peak_groups_open", _meaning(run, ledger.peak_groups)))
    return findings


def calls(run: Run, counted: Counts) -> list[Finding]:
    """Compare the month's seconds of calls by tier: plan, ledger and journal."""
    journal = counted.journal_volume
    if journal is None:
        if not counted.call_seconds:
            return []
        text = "without a journal nobody says who was in which call: the seconds of calls remain unproven"
        return [warning("calls_unproven", text)]
    findings = []
    ledger = counted.ledger_volume.call_seconds
    exact = {tier: seconds.high for tier, seconds in journal.call_seconds.items()}
    texts = [
        f"{tier} {exact.get(tier, 0):,} against {ledger.get(tier, Range(0, 0)).text}"
        for tier in sorted(exact.keys() | ledger.keys())
        if not ledger.get(tier, Range(0, 0)).holds(exact.get(tier, 0))
    ]
    if texts:
        findings.append(error("call_seconds_differ", f"seconds of calls of journal and ledger differ: {listed(texts)}"))
    planned = run.plan.call_seconds if run.plan else None
    if planned is not None:
        tiers = sorted(planned.keys() | exact.keys())
        texts = [
            f"{tier} {planned.get(tier, 0):,} against {exact.get(tier, 0):,}"
            for tier in tiers
            if planned.get(tier, 0) != exact.get(tier, 0)
        ]
        if texts:
            findings.append(error("call_seconds_differ", f"seconds of calls of plan and run differ: {listed(texts)}"))
    return findings


def _meaning(run: Run, peak: Range) -> str:
    text = f"the ledger alone bounds the peak of groups between {peak.low:,} and {peak.high:,}"
    if run.terms is None:
        return text
    low, high = (run.terms.bill(Usage(peak_groups=count)).line("groups") for count in (peak.low, peak.high))
    if low is None or high is None:
        return text
    if low.units == high.units:
        return f"{text}, {low.units} units either way"
    return f"{text}, which crosses a tier edge ({low.units} to {high.units} units)"


def _successes(run: Run, count: Count, day: int, verb: str) -> int:
    if verb not in SESSION_VERBS:
        return count.admitted(day, verb)
    answered = run.ledger.answered
    asked = answered[(answered["verb"] == verb) & (answered["code"] == 0)]
    return int((day_of(asked["app_before_ms"], run.offset_ms) == day).sum())


def _name(counted: Counts) -> str:
    return "the journal" if counted.journal_volume else "the ledger"


def _days_differ(journal: Mapping[int, DayOfGroups], ledger: Mapping[int, DayOfGroups]) -> list[str]:
    nothing = DayOfGroups(0, 0, 0)
    pairs = [
        (day, journal.get(day, nothing), ledger.get(day, nothing)) for day in sorted(journal.keys() | ledger.keys())
    ]
    return [
        f"{iso(day)} {one.made:,} made and {one.destroyed:,} destroyed against {two.made:,} and {two.destroyed:,}"
        for day, one, two in pairs
        if (one.made, one.destroyed) != (two.made, two.destroyed)
    ]

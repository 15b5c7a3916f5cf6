"""What a run is about, in some lines: caps that were raced for, access points, and what the month costs."""

from collections.abc import Iterator

from analysis import access_words
from analysis.audit import Audit
from analysis.billing_days import iso
from analysis.bills import TIMES, Bill, Line, money, price


def headline(audit: Audit) -> str:
    """Say the first thing that a reader wants to know."""
    return headlines(audit)[0]


def headlines(audit: Audit) -> list[str]:
    """Say how the caps held, one line a quota at which the run raced, where users came in, and what the month costs."""
    # Without a statement nobody has billed anything yet.
    foretold = "predicted: " if audit.bill and audit.run.statement is None else ""
    reached = access_words.headlines(audit.access) if audit.access else ()
    return [*(cap.line for cap in audit.caps if cap.is_raced), *reached, foretold + _costs(audit)]


def _costs(audit: Audit) -> str:
    if not (audit.terms and audit.peak and audit.bill):
        return "no plan and no statement: nothing to bill by"
    bill = audit.bill
    parts = list(_parts(audit, bill))
    total = f"{money(bill.total_cents)} {bill.currency}"
    if not parts:
        parts = [f"{audit.terms.plan}: {total}"]
    elif len(parts) > 1:
        parts.append(f"total {total}")
    charged = f", charged {iso(audit.terms.charge_day)}" if bill.total_cents else ""
    return f"{'; '.join(parts)}{charged}"


def _parts(audit: Audit, bill: Bill) -> Iterator[str]:
    """Users, groups and calls, without those that there were none of; users where there was nothing else either."""
    groups, calls = bill.line("groups"), [line for line in bill.lines if line.item.startswith("call_")]
    has_groups = groups is not None and groups.quantity > 0
    if (audit.peak and audit.peak.dau) or not (has_groups or calls or any(cap.is_raced for cap in audit.caps)):
        yield _users(audit, bill)
    if groups and has_groups:
        yield f"peak of groups {groups.quantity:,} · {_charge(groups, bill)}"
    if calls:
        minutes, amount = sum(line.quantity for line in calls), sum(line.amount_cents for line in calls)
        yield f"call minutes {minutes:,} · {money(amount)} {bill.currency}"


def _users(audit: Audit, bill: Bill) -> str:
    assert audit.peak, "a bill needs a peak"
    assert audit.terms, "and terms"
    on = f" on {iso(audit.peak.day)}" if audit.peak.day is not None else ""
    peak = f"peak DAU {audit.peak.dau:,}{on}"
    if users := bill.line("mau"):
        units = f"{users.units:,} {TIMES} {price(users.unit_price)} = {money(users.amount_cents)} {bill.currency}"
        return f"{users.quantity:,} users in the month, {peak} · {units}"
    if bill.dau is None:
        return f"{peak} · {audit.terms.plan} has no overage, {money(bill.total_cents)} {bill.currency}"
    return f"{peak} · {_charge(bill.dau, bill)}"


def _charge(line: Line, bill: Bill) -> str:
    units = f"{line.units:,} unit{'' if line.units == 1 else 's'}"
    return f"{units} {TIMES} {price(line.unit_price)} = {money(line.amount_cents)} {bill.currency}"

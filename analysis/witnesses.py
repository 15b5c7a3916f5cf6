"""The four witnesses: plan, ledger, journal and statement must tell the same story, to the last user and cent."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import pandas as pd
import pyarrow.compute as pc

from analysis import recount, volumes
from analysis.billing_days import day_number, day_of, iso, start_ms
from analysis.bills import Bill, Usage, money
from analysis.counts import Count, Peak, peak
from analysis.documents import Plan, Statement
from analysis.findings import NOWHERE, Case, Finding, error, invalid, listed
from analysis.journals import CHARGED, MONTH_CLOSED
from analysis.ledgers import RECONNECT
from analysis.loading import Run, Terms
from analysis.volumes import NOTHING, Range, Volume

PLAN: Final = "plan"
LEDGER: Final = "ledger"
JOURNAL: Final = "journal"
STATEMENT: Final = "statement"
WITNESSES: Final = (PLAN, LEDGER, JOURNAL, STATEMENT)

CHARGE_DAYS: Final = range(1, 6)
"""The FAQ says the 3rd, the price page of 2022 the 1st to the 3rd; a few days either way stay a reading."""

_CHARGE_KEYS: Final = ("month", "total_cents", "currency", "charged_on", "charged_at_ms")


@dataclass(frozen=True, slots=True)
class Summary:
    """A witness in four figures: stated by the statement, recomputed for the others; None is what it does not say."""

    peak_dau: int
    amount_cents: int
    peak_groups: int | None
    total_cents: int | None

    def agrees_with(self, other: "Summary | None") -> bool:
        """Whether both say the same of all that both speak of."""
        if other is None:
            return False
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return all(one == two for one, two in pairs if one is not None and two is not None)


@dataclass(frozen=True, slots=True)
class Counts:
    """What each witness that can count has counted; volumes are of the month, empty without terms.

    The ledger leaves a range open where requests overlap. What it is billed by is then the nearest to what the journal
    says, or without one the statement or the plan: whatever lies outside the range shows as a difference.
    """

    ledger: Count
    journal: Count | None
    ledger_volume: Volume = NOTHING
    journal_volume: Volume | None = None
    said_groups: int | None = None
    """The peak by the statement, or else by the plan."""

    @property
    def peak_groups(self) -> int:
        """The month's peak of groups by the ledger."""
        known = self.ledger_volume.peak_groups
        if self.journal_volume:
            return known.nearest(self.journal_volume.peak_groups.high)
        return known.nearest(known.high if self.said_groups is None else self.said_groups)

    @property
    def call_seconds(self) -> dict[str, int]:
        """The month's seconds of calls by the ledger, by tier."""
        other = self.journal_volume.call_seconds if self.journal_volume else {}
        known = self.ledger_volume.call_seconds
        found = {tier: seconds.nearest(other.get(tier, seconds).high) for tier, seconds in known.items()}
        return {tier: seconds for tier, seconds in found.items() if seconds}


def usage(count: Count, terms: Terms, peak_groups: int = 0, call_seconds: Mapping[str, int] | None = None) -> Usage:
    """Tell what a witness would bill the month by."""
    dau, users = peak(count.dau, terms.days).dau, count.monthly_users.get(terms.month, 0)
    return Usage(dau, users, peak_groups, call_seconds or {})


def ledger_usage(counted: Counts, terms: Terms) -> Usage:
    """Tell what the ledger would bill the month by."""
    return usage(counted.ledger, terms, counted.peak_groups, counted.call_seconds)


def counts(run: Run) -> Counts:
    journal, ledger, offset_ms = run.journal, run.ledger, run.offset_ms
    if run.whole:
        counted = Counts(run.whole.ledger, run.whole.journal)
    else:
        counted = Counts(
            recount.of_ledger(ledger.answered, offset_ms), recount.of_journal(journal, offset_ms) if journal else None
        )
    counted = replace(counted, said_groups=_said_groups(run))
    if run.terms is None:
        return counted
    days = run.terms.days
    volume = volumes.of_ledger(ledger, journal, days, offset_ms)
    if journal is None and any(verb == "start_call" for _, verb, _ in counted.ledger.others):
        volume = replace(volume, call_seconds=_said_seconds(run))
    return replace(
        counted,
        ledger_volume=volume,
        journal_volume=volumes.of_journal(journal, days, offset_ms) if journal else None,
    )


def summaries(run: Run, counted: Counts, terms: Terms | None) -> dict[str, Summary | None]:
    """Sum up each witness; None for one that is absent, and for all without terms."""
    result: dict[str, Summary | None] = dict.fromkeys(WITNESSES)
    if terms is None:
        return result
    if run.plan and terms.book.mau is None:
        # A plan says how many come on each day, not how many different ones in a month.
        planned = Count({day_number(day.day): day.dau_max for day in run.plan.days})
        groups, seconds = _planned_groups(run.plan), _planned_seconds(run.plan)
        used = usage(planned, terms, groups or 0, seconds)
        result[PLAN] = _summary(used, terms, says_groups=groups is not None, says_all=None not in (groups, seconds))
    result[LEDGER] = _summary(ledger_usage(counted, terms), terms)
    if counted.journal and (volume := counted.journal_volume):
        seconds = {tier: known.high for tier, known in volume.call_seconds.items()}
        result[JOURNAL] = _summary(usage(counted.journal, terms, volume.peak_groups.high, seconds), terms)
    if run.statement:
        stated = run.statement
        amount = sum(line.amount_cents for line in stated.lines if line.item in ("dau", "mau"))
        result[STATEMENT] = Summary(stated.peak_dau, amount, stated.peak_groups, stated.total_cents)
    return result


def readings(run: Run) -> list[Finding]:
    """Check that this analysis knows how to judge by the plan's readings."""
    if run.plan is None:
        return []
    chosen = run.plan.readings
    findings = []
    if chosen.dau != "login":
        text = f"the plan counts DAU by {chosen.dau!r}; this analysis counts logins only"
        findings.append(invalid("reading_unknown", text))
    if chosen.charge_day not in CHARGE_DAYS:
        text = f"the plan charges on day {chosen.charge_day}; a reading is one of {CHARGE_DAYS[0]} to {CHARGE_DAYS[-1]}"
        findings.append(invalid("reading_unknown", text))
    return findings


def daily_dau(run: Run, counted: Counts, terms: Terms | None) -> list[Finding]:
    """Compare the ledger's DAU of each day with plan, journal and statement."""
    ledger = counted.ledger.dau
    findings = []
    if run.plan:
        planned = {day_number(day.day): (day.dau_min, day.dau_max) for day in run.plan.days}
        findings += _dau_outside(planned, ledger)
    if counted.journal:
        findings += _dau_differs(JOURNAL, counted.journal.dau, ledger)
    if run.statement and terms:
        in_month = {day: dau for day, dau in ledger.items() if day in terms.days}
        stated = {day_number(day.day): day.dau for day in run.statement.daily_dau}
        findings += _dau_differs(STATEMENT, stated, in_month)
    return findings


def daily_codes(run: Run, counted: Counts) -> list[Finding]:
    """Compare requests by day and code: plan with ledger, journal with ledger; and arrivals by planned day."""
    findings = []
    ledger = counted.ledger.codes
    if counted.journal:
        # What was lost with its connection may have reached the server: the journal has it, and the ledger only the
        # answer to its repetition.
        found = counted.journal.codes
        lost = _sizes_by_day(run, run.ledger.settled)
        over = {key: max(0, count - ledger.get(key, 0)) for key, count in found.items()}
        is_explained = {
            day: sum(count for (other, _), count in over.items() if other == day) <= lost.get(day, 0)
            for day, _ in found
        }
        kept = {key: count - over[key] if is_explained[key[0]] else count for key, count in found.items()}
        findings += _codes_differ(JOURNAL, kept, ledger)
    if run.plan is None:
        return findings
    races = {day_number(day.day) for day in run.plan.days if day.codes is None}
    planned = {
        (day_number(day.day), code): count
        for day in run.plan.days
        for code, count in (day.codes or {}).items()
        if count
    }
    reconnects = run.ledger.answered[run.ledger.answered["kind"] == RECONNECT]
    beside = Counter(zip(day_of(reconnects["app_before_ms"], run.offset_ms), reconnects["code"], strict=True))
    answers = {key: count - beside[key] for key, count in counted.ledger.answers.items() if count != beside[key]}
    certain = {key: count for key, count in answers.items() if key[0] not in races}
    return findings + _codes_differ(PLAN, planned, certain) + _arrivals(run)


def clock(run: Run) -> list[Finding]:
    """Check that each answered request began and ended on one billing day, the one for which it was planned."""
    texts = {
        "day_uncertain": "began and ended on different billing days",
        "day_missed": "were played on another billing day than planned",
    }
    wrong = run.whole.clock if run.whole else _clock(run)
    return [
        error(code, f"{wrong[code].count:,} requests {what}, the first is row {wrong[code].first:,}")
        for code, what in texts.items()
        if wrong[code].count
    ]


def _clock(run: Run) -> dict[str, Case]:
    answered = run.ledger.answered
    columns = ("planned_app_ms", "app_before_ms", "app_after_ms")
    planned, before, after = (day_of(answered[column], run.offset_ms) for column in columns)
    found = {"day_uncertain": before != after, "day_missed": planned != before}
    numbers = answered["row"].to_numpy()
    return {
        code: Case(int(wrong.sum()), int(numbers[wrong.to_numpy()].min(initial=NOWHERE)))
        for code, wrong in found.items()
    }


def price_book(run: Run, terms: Terms | None) -> list[Finding]:
    """Compare the server's prices with our own, which were written from the sources independently."""
    if run.statement is None or terms is None:
        return []
    stated = run.statement.price_book
    differences = terms.book.differences(stated)
    if stated.get("name") != terms.book.name:
        differences.insert(0, f"the name is {stated.get('name')} instead of {terms.book.name}")
    if not differences:
        return []
    return [error("price_book_differs", f"the statement's price book: {listed(differences)}")]


def statement(run: Run, counted: Counts, terms: Terms | None) -> list[Finding]:
    """Compare the statement with the bill recomputed from the ledger, field by field."""
    if run.statement is None or terms is None:
        return []
    top = peak(counted.ledger.dau, terms.days)
    stated = run.statement
    used = ledger_usage(counted, terms)
    bill = terms.bill(used)
    due = _due(run, terms, top, bill) | {
        "monthly_users": used.monthly_users,
        "peak_groups": used.peak_groups,
        "call_seconds": dict(used.call_seconds),
    }
    differences = [
        f"{name} is {getattr(stated, name)} instead of {value}"
        for name, value in due.items()
        if getattr(stated, name) != value
    ]
    findings = [error("statement_differs", f"the statement's {text}") for text in differences]
    return findings + _lines(stated, bill)


def journal_statement(run: Run) -> list[Finding]:
    """Compare the statement with the one that the journal recorded at the close, and with its charge."""
    if run.statement is None or run.journal is None:
        return []
    month = run.statement.month
    closes = [note for note in run.journal.documents(MONTH_CLOSED) if note.get("month") == month]
    charges = [note for note in run.journal.documents(CHARGED) if note.get("month") == month]
    findings = []
    if len(closes) != 1:
        text = f"the journal closes {month} {len(closes)} times"
        findings.append(error("month_not_closed_once", text))
    if len(charges) != (run.statement.charged_on is not None):
        text = f"the journal charges {month} {len(charges)} times"
        findings.append(error("month_not_charged_once", text))
    closed = run.statement_json | {"charged_on": None, "charged_at_ms": None}
    charge = {key: run.statement_json[key] for key in _CHARGE_KEYS}
    for code, notes, expected in (("close_differs", closes, closed), ("charge_differs", charges, charge)):
        wrong = sorted({key for note in notes for key in expected | dict(note) if note.get(key) != expected.get(key)})
        if wrong:
            text = f"the journal and statement.json differ in {listed(wrong)}"
            findings.append(error(code, text))
    return findings


def _said_groups(run: Run) -> int | None:
    if run.statement:
        return run.statement.peak_groups
    return run.plan.peak_groups[1] if run.plan and run.plan.peak_groups else None


def _said_seconds(run: Run) -> dict[str, Range]:
    """A ledger does not say who was in a call: without a journal that is the plan's word, or else the statement's."""
    said = run.plan.call_seconds if run.plan else None
    if said is None:
        said = run.statement.call_seconds if run.statement else {}
    return {tier: Range(seconds, seconds) for tier, seconds in said.items()}


def _planned_groups(plan: Plan) -> int | None:
    """None where the plan makes groups without saying how many there are at most."""
    if plan.peak_groups:
        return plan.peak_groups[1]
    return None if any("create_group" in day.admitted for day in plan.days) else 0


def _planned_seconds(plan: Plan) -> dict[str, int] | None:
    if plan.call_seconds is not None:
        return plan.call_seconds
    return None if any("start_call" in day.admitted for day in plan.days) else {}


def _summary(used: Usage, terms: Terms, *, says_groups: bool = True, says_all: bool = True) -> Summary:
    bill = terms.bill(used)
    return Summary(
        peak_dau=used.peak_dau,
        amount_cents=bill.users_cents,
        peak_groups=used.peak_groups if says_groups else None,
        total_cents=bill.total_cents if says_all else None,
    )


def _due(run: Run, terms: Terms, top: Peak, bill: Bill) -> dict[str, object]:
    """What must stand in the statement beside its lines."""
    due = {
        "plan": terms.plan,
        "month": terms.month,
        "currency": terms.book.currency,
        "peak_dau": top.dau,
        "peak_day": None if top.day is None else iso(top.day),
        "total_cents": bill.total_cents,
        "closed_at_ms": start_ms(terms.days.stop, run.offset_ms),
        "charged_on": iso(terms.charge_day),
        "charged_at_ms": start_ms(terms.charge_day, run.offset_ms),
    }
    return due | ({"sdkappid": run.plan.app.sdkappid} if run.plan else {})


def _lines(stated: Statement, bill: Bill) -> list[Finding]:
    found = {line.item: line for line in stated.lines}
    due = {line.item: line for line in bill.lines}
    findings = []
    if len(found) != len(stated.lines):
        findings.append(error("bill_differs", "the statement repeats a line"))
    for item in sorted(set(found) ^ set(due)):
        where = "has a line" if item in found else "lacks the line"
        findings.append(error("bill_differs", f"the statement {where} {item!r}"))
    for item in due.keys() & found.keys():
        for name, value in asdict(due[item]).items():
            other = getattr(found[item], name)
            if other != value:
                text = f"line {item!r}: {name} is {_figure(name, other)} instead of {_figure(name, value)}"
                findings.append(error("bill_differs", text))
    return findings


def _figure(name: str, value: object) -> str:
    if name == "amount_cents" and isinstance(value, int):
        return money(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _dau_outside(planned: Mapping[int, tuple[int, int]], ledger: Mapping[int, int]) -> list[Finding]:
    texts = []
    for day in sorted(planned.keys() | ledger.keys()):
        low, high = planned.get(day, (0, 0))
        found = ledger.get(day, 0)
        if not low <= found <= high:
            between = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            texts.append(f"{iso(day)} {between} against {found:,}")
    return _days("dau_differs", "DAU of plan and ledger", texts)


def _dau_differs(name: str, other: Mapping[int, int], ledger: Mapping[int, int]) -> list[Finding]:
    texts = [
        f"{iso(day)} {other.get(day, 0):,} against {ledger.get(day, 0):,}"
        for day in sorted(other.keys() | ledger.keys())
        if other.get(day, 0) != ledger.get(day, 0)
    ]
    return _days("dau_differs", f"DAU of {name} and ledger", texts)


def _codes_differ(
    name: str, other: Mapping[tuple[int, int], int], ledger: Mapping[tuple[int, int], int]
) -> list[Finding]:
    texts = [
        f"{iso(day)} code {code}: {other.get((day, code), 0):,} against {ledger.get((day, code), 0):,}"
        for day, code in sorted(other.keys() | ledger.keys())
        if other.get((day, code), 0) != ledger.get((day, code), 0)
    ]
    return _days("codes_differ", f"answers of {name} and ledger", texts)


def _arrivals(run: Run) -> list[Finding]:
    if run.plan is None:
        return []
    if run.whole:
        found = dict(run.whole.arrivals)
    else:
        table = run.ledger.table
        asked = table.filter(pc.less(table["row"], run.plan.arrivals))
        days = day_of(asked["planned_app_ms"].to_pandas(), run.offset_ms)
        found = days.value_counts().to_dict()
    planned = {day_number(day.day): day.arrivals for day in run.plan.days}
    texts = [
        f"{iso(day)} {planned.get(day, 0):,} against {found.get(day, 0):,}"
        for day in sorted(planned.keys() | found.keys())
        if planned.get(day, 0) != found.get(day, 0)
    ]
    return _days("arrivals_differ", "arrivals of plan and ledger", texts)


def _sizes_by_day(run: Run, frame: pd.DataFrame) -> "Counter[int]":
    return Counter(day_of(frame["app_before_ms"].astype("int64"), run.offset_ms).tolist())


def _days(code: str, what: str, texts: Iterable[str]) -> list[Finding]:
    cases = list(texts)
    return [error(code, f"{what} differ: {listed(cases)}")] if cases else []

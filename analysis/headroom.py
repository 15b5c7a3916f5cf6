"""Headroom: how far a month is from its next unit, and what its last one cost; and what set the peak."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import pandas as pd

from analysis.billing_days import DAY_MS, day_of, iso
from analysis.bills import Bill, Line, Usage, cents
from analysis.counts import Count, Peak, peak
from analysis.loading import Run, Terms

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Headroom:
    """A line of the bill by its steps: the free quota is the step 0, each unit one more."""

    item: str
    quantity: int
    units: int
    next_unit_at: int
    """The smallest quantity that starts another unit."""
    next_unit_cents: int
    """What the line grows by then."""
    last_unit_from: int | None
    """The quantity that started the last unit; None while all is free."""
    last_unit_cents: int
    filled: float
    """The part of the current step that is used: 1.0 when the next one more starts a unit."""

    @property
    def left(self) -> int:
        """How many more cost nothing."""
        return self.next_unit_at - 1 - self.quantity


@dataclass(frozen=True, slots=True)
class PeakOrigin:
    """What set the peak: its day, the hour of that day with the most users new to it, and what the day costs."""

    day: str
    hour: int
    new_in_hour: int
    unit_hour: int | None
    """The hour in which the last unit was started; None while all is free or months are charged."""
    next_highest_dau: int
    """The peak of the month's other days."""
    day_cents: int
    """By how much the day raises the bill above that of a month without it."""


def headroom(bill: Bill) -> list[Headroom]:
    """Measure each line that is charged by started units of more than one.

    >>> from analysis.bills import bill; from analysis.prices import price_books
    >>> dau = headroom(bill(price_books()["2020"], "pro", Usage(peak_dau=28_000)))[0]
    >>> dau.left, dau.filled, dau.next_unit_cents, dau.last_unit_from
    (2000, 0.8, 14999, 20001)
    """
    return [_of(line) for line in bill.overages if line.per > 1]


def peak_origin(run: Run, count: Count, terms: Terms, bill: Bill) -> PeakOrigin | None:
    """Find what set the peak; None when nobody logged in. `count` and `bill` are the ledger's."""
    top = peak(count.dau, terms.days)
    if top.day is None:
        return None
    if run.whole:
        arrived = run.whole.new_users[top.day]
    else:
        arrived = _new_users_by_hour(run.ledger.answered, top.day, terms.readings.billing_offset_ms)
    others = {day: dau for day, dau in count.dau.items() if day != top.day}
    below = peak(others, terms.days)
    dau = bill.dau
    unit_from = _of(dau).last_unit_from if dau else None
    return PeakOrigin(
        day=iso(top.day),
        hour=max(arrived, key=lambda hour: (arrived[hour], -hour)),
        new_in_hour=max(arrived.values()),
        unit_hour=_hour_of(arrived, unit_from),
        next_highest_dau=below.dau,
        day_cents=_day_cents(terms, dau, below) if dau else 0,
    )


def _of(line: Line) -> Headroom:
    edge = line.free + line.units * line.per
    step_from = edge - (line.per if line.units else line.free)
    width = edge - step_from
    return Headroom(
        item=line.item,
        quantity=line.quantity,
        units=line.units,
        next_unit_at=edge + 1,
        next_unit_cents=cents(line.units + 1, line.unit_price) - line.amount_cents,
        last_unit_from=step_from + 1 if line.units else None,
        last_unit_cents=line.amount_cents - cents(max(0, line.units - 1), line.unit_price),
        filled=(line.quantity - step_from) / width if width else 1.0,
    )


def _new_users_by_hour(answered: pd.DataFrame, day: int, offset_ms: int) -> dict[int, int]:
    """Count by hour the users whose first successful login of the day lies in it."""
    logins = answered[(answered["code"] == 0) & (answered["verb"] == "login")]
    logins = logins[day_of(logins["app_before_ms"], offset_ms) == day]
    first_ms = logins.groupby("user", observed=True)["app_before_ms"].min()
    hours = ((first_ms + offset_ms) % DAY_MS // _HOUR_MS).value_counts().sort_index()
    return dict(zip(hours.index.tolist(), hours.tolist(), strict=True))


def _hour_of(arrived: Mapping[int, int], number: int | None) -> int | None:
    """Return the hour in which the day's user of this number came."""
    if number is None:
        return None
    totals = zip(arrived, accumulate(arrived.values()), strict=True)
    return next(hour for hour, total in totals if total >= number)


def _day_cents(terms: Terms, dau: Line, below: Peak) -> int:
    other = terms.bill(Usage(peak_dau=below.dau)).dau
    assert other is not None, "the same price book has the same lines"
    return dau.amount_cents - other.amount_cents

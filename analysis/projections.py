"""A forecast put into money and words: what next month may cost, and where its next unit begins."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.bills import TRIAL, money, started_units
from analysis.forecasts import INTERVAL, Forecast, Outcome, outcomes
from analysis.histories import History, HistoryError, named
from analysis.prices import PriceBook
from analysis.quotes import QuoteError

ROWS_MAX: Final = 12
"""Of the table of units, but for the last one."""
SEASONS_DAYS: Final = 2 * 365


@dataclass(frozen=True, slots=True)
class Projection:
    """A forecast, the history it was made from, and the prices it is read by."""

    forecast: Forecast
    history: History
    book: PriceBook
    plan: str
    seed: int

    @property
    def outcomes(self) -> list[Outcome]:
        return outcomes(self.forecast.peaks, self.book, self.plan)

    @property
    def next_unit_from(self) -> int:
        """The DAU at which the unit after those of the median peak begins."""
        assert self.book.dau is not None, "`check` took the book"
        return self.book.dau.free + started_units(self.forecast.peak(0.5), self.book.dau) * self.book.dau.per + 1

    @property
    def next_unit_chance(self) -> float:
        """How likely it is reached."""
        return float((self.forecast.peaks >= self.next_unit_from).mean())

    @property
    def missing(self) -> list[pd.Timestamp]:
        """Days of the month's known part that the history does not have."""
        past = self.forecast.known[self.forecast.known.index < self.forecast.days[0]]
        return list(past[past.isna()].index)

    def document(self) -> dict[str, Any]:
        """Return it for scripts: amounts in cents."""
        made, found = self.forecast, self.outcomes
        return {
            "month": str(made.month),
            "plan": self.plan,
            "price_book": self.book.name,
            "currency": self.book.currency,
            "seed": self.seed,
            "samples": len(made.peaks),
            "history": {"from": _iso(self.history.first), "to": _iso(self.history.last), "days": self.history.known},
            "peak_dau": {_percent(share): made.peak(share) for share in INTERVAL},
            "total_cents": {_percent(share): _total(found, share) for share in INTERVAL},
            "total_cents_mean": _mean(found),
            "units": [asdict(one) for one in found],
            "next_unit": {"from_dau": self.next_unit_from, "chance": self.next_unit_chance},
            "missing_days": [_iso(day) for day in self.missing],
        }

    def text(self) -> str:
        """Return it for people."""
        made, found, currency = self.forecast, self.outcomes, self.book.currency
        low, median, high = (f"{made.peak(share):,}" for share in INTERVAL)
        cheap, usual, dear = (money(_total(found, share)) for share in INTERVAL)
        span = f"{_iso(self.history.first)} to {_iso(self.history.last)}"
        lines = [
            f"forecast of {made.month}: plan {self.plan}, price book {self.book.name}",
            f"from {self.history.known:,} days, {span}; {len(made.peaks):,} samples, seed {self.seed}",
            "",
            f"peak DAU   {median} in the middle, 90 % between {low} and {high}",
            f"bill       {usual} {currency} in the middle, 90 % between {cheap} and {dear}; mean {money(_mean(found))}",
            f"next unit  from a peak of {self.next_unit_from:,} on, a chance of {self.next_unit_chance:.1%}",
            "",
            f"{'units':>11}  {'from a peak of':>14}  {'chance':>7}  {f'bill, {currency}':>25}",
            *(_row(rows) for rows in _together(found)),
        ]
        return "\n".join([*lines, *([""] if self._remarks() else []), *self._remarks()])

    def _remarks(self) -> list[str]:
        made, remarks = self.forecast, []
        seen = made.known.dropna()
        if len(seen):
            remarks.append(
                f"{len(seen)} days of {made.month} are known, {seen.max():,.0f} the highest; the rest is simulated"
            )
        if self.missing:
            remarks.append(f"missing in {made.month}: {named(self.missing)}; the peak may have been on them")
        gaps = list(self.history.days[self.history.days.isna()].index)
        if gaps:
            remarks.append(f"{len(gaps):,} days are missing in the history ({named(gaps)}): unknown, not zero")
        if len(self.history.days) < SEASONS_DAYS:
            remarks.append("less than two years of history: it hardly knows the seasons")
        if (ahead := (made.month.start_time - self.history.last).days - 1) > 0:
            remarks.append(f"{ahead} days between the end of the history and the month are unknown too")
        return remarks


def check(book: PriceBook, plan: str) -> None:
    """Raise QuoteError for prices that no history of daily users can be put into."""
    if plan not in book.plan_fee:
        raise QuoteError(f"plan {plan!r} is unknown; known: {', '.join(book.plan_fee)}")
    if plan == TRIAL:
        raise QuoteError("the trial refuses instead of charging: its bill needs no forecast")
    if book.dau is None:
        raise QuoteError(
            f"price book {book.name} charges the month's different users, which a history of daily ones does not tell"
        )


def month_of(text: str | None, history: History) -> pd.Period:
    """Return the month that is meant; without a name that of the first day to come. Raises HistoryError."""
    if text is None:
        return (history.last + pd.Timedelta(days=1)).to_period("M")
    try:
        return pd.Period(date.fromisoformat(f"{text}-01"), freq="M")
    except ValueError:
        raise HistoryError(f"--month {text!r}: a month like 2026-11 is needed") from None


def _row(rows: Sequence[Outcome]) -> str:
    first, last = rows[0], rows[-1]
    units, total = f"{first.units:,}", money(first.total_cents)
    if first != last:
        units, total = f"{units} to {last.units:,}", f"{total} to {money(last.total_cents)}"
    chance = sum(row.chance for row in rows)
    return f"{units:>11}  {first.from_dau:>14,}  {chance:>7.1%}  {total:>25}"


def _together(found: Sequence[Outcome]) -> list[list[Outcome]]:
    """Leave few rows: what is rarely exceeded by as many units each as it takes, and the rest in one."""
    reached = np.cumsum([one.chance for one in found])
    usual = 1 + int(np.searchsorted(reached, INTERVAL[-1]))
    width = 1
    while len(groups := _grouped(found[:usual], width)) > ROWS_MAX:
        width *= 2
    return [*groups, list(found[usual:])] if found[usual:] else groups


def _grouped(found: Sequence[Outcome], width: int) -> list[list[Outcome]]:
    groups: dict[int, list[Outcome]] = {}
    for one in found:
        # No unit stands alone: whether anything is charged is what people ask first.
        groups.setdefault((one.units + width - 1) // width, []).append(one)
    return list(groups.values())


def _total(found: Sequence[Outcome], share: float) -> int:
    """Return a quantile of the bill."""
    reached = np.cumsum([one.chance for one in found])
    return found[min(int(np.searchsorted(reached, share)), len(found) - 1)].total_cents


def _mean(found: Sequence[Outcome]) -> int:
    return round(sum(one.chance * one.total_cents for one in found))


def _percent(share: float) -> str:
    return f"p{100 * share:.0f}"


def _iso(day: pd.Timestamp) -> str:
    return f"{day:%Y-%m-%d}"

"""Forecasts a month's peak day and bill from a history of daily active users, by a seeded bootstrap.

Every past stretch of days that begins on the same weekday and is as long as what is to come tells what could follow:
its days as multiples of the level of the four weeks before it. Stretches at the same time of the year count more. A
simulated month is one such stretch, drawn at random, on today's level, and a little noise, since few stretches are
independent of each other. So weekdays, seasons, growth and spikes are what they were, and nothing is fitted.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.bills import Usage, bill
from analysis.histories import History, HistoryError
from analysis.prices import PriceBook

LEVEL_DAYS: Final = 28
LEVEL_DAYS_MIN: Final = 7
"""A level is the median of the known days of four weeks; of fewer than these there is none."""
SEASON_DAYS: Final = 60
"""A stretch so far from the time of the year counts for 0.61 of one that is at it, one twice as far for 0.14."""
NOISE: Final = 0.5
"""Of the spread of the stretches' peaks, added to each draw."""
KNOWN_MIN: Final = 0.75
"""A stretch of which less is known tells no peak."""
STRETCHES_MIN: Final = 8
AHEAD_DAYS_MAX: Final = 100
"""Beyond the month that begins within these a forecast would be a guess."""
YEAR_DAYS: Final = 365
INTERVAL: Final = (0.05, 0.5, 0.95)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Simulated months."""

    month: pd.Period
    known: pd.Series
    """The days of the month, NaN for those that are still to come or missing."""
    days: pd.DatetimeIndex
    """The days of the month that were simulated."""
    paths: Floats
    """DAU, samples × `days`; NaN where the drawn stretch misses the day."""
    peaks: Ints
    """The highest day of each sample, known days included."""
    stretches: int

    def peak(self, share: float) -> int:
        """Return a quantile of the peak."""
        return int(np.quantile(self.peaks, share, method="higher"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A count of units, what it costs, and how likely it is."""

    units: int
    from_dau: int
    """The least peak that begins it."""
    chance: float
    total_cents: int


def forecast(history: History, month: pd.Period, *, seed: int, samples: int) -> Forecast:
    """Simulate a month from what is known before it and, where the history reaches into it, from its first days.

    Raises HistoryError when the history is too short, or ends too long before the month or only after it.
    """
    if month.end_time.normalize() <= history.last:
        raise HistoryError(f"{month} is over in this history, which ends on {history.last:%Y-%m-%d}")
    start = history.last + pd.Timedelta(days=1)
    if (month.start_time - start).days > AHEAD_DAYS_MAX:
        raise HistoryError(
            f"the history ends on {history.last:%Y-%m-%d}: {month} begins more than {AHEAD_DAYS_MAX} days later"
        )
    ahead = pd.date_range(start, month.end_time.normalize())
    in_month = ahead >= month.start_time
    rises, weights = _stretches(history, start, len(ahead), in_month)
    chance = np.random.default_rng(seed)
    drawn = rises[chance.choice(len(rises), samples, p=weights)]
    tops = np.nanmax(rises, axis=1)
    spread = np.sqrt(weights @ (tops - weights @ tops) ** 2)
    noise = chance.normal(0, NOISE * spread, samples)
    paths = np.exp(_level(np.log(_positive(history)), len(history.days)) + drawn + noise[:, None])
    known = history.month(month)
    peaks = np.nanmax(paths, axis=1)
    if known.notna().any():
        peaks = np.maximum(peaks, known.max())
    return Forecast(month, known, ahead[in_month], paths, np.rint(peaks).astype(np.int64), len(rises))


def outcomes(peaks: Ints, book: PriceBook, plan: str) -> list[Outcome]:
    """Count how many samples end at each count of units; the chances sum to 1. The book charges by peak day."""
    overage = book.dau
    assert overage is not None, "only books by peak day are forecast"
    units, counts = np.unique(-(-np.maximum(0, peaks - overage.free) // overage.per), return_counts=True)
    return [
        Outcome(
            units=int(n),
            from_dau=overage.free + (int(n) - 1) * overage.per + 1 if n else 0,
            chance=float(count / len(peaks)),
            total_cents=bill(book, plan, Usage(overage.free + int(n) * overage.per)).total_cents,
        )
        for n, count in zip(units, counts, strict=True)
    ]


def _stretches(
    history: History, start: pd.Timestamp, length: int, in_month: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return past stretches, as logarithms of multiples of their levels, the month's days only; and their weights."""
    logs = np.log(_positive(history))
    rises, weights = [], []
    for first in range(len(logs) - 7 * (-(-length // 7)), LEVEL_DAYS - 1, -7):
        stretch, level = logs[first : first + length][in_month], _level(logs, first)
        if np.isnan(level) or np.isfinite(stretch).mean() < KNOWN_MIN:
            continue
        apart = len(logs) - first
        half = YEAR_DAYS / 2
        off_season = (apart + half) % YEAR_DAYS - half
        rises.append(stretch - level)
        weights.append(np.exp(-0.5 * (off_season / SEASON_DAYS) ** 2))
    if len(rises) < STRETCHES_MIN or np.isnan(_level(logs, len(logs))):
        weeks = (7 * (-(-length // 7)) + LEVEL_DAYS) // 7 + STRETCHES_MIN - 1
        raise HistoryError(
            f"{history.known} known days before {start:%Y-%m-%d} are too few: about {weeks} weeks are the least, "
            "without long gaps; two years show the seasons"
        )
    return np.array(rises), np.array(weights) / np.sum(weights)


def _level(logs: Floats, end: int) -> float:
    """Return the median of the known days of four weeks before a place; NaN of too few."""
    window = logs[max(0, end - LEVEL_DAYS) : end]
    known = window[np.isfinite(window)]
    return float(np.median(known)) if len(known) >= LEVEL_DAYS_MIN else np.nan


def _positive(history: History) -> Floats:
    """A day without users counts as one with a single user: it has a logarithm then."""
    return history.days.clip(lower=1).to_numpy(dtype=np.float64)

"""Holds forecasts against what came: each month of a history forecast from the days before it only."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.forecasts import INTERVAL, KNOWN_MIN, forecast
from analysis.histories import History, HistoryError

COVERAGE: Final = (0.83, 0.97)
"""How often a 90 % interval may cover: of 36 months 30 to 34."""
SEEN_MONTHS: Final = 12
"""A year has to be seen before the first month is scored."""
SCORED_MIN: Final = 12


@dataclass(frozen=True, slots=True)
class Score:
    """A month's forecast and its peak; `past` are the same quantiles of all peaks of months before it."""

    month: str
    missing: int
    """Days of the month that the history does not have: its peak is of the others."""
    low: int
    median: int
    high: int
    peak: int
    past_low: float
    past_high: float

    @property
    def covers(self) -> bool:
        return self.low <= self.peak <= self.high

    @property
    def ratio(self) -> float:
        """Width of the interval over that of all past peaks; widths are of logarithms, as DAU grow by factors."""
        past = np.log(self.past_high / self.past_low)
        # Nothing is narrower than peaks that were all the same.
        return float(np.log(self.high / self.low) / past) if past else np.inf


@dataclass(frozen=True, slots=True)
class Backtest:
    """All scored months, and those that were left out because too many of their days are missing."""

    scores: Sequence[Score]
    unscored: Sequence[str]

    @property
    def coverage(self) -> float:
        return _share([score.covers for score in self.scores])

    @property
    def ratio(self) -> float:
        """The typical ratio of widths: the median over the months."""
        return float(np.median([score.ratio for score in self.scores]))

    @property
    def holds(self) -> bool:
        """Whether the intervals cover as often as they say, and say more than the past peaks alone."""
        return COVERAGE[0] <= self.coverage <= COVERAGE[1] and self.ratio < 1

    def document(self) -> dict[str, Any]:
        """Return it for scripts."""
        months = [{**asdict(score), "covers": score.covers, "width_ratio": score.ratio} for score in self.scores]
        figures = {"coverage": self.coverage, "width_ratio": self.ratio, "holds": self.holds}
        return {**figures, "months": months, "unscored": list(self.unscored)}

    def text(self) -> str:
        """Return it for people: a line for each month, and what they come to."""
        lines = [f"{'month':8} {'5 %':>11} {'median':>11} {'95 %':>11} {'peak':>11}"]
        lines += [
            f"{one.month:8} {one.low:>11,} {one.median:>11,} {one.high:>11,} {one.peak:>11,}  {_remark(one)}".rstrip()
            for one in self.scores
        ]
        whole = [score.covers for score in self.scores if not score.missing]
        covered = sum(score.covers for score in self.scores)
        low, high = (f"{100 * bound:.0f}" for bound in COVERAGE)
        narrower = sum(score.ratio < 1 for score in self.scores)
        lines += [
            "",
            f"covered  {covered} of {len(self.scores)} months, {self.coverage:.0%}; {low} to {high} % will do",
            f"         {sum(whole)} of the {len(whole)} without missing days",
            f"width    {self.ratio:.0%} of the spread of all peaks before, in the middle of the months, of logarithms",
            f"         narrower in {narrower} of {len(self.scores)}",
        ]
        if self.unscored:
            lines.append(f"not scored {', '.join(self.unscored)}: more than a quarter of the days is missing")
        return "\n".join([*lines, "the interval holds" if self.holds else "THE INTERVAL DOES NOT HOLD"])


def backtest(
    history: History, *, seed: int, samples: int, progress: Callable[[str], None] = lambda _step: None
) -> Backtest:
    """Forecast month after month, from the second year on. Raises HistoryError when there are too few."""
    scores, unscored = [], []
    for month in pd.period_range(history.months()[0] + SEEN_MONTHS, history.months()[-1], freq="M"):
        days = history.month(month)
        if days.notna().mean() < KNOWN_MIN:
            unscored.append(str(month))
            continue
        progress(f"forecasting {month}")
        scores.append(_score(history.before(month.start_time), month, days, (seed, samples)))
    if len(scores) < SCORED_MIN:
        raise HistoryError(
            f"{len(scores)} months can be held against their forecasts, {SCORED_MIN} are the least: "
            "about two years of days are needed"
        )
    return Backtest(scores, unscored)


def _score(past: History, month: pd.Period, days: pd.Series, drawing: tuple[int, int]) -> Score:
    seed, samples = drawing
    made = forecast(past, month, seed=seed, samples=samples)
    low, median, high = (made.peak(share) for share in INTERVAL)
    peaks = past.days.groupby(pd.DatetimeIndex(past.days.index).to_period("M")).max()
    past_low, past_high = (float(peaks.quantile(share)) for share in (INTERVAL[0], INTERVAL[-1]))
    return Score(str(month), int(days.isna().sum()), low, median, high, int(days.max()), past_low, past_high)


def _remark(score: Score) -> str:
    beyond = "" if score.covers else ("above" if score.peak > score.high else "below")
    missing = f"{score.missing} day{'s' * (score.missing > 1)} missing" if score.missing else ""
    return ", ".join(part for part in (beyond, missing) if part)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)

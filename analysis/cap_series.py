"""How a quota filled over the run's time, and what was admitted and refused meanwhile: the numbers of a figure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.audit import Audit
from analysis.bounds import Bounds
from analysis.caps import Tally
from analysis.matching import Matches
from analysis.notes import NO_LIMIT
from analysis.quotas import Quota
from analysis.spans import Steps

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLICES_MAX: Final = 240
"""Of the run's time."""
_US: Final = 1_000_000
_OF_SECONDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Widths of a slice."""


@dataclass(frozen=True, slots=True)
class CapSeries:
    """By slice of the run's time: the fewest and most places taken, the cap, and what became of the requests."""

    quota: Quota
    at_s: Floats
    slice_s: float
    low: Floats
    high: Floats
    cap: Floats
    admitted: Ints
    refused: Ints
    is_proven: bool


def of_audit(audit: Audit) -> list[CapSeries]:
    """Return the series of the quotas at which a run raced, or where it was refused something."""
    shown = {cap.quota.name for cap in audit.caps if cap.is_raced or cap.refused}
    series = [
        of_tally(tally, audit.matches)
        for tally in audit.tallies
        if tally.quota.name in shown and audit.matches is not None
    ]
    series += [of_bounds(bounds) for bounds in audit.bounds if bounds.quota.name in shown]
    return [one for one in series if one is not None]


def of_tally(tally: Tally, matches: Matches) -> CapSeries | None:
    """Follow a replay; each row's time is when its answer was read, or of the row before where that was later."""
    tried = tally.attempts
    rows = matches.journal.index.to_numpy()
    order = np.argsort(rows)
    found = np.searchsorted(rows[order], tried.row)
    known = np.append(rows[order], -1)[found] == tried.row
    if not known.any():
        return None
    row, answered_us = tried.row[known], matches.ledger["answered_us"].to_numpy()[order[found[known]]]
    is_in = matches.journal["code"].to_numpy()[order[found[known]]] == 0
    entered = is_in & (tried.asked[known] > 0)
    before, limit = tried.before[known], tried.limit[known]
    after = before + np.where(entered, tried.asked[known], 0)
    by_row = np.argsort(row, kind="stable")
    time = np.maximum.accumulate(answered_us[by_row])
    at_s, width, which = _slices(time)
    count = len(at_s)
    low = _at(np.minimum, which, np.minimum(before, after)[by_row], count)
    high = _at(np.maximum, which, after[by_row], count)
    refused = np.isin(matches.journal["code"].to_numpy()[order[found[known]]], tally.quota.codes)
    return CapSeries(
        quota=tally.quota,
        at_s=at_s,
        slice_s=width,
        low=low,
        high=high,
        cap=_at(np.minimum, which, np.where(limit == NO_LIMIT, np.nan, limit)[by_row], count),
        admitted=np.bincount(which, entered[by_row], count).astype(np.int64),
        refused=np.bincount(which, refused[by_row], count).astype(np.int64),
        is_proven=True,
    )


def of_bounds(bounds: Bounds) -> CapSeries | None:
    """Follow the places that were taken for certain, and possibly."""
    if not len(bounds.times_us):
        return None
    at_s, width, _ = _slices(bounds.times_us)
    count = len(at_s)

    def values(steps: Steps) -> Floats:
        real = (steps.instant >= 1) & (steps.instant <= len(bounds.times_us))
        time = bounds.times_us[steps.instant[real] - 1]
        return _at(np.maximum, _which(time, at_s, width), steps.value[real], count)

    return CapSeries(
        quota=bounds.quota,
        at_s=at_s,
        slice_s=width,
        low=values(bounds.certain),
        high=values(bounds.possible),
        cap=np.full(count, float(bounds.limit)),
        admitted=np.bincount(_which(bounds.admitted_us, at_s, width), minlength=count).astype(np.int64),
        refused=np.bincount(_which(bounds.refused_us, at_s, width), minlength=count).astype(np.int64),
        is_proven=False,
    )


def _slices(time_us: Ints) -> tuple[Floats, float, Ints]:
    """Cut the time from the first to the last into slices of a round width."""
    first, last = float(time_us.min()) / _US, float(time_us.max()) / _US
    width = next((wide for wide in _OF_SECONDS if (last - first) / wide < SLICES_MAX), _OF_SECONDS[-1])
    start = np.floor(first / width) * width
    at_s = start + width * np.arange(int((last - start) / width) + 1)
    return at_s, width, _which(time_us, at_s, width)


def _which(time_us: Ints, at_s: Floats, width: float) -> Ints:
    return np.asarray(np.clip(((time_us / _US - at_s[0]) / width).astype(np.int64), 0, len(at_s) - 1))


def _at(best: np.ufunc, which: Ints, values: NDArray[np.generic], count: int) -> Floats:
    """Return the best of each slice; a slice without any has the last value of the one before."""
    result = np.full(count, np.nan)
    for_slice = np.asarray(values, np.float64)
    best_of = np.fmin if best is np.minimum else np.fmax
    best_of.at(result, which, for_slice)
    last = np.full(count, np.nan)
    last[which] = for_slice
    filled = np.maximum.accumulate(np.where(np.isnan(result), 0, np.arange(count)))
    return np.where(np.isnan(result), last[filled], result)

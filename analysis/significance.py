"""Is one set of runs worse than another? A rank test for several metrics at once; knows numbers, not runs.

The unit is the run: requests of one run resemble each other, and a test on single requests calls every third pair of
unchanged runs different. All metrics are tested together (Westfall and Young's maximum over metrics): under a change of
labels the best-looking metric counts, so that many metrics raise no more false alarms than one.
"""

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

EXACT_MAX: Final = 200_000
"""Up to so many ways to label the runs all are tried: 10 runs against 10 have 184,756."""
DRAWN: Final = 100_000
"""Beyond it, so many are drawn."""

Floats = NDArray[np.float64]


def p_values(base: Floats, candidate: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return for each metric how often chance alone lets any metric look as much greater in the candidate; and smaller.

    Rows are runs, columns are metrics. One-sided, adjusted for the number of metrics; exact while there are few runs,
    otherwise drawn with `seed`.

    >>> base, candidate = np.array([[1.0], [2.0], [3.0]]), np.array([[4.0], [5.0], [6.0]])
    >>> greater, smaller = p_values(base, candidate, seed=7)
    >>> greater.tolist(), smaller.tolist()  # 1 of the 20 ways to choose 3 of 6, and all of them
    ([0.05], [1.0])
    """
    ranks = np.vstack([_ranks(column) for column in np.vstack([base, candidate]).T]).astype(np.float32)
    found = ranks[:, len(base) :].sum(axis=1)
    labels, is_exact = _labels(len(base), len(candidate), seed)
    # Sums of halves are exact in floats: no tolerance is needed.
    sums = ranks @ labels
    greatest, least = sums.max(axis=0), sums.min(axis=0)
    as_great = np.array([np.count_nonzero(greatest >= own) for own in found])
    as_small = np.array([np.count_nonzero(least <= own) for own in found])
    one = 0 if is_exact else 1
    total = labels.shape[1] + one
    return (as_great + one) / total, (as_small + one) / total


def p_least(base_runs: int, candidate_runs: int) -> float:
    """Return the smallest value that so many runs can have; above the level of a test they can show nothing."""
    return max(1 / comb(base_runs + candidate_runs, base_runs), 1 / (DRAWN + 1))


def runs_needed(level: float) -> int:
    """Return how many runs each side needs, at least, to show anything at a level.

    >>> runs_needed(0.01), runs_needed(0.05)
    (5, 3)
    """
    return next(runs for runs in range(1, 100) if p_least(runs, runs) <= level)


def typical_ratio(base: Floats, candidate: Floats) -> float:
    """Return the median of all ratios of a candidate's value to a base's (Hodges and Lehmann); 1 without a difference.

    >>> typical_ratio(np.array([1.0, 2.0, 100.0]), np.array([2.0, 4.0, 3.0]))
    1.5
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = candidate[:, None] / base[None, :]
    ratios[np.isnan(ratios)] = 1.0  # Nothing against nothing.
    return float(np.median(ratios))


def spread(values: Floats) -> float:
    """Return the relative noise of some runs: the median distance from their median, scaled to a standard deviation."""
    middle = float(np.median(values))
    return float(1.4826 * np.median(np.abs(values - middle)) / middle) if middle else 0.0


def _ranks(values: Floats) -> Floats:
    """Number values from 1 upwards; equal ones share the mean of their numbers."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: Floats = (last - (counts - 1) / 2)[inverse]
    return result


@lru_cache(maxsize=8)
def _labels(base_runs: int, candidate_runs: int, seed: int) -> tuple[NDArray[np.float32], bool]:
    """Return who may be called a candidate, a way a column; and whether these are all ways."""
    runs = base_runs + candidate_runs
    total = comb(runs, candidate_runs)
    if total > EXACT_MAX:
        drawn = np.random.default_rng(seed).random((DRAWN, runs)).argpartition(candidate_runs - 1, axis=1)
        chosen, count = drawn[:, :candidate_runs], DRAWN
    else:
        flat = (place for way in combinations(range(runs), candidate_runs) for place in way)
        chosen, count = np.fromiter(flat, np.int64).reshape(total, candidate_runs), total
    labels = np.zeros((runs, count), np.float32)
    labels[chosen.T, np.arange(count)] = 1.0
    return labels, total <= EXACT_MAX

"""Counting users by day over the parts of a big run: a byte for each user and day, and no sorting."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.billing_days import iso

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_DAYS_MAX: Final = 62
"""Of one part, before they are looked for one by one."""


class Days:
    """A byte for each user of each day, 0 for who has not come."""

    def __init__(self, users: int) -> None:
        self._users = users
        self.most = 0
        """The highest number of a user who came."""
        self._of: dict[int, NDArray[np.uint8]] = {}

    def of(self, day: int) -> NDArray[np.uint8]:
        """Return the day's bytes; pages that are never written take no memory."""
        if day not in self._of:
            self._of[day] = np.zeros(self._users, np.uint8)
        return self._of[day]

    def split(self, day: Ints, chosen: Flags) -> Iterator[tuple[int, Ints]]:
        """Yield each day of the chosen rows with their positions, in order."""
        at = np.flatnonzero(chosen)
        days = day[at]
        if not len(days):
            return
        first, last = int(days.min()), int(days.max())
        if first == last:
            yield first, at
            return
        found = range(first, last + 1) if last - first < _DAYS_MAX else np.unique(days).tolist()
        for one in found:
            here = at[days == one]
            if len(here):
                yield one, here

    def count(self) -> dict[int, int]:
        """Count the users of each day."""
        counts = {day: int(np.count_nonzero(self._come(day))) for day in self}
        return {day: count for day, count in counts.items() if count}

    def monthly(self) -> dict[str, int]:
        """Count the different users of each month."""
        come: dict[str, Flags] = {}
        for day in self:
            of_month = come.setdefault(iso(day)[:7], np.zeros(self.most + 1, bool))
            np.logical_or(of_month, self._come(day), out=of_month)
        counts = {month: int(np.count_nonzero(users)) for month, users in come.items()}
        return {month: count for month, count in counts.items() if count}

    def union(self, other: "Days") -> "Days":
        """Return the users who have come by either."""
        joined = Days(max(self.most, other.most) + 1)
        joined.most = max(self.most, other.most)
        for days in (self, other):
            for day in days:
                joined.of(day)[: days.most + 1] |= days.of(day)[: days.most + 1]
        return joined

    def values(self, day: int) -> dict[int, int]:
        """Count the users of a day by their byte."""
        counts = np.bincount(self._come(day)).tolist()
        return {value: count for value, count in enumerate(counts) if value and count}

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._of))

    def _come(self, day: int) -> NDArray[np.uint8]:
        return self.of(day)[: self.most + 1]


def firsts(values: Ints, place: NDArray[np.int32]) -> Flags:
    """Tell the first of equal values; `place` has room for each value."""
    at = np.arange(len(values), dtype=np.int32)
    place[values[::-1]] = at[::-1]  # of equal places the one written last stays
    return np.asarray(place[values] == at)


def sizes(day: Ints, code: NDArray[Any]) -> dict[tuple[int, int], int]:
    """Count rows by day and code."""
    counts = pd.Series((day << 32) + code.astype(np.int64) + 2**31).value_counts()
    pairs = zip(counts.index.tolist(), counts.tolist(), strict=True)
    return {(key >> 32, (key & (2**32 - 1)) - 2**31): count for key, count in pairs}

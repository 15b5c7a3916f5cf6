"""A world population: users everywhere, awake by their own clocks, who come in at the access point that dispatch names.

The billing day stays the app's. Points may be lost, drained and given less room by a timed script; whoever is online
there comes in elsewhere, and what is counted stays what was planned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from im_load import population
from im_load.plans.arrivals import DAY_MS, HOUR_MS, SECOND_MS, Arrivals, Expected, Phase
from im_load.plans.month import MonthOptions, MonthPlan
from im_load.plans.trouble import Change
from im_load.population import World

BILLING_OFFSET_MS: Final = 8 * HOUR_MS
"""The app's days begin in UTC+8 (the default reading); a run against an app of other days has other local hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAccessOptions(MonthOptions):
    """A month, and what becomes of access points."""

    trouble: tuple[Change, ...] = ()
    """In order of time."""


class GlobalAccessPlan(MonthPlan):
    """A month of users who roam."""

    roams = True
    holds_over_midnight = False

    def __init__(self, options: GlobalAccessOptions) -> None:
        # As they come out of a message they are plain lists.
        self._trouble = tuple(Change(*change) for change in options.trouble)
        super().__init__(options)

    @property
    def world(self) -> World:
        return population.cities()

    @property
    def trouble(self) -> tuple[Change, ...]:
        return self._trouble

    def totals(self) -> dict[str, Any]:
        return {
            **super().totals(),
            "trouble": [change._asdict() for change in self.trouble],
        }

    def _phases(self, day: int, outcome: Expected | None) -> Sequence[Phase]:
        times = tuple(change.at_ms for change in self.trouble if change.day == day)
        return [Phase(day=day, make=partial(self.day, day), outcome=outcome, changes_ms=times)]

    def _part(self, day: int, from_ms: int, until_ms: int) -> Arrivals:
        """A day's arrivals of some hours."""
        whole = self.day(day)
        first, end = whole.times_ms.searchsorted([from_ms, until_ms]).tolist()
        return whole.between(first, end)

    def _ordinary_times(self, index: int, users: NDArray[np.int64]) -> NDArray[np.int32]:
        """By the hours' weights of where the user lives, outside the first and the last second of the billing day."""
        local_ms = super()._ordinary_times(index, users).astype(np.int64)
        homes = self.world.home_of(self._seed, users)
        times = (local_ms - self.world.utc_offsets_ms[homes] + BILLING_OFFSET_MS) % DAY_MS
        found: NDArray[np.int32] = np.clip(times, SECOND_MS, DAY_MS - SECOND_MS - 1).astype(np.int32)
        return found

"""One day of the world, and one access point that is lost at its busiest hour and comes back some hours later.

The day has two phases: until the point comes back, and after. In between everybody who was online there is online
elsewhere: how long that takes is measured, and the recovery begins from a state that is the same in every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from im_load.plans.arrivals import DAY_MS, HOUR_MS, Arrivals, Expected, Phase
from im_load.plans.global_access import GlobalAccessOptions, GlobalAccessPlan
from im_load.plans.trouble import DOWN, UP, Change

HOURS_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionOutageOptions(GlobalAccessOptions):
    """The day is the only one of `daily_dau` with users."""

    outage: str
    """Code of the access point, or `busiest`."""
    outage_hours: int


class RegionOutagePlan(GlobalAccessPlan):
    """A day with an outage."""

    def __init__(self, options: RegionOutageOptions) -> None:
        self._outage, self._outage_hours = options.outage, options.outage_hours
        self._outage_day = int(np.argmax(options.daily_dau))
        self._lost_ms = 0
        super().__init__(options)

    @property
    def trouble(self) -> tuple[Change, ...]:
        day, lost_ms = self._outage_day, self._lost_ms
        return (Change(day, lost_ms, self._outage, DOWN), Change(day, self._back_ms, self._outage, UP))

    @property
    def _back_ms(self) -> int:
        return self._lost_ms + self._outage_hours * HOUR_MS

    def _phases(self, day: int, outcome: Expected | None) -> Sequence[Phase]:
        if day != self._outage_day:
            return super()._phases(day, outcome)
        self._lost_ms = self._busiest_hour(self.day(day)) * HOUR_MS + HOUR_MS // 2
        back_ms = self._back_ms
        return [
            Phase(
                day=day,
                make=partial(self._part, day, 0, back_ms),
                outcome=outcome,
                until_ms=back_ms,
                changes_ms=(self._lost_ms,),
            ),
            Phase(day=day, make=partial(self._part, day, back_ms, DAY_MS), outcome=outcome, from_ms=back_ms),
        ]

    def _busiest_hour(self, arrivals: Arrivals) -> int:
        """Of the hours before which half of all have arrived, that in which most do: by then there is much to lose.

        Early enough for the point to come back on the same day.
        """
        hours = DAY_MS // HOUR_MS
        by_hour = np.bincount(arrivals.times_ms // HOUR_MS, minlength=hours)
        by_hour[np.cumsum(by_hour) - by_hour < len(arrivals) // 2] = 0
        return int(np.argmax(by_hour[: hours - self._outage_hours]))

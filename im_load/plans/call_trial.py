"""Audio and video calls under the 60-day trial: what is allowed when, and how many minutes a month is billed for.

The rules (purchase FAQ, 1047/34421; TRTC billing, 647/42734): the trial belongs to one SDKAppID, lasts 60 days from
its opening and grants only the right to use the feature; each participant's seconds are billed by tier, those of a
month together. How a second trial follows and which code an expired one gets are readings.

The app's clock stands still while calls start and while they end, so that a call lasts as long as planned, to the
second.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np

from im_load import chance
from im_load.daily_dau import month_dates
from im_load.plans.arrivals import (
    CONTROL,
    DAY_MS,
    END_CALL,
    HOUR_MS,
    OPEN_CALL_TRIAL,
    SECOND_MS,
    START_CALL,
    Arrivals,
    Expected,
    Ints,
    Phase,
    arrivals,
    type_range,
)
from im_load.plans.limits import CALL_TRIAL_DAYS, CALL_TRIALS, CALLS_NOT_OPENED, CALLS_OVER
from im_load.plans.plan import Plan, PlanOptions

TIERS: Final = ("audio", "hd", "full_hd", "2k", "4k")
TIER_WEIGHTS: Final = (45, 35, 14, 4, 2)
"""Of a hundred participants. An assumption."""
PARTICIPANTS_MAX: Final = 9
LENGTHS_S: Final = (61, 754, 1_799, 3_600)
"""How long a day's calls last: the first quarter of them hangs up after a minute and a second, and so on."""
OPENED_MS: Final = 9 * HOUR_MS
BEGIN_MS: Final = 10 * HOUR_MS
OVER_MIDNIGHT_MS: Final = DAY_MS - 600 * SECOND_MS
"""When a call begins that crosses the end of the month."""
AFTER_MIDNIGHT_MS: Final = 300 * SECOND_MS
REOPENED_AFTER_MS: Final = 62 * SECOND_MS
"""From the end of the first trial to the beginning of the second."""
REFUSED: Final = 5
"""Calls that are tried when none is allowed."""

_SIZE, _TIER = 30, 31


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTrialOptions(PlanOptions):
    """All that the calls depend on."""

    calls: int
    """On each day of the month."""
    callers: int
    """Users who take part."""


class CallTrialPlan(Plan):
    """A trial is opened on the month's first day; it ends 60 days later, a second one follows, a third does not."""

    doors = frozenset({CONTROL})

    def __init__(self, options: CallTrialOptions) -> None:
        self._seed, self._callers = options.seed, options.callers
        self._made = 0
        self._month_days = len(month_dates(options.month))
        self._seconds = dict.fromkeys(TIERS, 0)
        super().__init__(options, list(self._phases(options.calls)))

    def dau(self, day: int) -> type_range:  # noqa: ARG002 -- a call is no login
        return 0, 0

    def participants(self, call: int) -> list[tuple[int, str]]:
        """Two to nine different users, each at a tier of its own."""
        size = 2 + self._drawn(_SIZE, call, 1)[0] % (PARTICIPANTS_MAX - 1)
        first = call * PARTICIPANTS_MAX
        edges = list(accumulate(TIER_WEIGHTS))
        drawn = self._drawn(_TIER, call, size)
        return [
            ((first + place) % self._callers, TIERS[bisect_right(edges, number % edges[-1])])
            for place, number in enumerate(drawn)
        ]

    def totals(self) -> dict[str, Any]:
        return {"call_seconds": {tier: seconds for tier, seconds in self._seconds.items() if seconds}}

    def summary(self) -> str:
        minutes = sum(self._seconds.values()) // 60
        return f"{super().summary()}, {self._made:,} calls, {minutes:,} minutes of participants in the month"

    def _drawn(self, purpose: int, call: int, count: int) -> list[int]:
        places = np.arange(call * PARTICIPANTS_MAX, call * PARTICIPANTS_MAX + count)
        return [int(number) for number in chance.numbers(self._seed, purpose, places)]

    # --- phases -----------------------------------------------------------------------------------

    def _phases(self, calls: int) -> Iterator[Phase]:
        yield self._start(0, OPENED_MS - SECOND_MS, "not_opened", self._fresh(REFUSED), CALLS_NOT_OPENED)
        yield self._open(0, OPENED_MS, 0)
        yield self._open(0, OPENED_MS + SECOND_MS, CALLS_OVER)
        for day in range(self._month_days):
            yield from self._day(day, self._fresh(calls))
        last = self._month_days - 1
        long = self._fresh(1)
        yield self._start(last, OVER_MIDNIGHT_MS, "over_midnight", long, 0)
        self._note(last, long, (DAY_MS - OVER_MIDNIGHT_MS) // SECOND_MS)
        yield self._end(last + 1, AFTER_MIDNIGHT_MS, "over_midnight", long)
        ends_ms = OPENED_MS
        for number in range(1, CALL_TRIALS + 1):
            yield from self._expiry(number * CALL_TRIAL_DAYS, ends_ms, calls, is_last=number == CALL_TRIALS)
            ends_ms += REOPENED_AFTER_MS

    def _day(self, day: int, calls: Ints) -> Iterator[Phase]:
        """All begin at ten o'clock, and end in four groups."""
        yield self._start(day, BEGIN_MS, "call", calls, 0)
        for length_s, ended in zip(LENGTHS_S, np.array_split(calls, len(LENGTHS_S)), strict=True):
            if len(ended):
                yield self._end(day, BEGIN_MS + length_s * SECOND_MS, "call", ended)
                self._note(day, ended, length_s)

    def _expiry(self, day: int, ends_ms: int, calls: int, *, is_last: bool) -> Iterator[Phase]:
        """The trial's last second, then its end; then the next trial, as long as there is one."""
        late = self._fresh(1)
        yield self._start(day, ends_ms - SECOND_MS, "last_second", late, 0)
        yield self._start(day, ends_ms, "expired", self._fresh(REFUSED), CALLS_OVER)
        # A call that runs goes on: no document ends it.
        yield self._end(day, ends_ms + REOPENED_AFTER_MS - SECOND_MS, "last_second", late)
        yield self._open(day, ends_ms + REOPENED_AFTER_MS, CALLS_OVER if is_last else 0)
        if not is_last:
            yield from self._day(day, self._fresh(calls))

    def _open(self, day: int, time_ms: int, code: int) -> Phase:
        return _instant(
            day,
            time_ms,
            lambda: arrivals("open", OPEN_CALL_TRIAL, count=1, players=[0], times_ms=time_ms),
            Expected({code: 1}, {"open_call_trial": (int(not code), int(not code))}),
            1,
        )

    def _start(self, day: int, time_ms: int, kind: str, calls: Ints, code: int) -> Phase:
        count = len(calls)
        won = 0 if code else count
        expected = Expected({code: count}, {"start_call": (won, won)})
        return _instant(day, time_ms, lambda: _of_calls(kind, START_CALL, calls, time_ms), expected, count)

    def _end(self, day: int, time_ms: int, kind: str, calls: Ints) -> Phase:
        expected = Expected({0: len(calls)}, {"end_call": (len(calls), len(calls))})
        return _instant(day, time_ms, lambda: _of_calls(kind, END_CALL, calls, time_ms), expected, len(calls))

    def _note(self, day: int, calls: Ints, length_s: int) -> None:
        """Each participant is in from the beginning to the end; other months have bills of their own."""
        if day >= self._month_days:
            return
        for call in calls.tolist():
            for _, tier in self.participants(call):
                self._seconds[tier] += length_s

    def _fresh(self, count: int) -> Ints:
        first, self._made = self._made, self._made + count
        return np.arange(first, self._made)


def _instant(day: int, time_ms: int, make: Callable[[], Arrivals], expected: Expected, count: int) -> Phase:
    """The clock stands at one instant until all are answered."""
    return Phase(
        day=day, count=count, make=make, outcome=expected, from_ms=time_ms, until_ms=time_ms + 1, is_at_once=True
    )


def _of_calls(kind: str, verb: int, calls: Ints, time_ms: int) -> Arrivals:
    return arrivals(kind, verb, count=len(calls), groups=calls, players=calls, times_ms=time_ms)

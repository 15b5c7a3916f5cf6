"""A month of logins: who logs in when, from where, on which device. The plan of `dau_spike` and `dau_replay`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from im_load import chance
from im_load.daily_dau import month_dates
from im_load.plans.arrivals import (
    BAD_SIG_CODES,
    DAY_MS,
    GATEWAY,
    HOUR_MS,
    LOGIN,
    NOBODY,
    RESUME,
    SECOND_MS,
    Arrivals,
    Expected,
    Phase,
    type_range,
)
from im_load.plans.limits import LIMITS
from im_load.plans.plan import Plan, PlanOptions

KINDS: Final = (
    "first",
    "again",
    "second_device",
    "before_midnight",
    "after_midnight",
    "bad_usersig",
    "held_over",
)
FIRST, AGAIN, SECOND_DEVICE, BEFORE_MIDNIGHT, AFTER_MIDNIGHT, BAD_USERSIG, HELD_OVER = range(len(KINDS))

AGAIN_PERMILLE: Final = 80
SECOND_DEVICE_PERMILLE: Final = 40
LATE_PERMILLE: Final = 10
"""Users whose first login falls into the day's last second. Those active on the next day too log in at its first; the
others take their session up again then, which counts for nothing."""
REFUSED_PERMILLE: Final = 5
ARRIVALS_PERMILLE: Final = 1_000 + AGAIN_PERMILLE + SECOND_DEVICE_PERMILLE + LATE_PERMILLE + REFUSED_PERMILLE
"""Of a day's users, roughly."""
REGULARS: Final = 3
"""An ordinary day's users come from a circle of this many times their number, so that most return."""

HOUR_WEIGHTS: Final = (
    *(30, 18, 12, 9, 8, 10, 18, 30, 42, 50, 52, 52),
    *(54, 52, 50, 50, 52, 54, 58, 62, 68, 70, 62, 46),
)
"""A day's shape, by hour of the billing day: quiet at five, busiest at nine in the evening. An assumption."""

DAYS_KEPT: Final = 40
"""Computed days that are kept: a plan is asked for its sizes, then for its outcome, then played."""

_ACTIVE, _TIME_HOUR, _TIME_REST, _AGAIN, _AGAIN_TIME, _LATE, _SPOILT, _MIDNIGHT = range(10, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthOptions(PlanOptions):
    """All that a month depends on."""

    daily_dau: tuple[int, ...]
    """One for each day of the month."""


class MonthPlan(Plan):
    """A month's plan: every day is one phase."""

    asks_for = "logins"
    watched = ("dau", "DAU")
    resumed_kind = KINDS[BEFORE_MIDNIGHT]
    holds_over_midnight = True
    """Whether sessions outlive the end of a day."""

    def __init__(self, options: MonthOptions) -> None:
        self._seed = options.seed
        self._daily_dau = options.daily_dau
        self._dau_max = LIMITS[options.app_plan].dau
        """The app plan's hard stop, which makes outcomes a race; None on paid plans."""
        self.population_size = max(options.daily_dau, default=0)
        self.day = lru_cache(maxsize=DAYS_KEPT)(self._day)
        outcome = None if self._dau_max is None else Expected(codes=None)
        super().__init__(
            options, [phase for day in range(len(options.daily_dau)) for phase in self._phases(day, outcome)]
        )

    def _phases(self, day: int, outcome: Expected | None) -> Sequence[Phase]:
        """The parts of a day; of an ordinary one there is one."""
        return [Phase(day=day, make=partial(self.day, day), outcome=outcome)]

    def dau(self, day: int) -> type_range:
        dau, limit = self._daily_dau[day] if day < len(self._daily_dau) else 0, self._dau_max
        if limit is None:
            return dau, dau
        most = min(dau, limit)
        # Accounts register until the cap: on the first day with anybody every place goes to somebody of that day.
        return (0, most) if any(self._daily_dau[:day]) else (most, most)

    def monthly_users(self) -> int:
        come = np.zeros(self.population_size, dtype=np.bool_)
        for day in range(len(self._daily_dau)):
            come[self._active(day)] = True
        return int(come.sum())

    def rough_sizes(self) -> dict[int, int]:
        return {day: dau * ARRIVALS_PERMILLE // 1_000 for day, dau in enumerate(self._daily_dau)}

    def totals(self) -> dict[str, Any]:
        return {"population": self.population_size}

    def summary(self) -> str:
        arrivals = sum(phase.size for phase in self.phases)
        resumes = sum(len(self._held_over(day)[0]) for day in range(len(self._daily_dau)))
        days = len(month_dates(self.options.month))
        requests = f"{arrivals - resumes:,} logins, {resumes:,} resumes"
        return f"{days} days of {self.options.month}, {requests}, peak DAU {self.population_size:,}"

    def _day(self, index: int) -> Arrivals:
        parts = [self._logins(index), self._refused(index), self._held_over(index)]
        users, kinds, times, sigs = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        # By time, then user and kind: the order does not depend on how the parts were made.
        order = np.lexsort((kinds, users, times))
        users, kinds = users[order], kinds[order]
        return Arrivals(
            users=users,
            kinds=kinds,
            times_ms=times[order],
            sigs=sigs[order],
            verbs=np.where(kinds == HELD_OVER, RESUME, LOGIN).astype(np.int8),
            groups=np.broadcast_to(np.int64(NOBODY), len(users)),
            players=users,
            devices=np.where(kinds == SECOND_DEVICE, 2, 1).astype(np.int8),
            doors=np.broadcast_to(np.int8(GATEWAY), len(users)),
            kind_names=KINDS,
        )

    def _logins(self, index: int) -> tuple[NDArray[Any], ...]:
        active = self._active(index)
        first = self._first_times(index, active)
        late = self._is_late(index, active)
        early = self._was_late_yesterday(index, active) & ~late
        kinds = np.where(late, BEFORE_MIDNIGHT, np.where(early, AFTER_MIDNIGHT, FIRST))
        again = self._numbers(_AGAIN, index, active) % np.uint64(1_000)
        repeats = (again < AGAIN_PERMILLE + SECOND_DEVICE_PERMILLE) & ~late
        users = np.concatenate((active, active[repeats]))
        repeat_kinds = np.where(again[repeats] < AGAIN_PERMILLE, AGAIN, SECOND_DEVICE)
        repeat_times = self._later_times(index, active[repeats], first[repeats])
        return (
            users,
            np.concatenate((kinds, repeat_kinds)).astype(np.int8),
            np.concatenate((first, repeat_times)).astype(np.int32),
            np.zeros(len(users), dtype=np.int8),
        )

    def _refused(self, index: int) -> tuple[NDArray[Any], ...]:
        """Logins with a spoilt UserSig, by users who come on no other ground that day: counting one would be seen."""
        dau = self._daily_dau[index]
        count = max(len(BAD_SIG_CODES), dau * REFUSED_PERMILLE // 1_000) if dau else 0
        pool, chosen = self._pool(index)
        known = np.setdiff1d(pool, chosen, assume_unique=True)[: count // 2]
        strangers = self.population_size + np.arange(count - len(known), dtype=np.int64)
        users = np.concatenate((known, strangers))
        sigs = (
            1
            + (np.arange(count, dtype=np.uint64) + self._numbers(_SPOILT, index, users[:1] * 0))
            % np.uint64(len(BAD_SIG_CODES))
            if count
            else np.zeros(0)
        )
        return (
            users,
            np.full(count, BAD_USERSIG, dtype=np.int8),
            self._ordinary_times(index, users),
            sigs.astype(np.int8),
        )

    def _held_over(self, index: int) -> tuple[NDArray[Any], ...]:
        """Sessions of the last second of yesterday, taken up again by users who do not log in today."""
        # Where a cap may have refused the login, there may be no session.
        is_possible = index > 0 and self.holds_over_midnight and self._dau_max is None
        yesterday = self._active(index - 1) if is_possible else np.zeros(0, dtype=np.int64)
        users = np.setdiff1d(yesterday[self._is_late(index - 1, yesterday)], self._active(index), assume_unique=True)
        times = (self._numbers(_MIDNIGHT, index, users) % np.uint64(SECOND_MS)).astype(np.int32)
        return users, np.full(len(users), HELD_OVER, dtype=np.int8), times, np.zeros(len(users), dtype=np.int8)

    def _active(self, index: int) -> NDArray[np.int64]:
        return self._pool(index)[1]

    def _pool(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The circle that a day's users come from, and those of them who come, sorted."""
        dau = self._daily_dau[index]
        pool = np.arange(min(self.population_size, REGULARS * dau), dtype=np.int64)
        if dau == len(pool):
            return pool, pool
        drawn = self._numbers(_ACTIVE, index, pool)
        return pool, np.sort(pool[np.argsort(drawn, kind="stable")[:dau]])

    def _first_times(self, index: int, users: NDArray[np.int64]) -> NDArray[np.int32]:
        times = self._ordinary_times(index, users)
        edge = (self._numbers(_MIDNIGHT, index, users) % np.uint64(SECOND_MS)).astype(np.int32)
        late = self._is_late(index, users)
        early = self._was_late_yesterday(index, users)
        times[early] = edge[early]
        times[late] = DAY_MS - SECOND_MS + edge[late]
        return times

    def _ordinary_times(self, index: int, users: NDArray[np.int64]) -> NDArray[np.int32]:
        """By the hours' weights, outside the first and the last second."""
        edges = np.cumsum(HOUR_WEIGHTS)
        drawn = self._numbers(_TIME_HOUR, index, users) % np.uint64(edges[-1])
        hours = np.searchsorted(edges, drawn.astype(np.int64), side="right")
        rest = (self._numbers(_TIME_REST, index, users) % np.uint64(HOUR_MS)).astype(np.int64)
        times = hours * HOUR_MS + rest
        ordinary: NDArray[np.int32] = np.clip(times, SECOND_MS, DAY_MS - SECOND_MS - 1).astype(np.int32)
        return ordinary

    def _later_times(self, index: int, users: NDArray[np.int64], first: NDArray[np.int32]) -> NDArray[np.int32]:
        left = (DAY_MS - SECOND_MS - first).astype(np.uint64)
        drawn = self._numbers(_AGAIN_TIME, index, users) % left
        return (first + drawn.astype(np.int64)).astype(np.int32)

    def _is_late(self, index: int, users: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._numbers(_LATE, index, users) % np.uint64(1_000) < LATE_PERMILLE

    def _was_late_yesterday(self, index: int, users: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not index:
            return self._numbers(_LATE, -1, users) % np.uint64(1_000) < LATE_PERMILLE
        yesterday = self._active(index - 1)
        return np.isin(users, yesterday[self._is_late(index - 1, yesterday)])

    def _numbers(self, purpose: int, index: int, users: NDArray[np.int64]) -> chance.type_numbers:
        return chance.numbers(self._seed, purpose * 1_000 + index + 1, users)

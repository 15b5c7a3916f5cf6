"""The plan of a run: who logs in when, from where, on which device, and what is to come of it.

A pure function of its options and the seed. A day's plan is computed on its own, so that every worker can make its
share, and it is the same for any number of workers.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import run_files
from im_load import chance, population

KINDS: Final = (
    "first",
    "again",
    "second_device",
    "before_midnight",
    "after_midnight",
    "bad_usersig",
)
FIRST, AGAIN, SECOND_DEVICE, BEFORE_MIDNIGHT, AFTER_MIDNIGHT, BAD_USERSIG = range(len(KINDS))

GOOD_SIG: Final = 0
BAD_SIG_CODES: Final = (70001, 70002, 70003, 70009, 70013, 70014)
"""What a refused login is refused with, by the way its UserSig is spoilt: `sig` − 1 is the index."""

AGAIN_PERMILLE: Final = 80
SECOND_DEVICE_PERMILLE: Final = 40
LATE_PERMILLE: Final = 10
"""Users whose first login falls into the day's last second; those active on the next day too log in at its first."""
REFUSED_PERMILLE: Final = 5
REGULARS: Final = 3
"""An ordinary day's users come from a circle of this many times their number, so that most return."""

SECOND_MS: Final = 1_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
STEPS_MS: Final = (*range(0, DAY_MS, HOUR_MS), DAY_MS - SECOND_MS)
"""Where the app's clock stands within a day: every hour, the first second and the last among them."""

HOUR_WEIGHTS: Final = (
    *(30, 18, 12, 9, 8, 10, 18, 30, 42, 50, 52, 52),
    *(54, 52, 50, 50, 52, 54, 58, 62, 68, 70, 62, 46),
)
"""A day's shape, by hour of the billing day: quiet at five, busiest at nine in the evening. An assumption."""

TRIAL_DAU_MAX: Final = 100
"""The trial's hard stop (72000) and its number of accounts (70398), from the vendor's plan page."""

DAY_CACHE: Final = 40

_ACTIVE, _TIME_HOUR, _TIME_REST, _AGAIN, _AGAIN_TIME, _LATE, _SPOILT, _MIDNIGHT = range(10, 18)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """All that a plan depends on."""

    scenario: str
    seed: int
    month: str
    app_plan: str
    daily_dau: tuple[int, ...]
    """One for each day of the month."""
    dau_max: int | None = None
    """The app plan's hard stop, which makes outcomes a race; None on paid plans."""


@dataclass(frozen=True, slots=True)
class DayPlan:
    """A day's arrivals in the order of the app's time; all arrays have one entry an arrival."""

    users: NDArray[np.int64]
    kinds: NDArray[np.int8]
    times_ms: NDArray[np.int32]
    """Within the day."""
    sigs: NDArray[np.int8]
    """`GOOD_SIG`, or 1 + an index into `BAD_SIG_CODES`."""

    def __len__(self) -> int:
        return len(self.users)

    def share(self, number: int, count: int) -> NDArray[np.int64]:
        """Places of the arrivals that driver `number` of `count` plays: all those of its users, in order."""
        return np.flatnonzero(self.users % count == number)

    def codes(self) -> dict[int, int]:
        """How many answers of each code are due on a plan without a hard stop."""
        table = (0, *BAD_SIG_CODES)
        return {table[sig]: count for sig, count in sorted(Counter(self.sigs.tolist()).items())}


class Plan:
    """A month's plan."""

    def __init__(self, options: PlanOptions) -> None:
        self.options = options
        self.population_size = max(options.daily_dau, default=0)
        self.day = lru_cache(maxsize=DAY_CACHE)(self._day)

    def __len__(self) -> int:
        return len(self.options.daily_dau)

    def first_rows(self) -> list[int]:
        """Number of each day's first arrival in the run, and at the end the number of all."""
        sizes = [len(self.day(index)) for index in range(len(self))]
        return [0, *np.cumsum(sizes).tolist()]

    def as_json(self, dates: list[date], options: Mapping[str, Any]) -> dict[str, Any]:
        """`plan.json` of `docs/run-files.md`, without what is known of the app."""
        days = [self._day_json(index, day) for index, day in enumerate(dates)]
        return {
            "format": run_files.FORMAT,
            "scenario": self.options.scenario,
            "seed": self.options.seed,
            "options": dict(options),
            "month": self.options.month,
            "population": self.population_size,
            "arrivals": sum(day["arrivals"] for day in days),
            "days": days,
        }

    def _day_json(self, index: int, day: date) -> dict[str, Any]:
        plan = self.day(index)
        dau = self.options.daily_dau[index]
        limit = self.options.dau_max
        is_race = limit is not None
        most = dau if limit is None else min(dau, limit)
        # Accounts register until the cap: on the first day with anybody every place goes to somebody of that day.
        is_certain = not is_race or not any(self.options.daily_dau[:index])
        return {
            "day": day.isoformat(),
            "arrivals": len(plan),
            "dau_min": most if is_certain else 0,
            "dau_max": most,
            "codes": None if is_race else {str(code): count for code, count in plan.codes().items()},
        }

    def _day(self, index: int) -> DayPlan:
        parts = [self._logins(index), self._refused(index)]
        users, kinds, times, sigs = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        # By time, then user and kind: the order does not depend on how the parts were made.
        order = np.lexsort((kinds, users, times))
        return DayPlan(users[order], kinds[order], times[order], sigs[order])

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
        dau = self.options.daily_dau[index]
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

    def _active(self, index: int) -> NDArray[np.int64]:
        return self._pool(index)[1]

    def _pool(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The circle that a day's users come from, and those of them who come, sorted."""
        dau = self.options.daily_dau[index]
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
        return chance.numbers(self.options.seed, purpose * 1_000 + index + 1, users)


def options_json(options: PlanOptions) -> dict[str, Any]:
    """For a message to the workers."""
    return asdict(options)


def options_from_json(text: Mapping[str, Any]) -> PlanOptions:
    return PlanOptions(**{**text, "daily_dau": tuple(text["daily_dau"])})


def device_of(kinds: NDArray[np.int8]) -> NDArray[np.int64]:
    """1 for a user's first device, 2 for the second: the session's instance."""
    return np.where(kinds == SECOND_DEVICE, 2, 1)


def platforms(seed: int, users: NDArray[np.int64], kinds: NDArray[np.int8]) -> NDArray[np.int8]:
    """Indices into `population.PLATFORMS`; the second device is of another kind than the first."""
    first = population.platform_of(seed, users)
    other = (first + 1) % len(population.PLATFORMS)
    return np.where(kinds == SECOND_DEVICE, other, first).astype(np.int8)

"""A trial's accounts at their cap: imports and first logins race for 100 places, and for those that deletions free.

The rules (purchase FAQ, 1047/34421; plan comparison, 1047/34349): a trial has at most 100 accounts, by import and by
first login alike, then 70398. `account_delete` frees the place at once. On top of that at most 100 users log in on one
billing day, then 72000; a deleted user of that day still counts. 70398 comes first: a reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from im_load.daily_dau import WrongInputError
from im_load.plans.arrivals import (
    DELETE,
    GATEWAY,
    HOUR_MS,
    IMPORT,
    LOGIN,
    REST,
    Arrivals,
    Expected,
    Ints,
    Phase,
    arrivals,
    type_range,
)
from im_load.plans.limits import ACCOUNT_LIMIT, ACCOUNT_UNKNOWN, DAU_LIMIT, LIMITS, Quota
from im_load.plans.plan import Plan, PlanOptions

ATTEMPTS_MIN: Final = 500
"""Below that a race would have hardly more racers than places."""
DAYS: Final = 5

_RACE, _AGAIN, _REFILL, _STOP, _NEXT = range(DAYS)
"""What each day is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCapOptions(PlanOptions):
    """All that the races depend on."""

    attempts: int
    """Users who race for a place, of the whole run."""


class AccountCapPlan(Plan):
    """Five days of races; every outcome is exact, only who wins is not."""

    doors = frozenset({GATEWAY, REST})
    watched = ("accounts", "accounts")

    def __init__(self, options: AccountCapOptions) -> None:
        limits = LIMITS[options.app_plan]
        if limits.accounts is None or limits.dau is None:
            raise WrongInputError(f"--plan {options.app_plan}: only a trial has a cap on accounts")
        self._places, self._dau_max = limits.accounts, limits.dau
        self._known = 0
        self._attempts = options.attempts
        super().__init__(options, list(self._days(options.attempts)))

    def dau(self, day: int) -> type_range:
        if day == _RACE:
            # How many of those who got a place logged in and were not imported, is the race itself.
            return 0, self._places
        if day == _REFILL:
            return 0, 2 * self._freed
        return (self._places, self._places) if day in (_AGAIN, _STOP, _NEXT) else (0, 0)

    def quotas(self) -> list[Quota]:
        return [Quota("accounts", self._places, ACCOUNT_LIMIT), Quota("dau", self._dau_max, DAU_LIMIT)]

    def summary(self) -> str:
        return f"{super().summary()}, {self._attempts:,} users race for {self._places} places"

    # --- phases -----------------------------------------------------------------------------------

    def _days(self, attempts: int) -> Iterator[Phase]:
        places, hour = self._places, HOUR_MS
        quarter = attempts // 4
        self._freed = places * 3 // 10
        kept = places - self._freed

        racers = self._fresh(attempts - 2 * quarter)
        yield self._race(_RACE, "race", racers, places=places, from_ms=0)

        # Whoever got a place logs in, and nobody else can: exactly 100 users of the day.
        yield self._logins(_AGAIN, "again", racers, 0, {0: places, ACCOUNT_LIMIT: len(racers) - places})

        # All who tried are deleted; then users whose places are certain are imported, so that as many can be freed.
        yield self._deletes(_REFILL, "delete", racers, 0, deleted=places)
        settled = self._fresh(kept)
        yield self._imports(_REFILL, "settle", settled, 4 * hour)
        yield self._race(_REFILL, "fill", self._fresh(quarter), places=self._freed, from_ms=8 * hour)
        gone = settled[: self._freed]
        yield self._deletes(_REFILL, "free", gone, 12 * hour, deleted=len(gone))
        # The deleted are among those who race for the freed places: a deleted UserID may come back.
        refill = np.concatenate((gone, self._fresh(quarter - len(gone))))
        yield self._race(_REFILL, "refill", refill, places=len(gone), from_ms=16 * hour)

        # 100 users log in; of these some are deleted. Their places are free, but the day's users are used up.
        everybody = np.arange(self._known)
        outsiders = self._known - places
        yield self._logins(_STOP, "again", everybody, 0, {0: places, ACCOUNT_LIMIT: outsiders})
        stays = settled[self._freed :]
        yield self._deletes(_STOP, "free", stays, 8 * hour, deleted=len(stays))
        newcomers = self._fresh(len(stays))
        yield self._logins(_STOP, "newcomer", newcomers, 12 * hour, {DAU_LIMIT: len(newcomers)})
        yield self._imports(_STOP, "settle", newcomers, 16 * hour)

        everybody = np.arange(self._known)
        yield self._logins(_NEXT, "again", everybody, 0, {0: places, ACCOUNT_LIMIT: len(everybody) - places})

    def _race(self, day: int, kind: str, users: Ints, *, places: int, from_ms: int) -> Phase:
        """Every other one is imported, the others log in for the first time."""
        return Phase(
            day=day,
            count=len(users),
            make=partial(_both_ways, kind, users, from_ms),
            outcome=Expected({0: places, ACCOUNT_LIMIT: len(users) - places}, _won_by_either(len(users), places)),
            from_ms=from_ms,
            until_ms=from_ms + 4 * HOUR_MS,
            is_at_once=True,
        )

    def _logins(self, day: int, kind: str, users: Ints, from_ms: int, codes: dict[int, int]) -> Phase:
        won = codes.get(0, 0)
        return _phase((day, kind), LOGIN, users, from_ms, Expected(codes, {"login": (won, won)}))

    def _imports(self, day: int, kind: str, users: Ints, from_ms: int) -> Phase:
        """There is a place for each of them."""
        return _phase(
            (day, kind), IMPORT, users, from_ms, Expected({0: len(users)}, {"import": (len(users), len(users))})
        )

    def _deletes(self, day: int, kind: str, users: Ints, from_ms: int, *, deleted: int) -> Phase:
        """One user a call, so that each has an answer of its own."""
        codes = {0: deleted, ACCOUNT_UNKNOWN: len(users) - deleted}
        return _phase((day, kind), DELETE, users, from_ms, Expected(codes, {"delete": (deleted, deleted)}))

    def _fresh(self, count: int) -> Ints:
        first, self._known = self._known, self._known + count
        return np.arange(first, self._known)


def _phase(step: tuple[int, str], verb: int, users: Ints, from_ms: int, expected: Expected) -> Phase:
    day, kind = step
    return Phase(
        day=day,
        count=len(users),
        make=lambda: arrivals(kind, verb, count=len(users), users=users, times_ms=from_ms),
        outcome=expected,
        from_ms=from_ms,
        until_ms=from_ms + 4 * HOUR_MS,
        is_at_once=True,
    )


def _both_ways(kind: str, users: Ints, time_ms: int) -> Arrivals:
    verbs = np.where(np.arange(len(users)) % 2, LOGIN, IMPORT)
    return arrivals(kind, verbs, count=len(users), users=users, times_ms=time_ms)


def _won_by_either(count: int, places: int) -> dict[str, type_range]:
    """All that is certain of each alone; of both together it stands in the codes."""
    logins = count // 2
    imports = count - logins
    return {
        "import": (max(0, places - logins), min(places, imports)),
        "login": (max(0, places - imports), min(places, logins)),
    }

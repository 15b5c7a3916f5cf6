"""Hundreds of thousands of groups: what the month's peak costs, and that destroyed ones do not.

The rules (purchase FAQ, 1047/34421; plan comparison, 1047/34349): no cap on groups on a paid plan, but at most 10,000
net new ones a day (then 10006) and 500 for each user on Pro (1,000 on Ultimate; then 10037); 100,000 are free, above
them 149.99 USD for each started 100,000 of the month's peak. The number is net.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from im_load.daily_dau import WrongInputError, month_dates
from im_load.plans.arrivals import (
    CREATE,
    DAY_MS,
    DESTROY,
    HOUR_MS,
    IMPORT,
    NOBODY,
    REST,
    Arrivals,
    Expected,
    Phase,
    arrivals,
    type_range,
)
from im_load.plans.limits import DAILY_GROUP_LIMIT, LIMITS, USER_GROUP_LIMIT, Quota
from im_load.plans.plan import Plan, PlanOptions

TYPES: Final = ("Public", "Private", "ChatRoom")
OVER: Final = 10
"""Creates beyond a cap that is reached."""
COME_AND_GO: Final = 50
"""Groups that are created and destroyed again on each day, before its others: they count for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOverageOptions(PlanOptions):
    """All that the month depends on."""

    groups: int
    destroy: int


class GroupOveragePlan(Plan):
    """Owners are imported, groups are created day by day as fast as the quotas allow, then some are destroyed."""

    doors = frozenset({REST})
    watched = ("groups", "groups")

    def __init__(self, options: GroupOverageOptions) -> None:
        limits = LIMITS[options.app_plan]
        self._per_day, self._per_user = limits.net_new_groups_per_day, limits.groups_per_user
        self._groups, self._destroy = options.groups, options.destroy
        self._owners = -(-options.groups // self._per_user)
        self._days = -(-options.groups // self._per_day)
        """On which groups are created; on the others of the month they are destroyed."""
        self._check(len(month_dates(options.month)))
        self._extra = options.groups
        super().__init__(options, list(self._phases(len(month_dates(options.month)))))

    def dau(self, day: int) -> type_range:  # noqa: ARG002 -- nobody logs in: the app's backend does it all
        return 0, 0

    def group_type(self, group: int) -> str:
        return TYPES[group % len(TYPES)]

    def quotas(self) -> list[Quota]:
        return [
            Quota("net_new_groups", self._per_day, DAILY_GROUP_LIMIT),
            Quota("groups_per_user", self._per_user, USER_GROUP_LIMIT),
        ]

    def totals(self) -> dict[str, Any]:
        return {"peak_groups": [self._groups, self._groups]}

    def summary(self) -> str:
        days = f"{self._days} day{'s' if self._days > 1 else ''}"
        return (
            f"{super().summary()}, {self._groups:,} groups of {self._owners:,} owners in {days}, "
            f"then {self._destroy:,} of them destroyed"
        )

    def _check(self, days: int) -> None:
        if self._destroy > self._groups:
            raise WrongInputError(f"--destroy {self._destroy}: there are only {self._groups} groups to destroy")
        left = days - self._days
        if left < (self._destroy > 0):
            most = (days - 1) * self._per_day
            message = (
                f"--groups {self._groups}: {self._per_day:,} net new ones a day make at most {most:,} in this month, "
                "with a day left to destroy some"
            )
            raise WrongInputError(message)

    # --- phases -----------------------------------------------------------------------------------

    def _phases(self, days: int) -> Iterator[Phase]:
        owners = np.arange(self._owners)
        yield Phase(
            day=0,
            count=self._owners,
            make=lambda: arrivals("owner", IMPORT, count=len(owners), users=owners),
            outcome=Expected({0: self._owners}, {"import": (self._owners, self._owners)}),
            until_ms=HOUR_MS,
        )
        for day in range(self._days):
            first = day * self._per_day
            count = min(self._per_day, self._groups - first)
            yield self._come_and_go(day, min(COME_AND_GO, count))
            yield self._step(day, CREATE, first, count)
            if count == self._per_day:
                yield self._over(day, "over_day", DAILY_GROUP_LIMIT, owner=NOBODY)
        if self._groups >= self._owners * self._per_user:
            # Their places are asked for before the day's: 10037 comes before 10006, a reading.
            yield self._over(self._days - 1, "over_user", USER_GROUP_LIMIT, owner=0)
        destroyed = 0
        for day in range(self._days, days):
            count = -(-(self._destroy - destroyed) // (days - day))
            if count:
                yield self._step(day, DESTROY, destroyed, count)
            destroyed += count

    def _step(self, day: int, verb: int, first: int, count: int) -> Phase:
        """A day's creates or destroys, spread over its hours."""
        name = "create_group" if verb == CREATE else "destroy_group"
        return Phase(
            day=day,
            count=count,
            make=partial(self._spread, verb, first, count),
            outcome=Expected({0: count}, {name: (count, count)}),
            from_ms=2 * HOUR_MS,
            until_ms=22 * HOUR_MS,
        )

    def _come_and_go(self, day: int, count: int) -> Phase:
        """In nobody's name. No more than the day's others, so that they are in no peak."""
        groups = np.arange(self._extra, self._extra + count)
        self._extra += count
        return Phase(
            day=day,
            count=2 * count,
            make=lambda: arrivals(
                "come_and_go",
                np.repeat([CREATE, DESTROY], count),
                count=2 * count,
                groups=np.tile(groups, 2),
                players=np.tile(groups, 2),
                times_ms=HOUR_MS,
                doors=REST,
            ),
            outcome=Expected({0: 2 * count}, {"create_group": (count, count), "destroy_group": (count, count)}),
            from_ms=HOUR_MS,
            until_ms=2 * HOUR_MS,
            is_at_once=True,
        )

    def _over(self, day: int, kind: str, refusal: int, *, owner: int) -> Phase:
        """A few more when the quota is used up: by owners who have all they may, or in nobody's name."""
        extra = np.arange(self._extra, self._extra + OVER)
        self._extra += OVER
        users = np.full(OVER, NOBODY) if owner == NOBODY else np.arange(OVER) % self._owners
        from_ms = (22 if owner == NOBODY else 23) * HOUR_MS
        return Phase(
            day=day,
            count=OVER,
            make=lambda: arrivals(
                kind, CREATE, count=OVER, users=users, groups=extra, players=extra, times_ms=from_ms, doors=REST
            ),
            outcome=Expected({refusal: OVER}, {"create_group": (0, 0)}),
            from_ms=from_ms,
            until_ms=min(from_ms + HOUR_MS, DAY_MS),
            is_at_once=True,
        )

    def _spread(self, verb: int, first: int, count: int) -> Arrivals:
        groups = np.arange(first, first + count)
        times_ms = 2 * HOUR_MS + np.arange(count) * (20 * HOUR_MS) // count
        # Each owner's groups are spread over the days; a destroyer is the app's backend, in nobody's name.
        users = groups % self._owners if verb == CREATE else np.full(count, NOBODY)
        kind = "grow" if verb == CREATE else "shrink"
        return arrivals(
            kind, verb, count=count, users=users, groups=groups, players=groups, times_ms=times_ms, doors=REST
        )

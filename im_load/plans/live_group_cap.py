"""Live groups (AVChatRoom) at their cap: races for the places, releases, and rooms that stand empty.

The rule (purchase FAQ, 1047/34421): the number is net. Create three, destroy three, and all places are there again; a
room with nobody in it counts until it is destroyed. Pro has 50 places, a trial 10; Ultimate has no cap on live groups
and meets the 10,000 net new groups of a day instead, which are net in the same way.

Every day but the first is a round. A round takes a day, so that what a round leaves behind is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from im_load.daily_dau import WrongInputError, month_dates
from im_load.plans.arrivals import (
    CREATE,
    DESTROY,
    GATEWAY,
    HOUR_MS,
    JOIN,
    LOGIN,
    QUIT,
    REST,
    Arrivals,
    Expected,
    Ints,
    Phase,
    arrivals,
    type_range,
)
from im_load.plans.limits import DAILY_GROUP_LIMIT, GROUP_UNKNOWN, LIMITS, LIVE_GROUP_LIMIT, Quota
from im_load.plans.plan import Plan, PlanOptions

OVER_REST: Final = 10
"""Every tenth create of a race goes over REST, the others over the gateway."""
BATCH: Final = 3
"""Groups that an owner creates before it destroys them again, the FAQ's own number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGroupCapOptions(PlanOptions):
    """All that the races depend on."""

    attempts: int
    """Creates that race for places, of the whole run."""
    owners: int
    rounds: int


class LiveGroupCapPlan(Plan):
    """Owners log in on the first day; then rounds of race, clearing and churn; at last rooms that nobody is in."""

    doors = frozenset({GATEWAY, REST})
    keeps_sessions = True
    watched = ("live_groups", "live groups")

    def __init__(self, options: LiveGroupCapOptions) -> None:
        limits = LIMITS[options.app_plan]
        daily = limits.net_new_groups_per_day
        self._places = daily if limits.live_groups is None else min(limits.live_groups, daily)
        """How many groups there can be at once. No round leaves one behind, so that a day's net is what exists."""
        self._refusal = DAILY_GROUP_LIMIT if limits.live_groups is None else LIVE_GROUP_LIMIT
        self._owners, self._attempts = options.owners, options.attempts
        if limits.accounts is not None and options.owners > limits.accounts:
            raise WrongInputError(f"--owners {options.owners}: a {options.app_plan} app has {limits.accounts} accounts")
        most = len(month_dates(options.month)) - 2
        if options.rounds > most:
            raise WrongInputError(f"--rounds {options.rounds}: {options.month} has room for {most}, a day each")
        self._made = 0
        races = 2 * options.rounds + 2
        self._each, rest = divmod(options.attempts, races)
        self._last = self._each + rest
        if self._each < 1:
            raise WrongInputError(f"--attempts {options.attempts}: {races} races need one each, at least")
        super().__init__(options, [*self._beginning(), *self._rounds(options.rounds), *self._end(options.rounds + 1)])

    def dau(self, day: int) -> type_range:
        return (self._owners, self._owners) if day == 0 else (0, 0)

    def group_type(self, group: int) -> str:  # noqa: ARG002 -- the same for all
        return "AVChatRoom"

    def quotas(self) -> list[Quota]:
        name = "live_groups" if self._refusal == LIVE_GROUP_LIMIT else "net_new_groups"
        return [Quota(name, self._places, self._refusal)]

    def totals(self) -> dict[str, Any]:
        # The empty rooms of the last round take every place.
        return {"peak_groups": [self._places, self._places]}

    def summary(self) -> str:
        return (
            f"{super().summary()}, {self._attempts:,} creates race for {self._places:,} places, {self._owners} owners"
        )

    # --- phases -----------------------------------------------------------------------------------

    def _beginning(self) -> Iterator[Phase]:
        owners = np.arange(self._owners)
        yield Phase(
            day=0,
            count=self._owners,
            make=lambda: arrivals("owner", LOGIN, count=len(owners), users=owners),
            outcome=Expected({0: self._owners}, {"login": (self._owners, self._owners)}),
            until_ms=12 * HOUR_MS,
            is_at_once=True,
        )
        # One owner's three, in the FAQ's words; the races of the next day then have all places.
        groups = self._fresh(BATCH)
        yield Phase(
            day=0,
            count=2 * BATCH,
            make=lambda: arrivals(
                "three",
                np.repeat([CREATE, DESTROY], BATCH),
                count=2 * BATCH,
                users=0,
                groups=np.tile(groups, 2),
                times_ms=12 * HOUR_MS,
            ),
            outcome=Expected({0: 2 * BATCH}, {"create_group": (BATCH, BATCH), "destroy_group": (BATCH, BATCH)}),
            from_ms=12 * HOUR_MS,
            is_at_once=True,
        )

    def _rounds(self, rounds: int) -> Iterator[Phase]:
        for day in range(1, rounds + 1):
            raced, churned = self._fresh(self._each), self._fresh(self._each)
            yield self._race(day, "race", raced, places=self._places, hours=(0, 8))
            yield self._clearing(day, raced, hours=(8, 16))
            yield self._churn(day, churned, hours=(16, 24))

    def _end(self, day: int) -> Iterator[Phase]:
        """Rooms without anybody in them take all places, three of them go, and exactly three places are there."""
        rooms = self._fresh(self._places)
        full, refill = self._fresh(self._each), self._fresh(self._last)
        freed = rooms[: min(BATCH, len(rooms))]
        hour = HOUR_MS
        yield self._over_rest(day, "empty", CREATE, rooms, (0, 4 * hour))
        yield self._visit(day, rooms, (4 * hour, 8 * hour))
        yield self._race(day, "full", full, places=0, hours=(8, 12))
        yield self._over_rest(day, "free", DESTROY, freed, (12 * hour, 16 * hour))
        yield self._race(day, "refill", refill, places=len(freed), hours=(16, 24))

    def _race(self, day: int, kind: str, groups: Ints, *, places: int, hours: tuple[int, int]) -> Phase:
        """Nothing but creates, at one instant: exactly as many as there are places get one."""
        count, won = len(groups), min(places, len(groups))
        return Phase(
            day=day,
            count=count,
            make=partial(self._raced, kind, groups, hours[0] * HOUR_MS),
            outcome=Expected({0: won, self._refusal: count - won}, {"create_group": (won, won)}),
            from_ms=hours[0] * HOUR_MS,
            until_ms=hours[1] * HOUR_MS,
            is_at_once=True,
        )

    def _clearing(self, day: int, groups: Ints, hours: tuple[int, int]) -> Phase:
        """Every owner destroys whatever it tried to create: those that came into being go, the others are unknown."""
        count, gone = len(groups), min(self._places, len(groups))
        return Phase(
            day=day,
            count=count,
            make=partial(self._of_owners, "clear", DESTROY, groups, hours[0] * HOUR_MS),
            outcome=Expected({0: gone, GROUP_UNKNOWN: count - gone}, {"destroy_group": (gone, gone)}),
            from_ms=hours[0] * HOUR_MS,
            until_ms=hours[1] * HOUR_MS,
            is_at_once=True,
        )

    def _churn(self, day: int, groups: Ints, hours: tuple[int, int]) -> Phase:
        """Creates and destroys between each other: an owner's three are destroyed before its next three are tried.

        In the end nothing is left. How many get a place is a race: the first to come do for certain.
        """
        count = len(groups)
        won = (min(self._places, count), count)
        is_certain = won[0] == won[1]
        return Phase(
            day=day,
            count=2 * count,
            make=partial(self._churned, groups, hours[0] * HOUR_MS),
            outcome=Expected({0: 2 * count} if is_certain else None, {"create_group": won, "destroy_group": won}),
            from_ms=hours[0] * HOUR_MS,
            until_ms=hours[1] * HOUR_MS,
            is_at_once=True,
        )

    def _over_rest(self, day: int, kind: str, verb: int, groups: Ints, span: tuple[int, int]) -> Phase:
        """By the app's backend, in nobody's name; all succeed."""
        count = len(groups)
        verb_name = "create_group" if verb == CREATE else "destroy_group"
        return Phase(
            day=day,
            count=count,
            make=lambda: arrivals(kind, verb, count=count, groups=groups, players=groups, times_ms=span[0], doors=REST),
            outcome=Expected({0: count}, {verb_name: (count, count)}),
            from_ms=span[0],
            until_ms=span[1],
            is_at_once=True,
        )

    def _visit(self, day: int, rooms: Ints, span: tuple[int, int]) -> Phase:
        """Somebody comes into each room and leaves it: it is empty again, and it still counts."""
        count = len(rooms)
        users = np.arange(count) % self._owners
        return Phase(
            day=day,
            count=2 * count,
            make=lambda: arrivals(
                "visit",
                np.repeat([JOIN, QUIT], count),
                count=2 * count,
                users=np.tile(users, 2),
                groups=np.tile(rooms, 2),
                times_ms=span[0],
            ),
            outcome=Expected({0: 2 * count}, {"join_group": (count, count), "quit_group": (count, count)}),
            from_ms=span[0],
            until_ms=span[1],
            is_at_once=True,
        )

    # --- arrivals ---------------------------------------------------------------------------------

    def _raced(self, kind: str, groups: Ints, time_ms: int) -> Arrivals:
        """Some owners leave it to the app's backend: both doors lead to the same places."""
        doors = np.where(np.arange(len(groups)) % OVER_REST, GATEWAY, REST)
        return self._of_owners(kind, CREATE, groups, time_ms, doors)

    def _of_owners(self, kind: str, verb: int, groups: Ints, time_ms: int, doors: Ints | None = None) -> Arrivals:
        """The owners in turn, one group each."""
        owners = self._owner_of(groups)
        return arrivals(kind, verb, count=len(groups), users=owners, groups=groups, times_ms=time_ms, doors=doors)

    def _churned(self, groups: Ints, time_ms: int) -> Arrivals:
        """Every other owner is half a turn behind, so that creates meet destroys however few drivers there are."""
        owners = self._owner_of(groups)
        turn = (groups - groups[0]) // self._owners
        batch, place = turn // BATCH, turn % BATCH
        slots = np.concatenate((2 * batch + owners % 2, 2 * batch + owners % 2 + 1))
        order = np.lexsort((np.tile(owners, 2), np.tile(place, 2), slots))
        return arrivals(
            "churn",
            np.repeat([CREATE, DESTROY], len(groups))[order],
            count=len(order),
            users=np.tile(owners, 2)[order],
            groups=np.tile(groups, 2)[order],
            times_ms=time_ms,
        )

    def _owner_of(self, groups: Ints) -> Ints:
        owners: Ints = (groups - groups[0]) % self._owners
        return owners

    def _fresh(self, count: int) -> Ints:
        first, self._made = self._made, self._made + count
        return np.arange(first, self._made)

"""The plan of a run: phases of arrivals, and what is to come of them.

A pure function of its options and the seed. A phase is computed on its own, so that every worker can make its share,
and it is the same for any number of workers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa

from analysis import run_files
from im_load import chance, columns, population
from im_load.daily_dau import month_dates
from im_load.plans.arrivals import GATEWAY, Ints, Phase, type_range
from im_load.plans.limits import Quota
from im_load.plans.trouble import Change
from im_load.population import World

GROUP_TAG_PURPOSE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What every plan depends on."""

    seed: int
    month: str
    app_plan: str


class Plan:
    """A plan; its scenarios' plans derive from it, each in a module of its own."""

    keeps_sessions = False
    """Whether users log in to do something afterwards: then a driver keeps what the login's answer hands out."""
    resumed_kind: str | None = None
    """The kind of logins whose sessions are taken up again later: a driver keeps their tickets."""
    asks_for = "requests"
    """What its arrivals are called where they are counted."""
    watched: tuple[str, str] | None = None
    """What the progress line shows beside the bill: a field of the app's status, and what to call it."""

    doors: frozenset[int] = frozenset({GATEWAY})
    """Ways to the server that its arrivals take."""
    roams = False
    """Whether users ask dispatch themselves and live through the loss of access points."""
    population_size = 0
    """Of a plan that roams: users who may be online, by index from 0."""

    def __init__(self, options: PlanOptions, phases: Sequence[Phase]) -> None:
        self.options = options
        self.phases = tuple(phases)
        # 32 bits of the seed: two runs against one server that is not ours do not use the same GroupIds.
        self._group_prefix = f"g{chance.hex_digits(options.seed, GROUP_TAG_PURPOSE)[:8]}_"

    @property
    def first_day(self) -> date:
        return month_dates(self.options.month)[0]

    @property
    def world(self) -> World:
        """Where its users live."""
        return population.countries()

    @property
    def trouble(self) -> tuple[Change, ...]:
        """What becomes of access points, in order of time."""
        return ()

    def first_rows(self) -> list[int]:
        """Number of each phase's first arrival in the run, and at the end the number of all."""
        return list(accumulate((phase.size for phase in self.phases), initial=0))

    @property
    def last_day(self) -> int:
        """Days after the month's first: of the last day of the month, or of the last phase when that is later."""
        days = len(month_dates(self.options.month))
        return max([days - 1, *(phase.day for phase in self.phases)])

    # --- what a plan of more than logins says -----------------------------------------------------

    def dau(self, day: int) -> type_range:
        """The least and most distinct users of a billing day whose login succeeds."""
        raise NotImplementedError

    def group_id(self, group: int) -> str:
        """At most 48 bytes: what a create names, so that an unknown outcome can be looked up."""
        return f"{self._group_prefix}{group:07d}"

    def group_ids(self, groups: Ints) -> pa.Array:
        """The same for many at once; null where there is none."""
        return columns.where(groups >= 0, columns.numbered(self._group_prefix, groups, digits=7), None)

    def group_type(self, group: int) -> str:
        """The vendor's name of the type with which this group is created."""
        raise NotImplementedError

    def participants(self, call: int) -> list[tuple[int, str]]:
        """Users of a call with their tiers."""
        raise NotImplementedError

    def monthly_users(self) -> int:
        """The most distinct users of the month, where some lists charge for these."""
        return sum(self.dau(day)[1] for day in range(len(month_dates(self.options.month))))

    def rough_sizes(self) -> dict[int, int]:
        """Roughly how many arrivals each day has: known before any is made, which takes time and memory."""
        sizes: Counter[int] = Counter()
        for phase in self.phases:
            sizes[phase.day] += phase.count or 0
        return dict(sizes)

    def quotas(self) -> list[Quota]:
        """The caps at which the plan races."""
        return []

    def totals(self) -> dict[str, Any]:
        """Further keys of `plan.json`: `peak_groups`, `call_seconds`."""
        return {}

    def summary(self) -> str:
        """What the run is about to do, in a few words."""
        return f"{sum(phase.size for phase in self.phases):,} requests in {len(self.phases)} phases"

    # --- plan.json --------------------------------------------------------------------------------

    def as_json(self, scenario: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """`plan.json` of `docs/run-files.md`, without what is known of the app."""
        days = [self._day_json(day) for day in self._listed_days()]
        quotas = [asdict(quota) for quota in self.quotas()]
        return {
            "format": run_files.FORMAT,
            "scenario": scenario,
            "seed": self.options.seed,
            "options": dict(options),
            "month": self.options.month,
            "arrivals": sum(day["arrivals"] for day in days),
            **({"quotas": quotas} if quotas else {}),
            **self.totals(),
            "days": days,
        }

    def _listed_days(self) -> list[int]:
        """All of the month, and those beside it on which somebody arrives."""
        return sorted({*range(len(month_dates(self.options.month))), *(phase.day for phase in self.phases)})

    def _day_json(self, day: int) -> dict[str, Any]:
        phases = [phase for phase in self.phases if phase.day == day]
        low, high = self.dau(day)
        listed = {
            "day": (self.first_day + timedelta(days=day)).isoformat(),
            "arrivals": sum(phase.size for phase in phases),
            "dau_min": low,
            "dau_max": high,
            "codes": _codes(phases),
        }
        admitted = _admitted(phases)
        return {**listed, "admitted": admitted} if admitted else listed


def _codes(phases: Sequence[Phase]) -> dict[str, int] | None:
    """None as soon as one of the phases is a race."""
    total: Counter[int] = Counter()
    for phase in phases:
        if phase.expected.codes is None:
            return None
        total.update(phase.expected.codes)
    return {str(code): count for code, count in sorted(total.items()) if count}


def _admitted(phases: Sequence[Phase]) -> dict[str, list[int]]:
    total: dict[str, list[int]] = {}
    for phase in phases:
        for verb, (low, high) in phase.expected.admitted.items():
            before = total.get(verb, [0, 0])
            total[verb] = [before[0] + low, before[1] + high]
    return total

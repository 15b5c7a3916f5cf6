"""Regret: how much longer a round trip takes to the point that a policy gives than to the fastest one to be had.

All by the latency table, under the states that held at each login's version of the routing table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import places
from analysis.documents import Access
from analysis.routing_oracle import CLIENT_PROBE, GREAT_CIRCLE, LATENCY_TABLE, NOWHERE, Health, Oracle, Questions
from analysis.visits import UNKNOWN, Ints, Visits

LEAST_MS: Final = 0.5
"""Below it two points are equally far: nobody would call it a detour."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Regret:
    """Round trip to the point that a policy gives less that to the fastest one that was to be had, by login."""

    policy: str
    is_played: bool
    """The run's own: where its users really came in."""
    mean_ms: float
    p50_ms: float
    p99_ms: float
    users_ratio: float
    """Of the users, those with any."""


def of(
    access: Access, come: Visits, oracle_of: Callable[[str], Oracle], states: Sequence[Health], user_ids: Sequence[str]
) -> list[Regret]:
    """Judge each policy by all admitted visits, the run's own by where its users really came in."""
    known = come.is_admitted & (come.state != UNKNOWN) & (come.place != places.UNKNOWN) & (come.point != UNKNOWN)
    at = np.flatnonzero(known)
    found = []
    for policy in (GREAT_CIRCLE, LATENCY_TABLE, *([CLIENT_PROBE] if access.probes else [])):
        is_played, oracle = policy == access.policy, oracle_of(policy)
        asked = Questions(come.place[at], come.state[at], come.user[at])
        point = come.point[at] if is_played else oracle.routed(asked, states, user_ids)
        served = point != NOWHERE
        if served.any():
            found.append(_regret(policy, oracle, states, come, at[served], point[served], is_played=is_played))
    return found


def _regret(  # noqa: PLR0913, PLR0917 -- one policy's part of the above
    policy: str, oracle: Oracle, states: Sequence[Health], come: Visits, at: Ints, point: Ints, *, is_played: bool
) -> Regret:
    """A visit's regret depends on place, state and point alone: worked out once for each."""
    points = oracle.latency_ms.shape[1]
    key = (come.place[at] * len(states) + come.state[at]) * points + point
    keys, case, size = np.unique(key, return_inverse=True, return_counts=True)
    rest, to = np.divmod(keys, points)
    place, state = np.divmod(rest, len(states))
    # A point that was not up may be faster than the best that was: nobody regrets that.
    ms = np.maximum(0.0, oracle.latency_ms[place, to] - oracle.fastest_ms(place, state, states))
    with_any = pd.unique(come.user[at[(ms >= LEAST_MS)[case]]])
    return Regret(
        policy=policy,
        is_played=is_played,
        mean_ms=round(float(np.average(ms, weights=size)), 3),
        p50_ms=round(_quantile(ms, size, 0.5), 3),
        p99_ms=round(_quantile(ms, size, 0.99), 3),
        users_ratio=len(with_any) / len(pd.unique(come.user[at])),
    )


def _quantile(values: Floats, sizes: Ints, share: float) -> float:
    """Return the smallest value that is not exceeded by `share` of the samples.

    >>> _quantile(np.array([5.0, 0.0]), np.array([1, 99]), 0.99)
    0.0
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(sizes[order])
    return float(values[order][np.searchsorted(reached, np.ceil(share * reached[-1]))])

"""The oracle: where each login belongs, found by brute force over all access points, sharing no code with any server.

Knows the declared model of `docs/routing.md`: a policy ranks all points that the app allows, bands of numbers put
those first that have room for the user, and points that are not up are left out. Does not know what a run did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.places import AccessPoints

GREAT_CIRCLE: Final = "great_circle"
LATENCY_TABLE: Final = "latency_table"
CLIENT_PROBE: Final = "client_probe"
POLICIES: Final = (GREAT_CIRCLE, LATENCY_TABLE, CLIENT_PROBE)

NOWHERE: Final = -1
"""The point of a user whom none may serve."""

EARTH_RADIUS_M: Final = 6_371_008.8
OVERPROVISIONING_PERCENT: Final = 140
NUMBERS: Final = 100
TURNS_MAX: Final = 64
CHUNK_ROWS: Final = 65_536
"""So many users are tried at once: a table of users by points must fit into memory."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Round = Mapping[str, float | None]
"""Round trips in ms by access point; None where no answer came."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How an app is routed."""

    policy: str
    pin: frozenset[str] = frozenset()
    """Codes of the only points that may serve the app; empty for no such bound."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Round trips that somebody has measured, by a place's name (`KR` or `KR/Busan`)."""

    table: Mapping[str, Round] = field(default_factory=dict)
    """In place of the model, for all policies that look at latency."""
    probes: Mapping[str, Round] = field(default_factory=dict)
    """What clients at a place say they measured."""


@dataclass(frozen=True, slots=True)
class Health:
    """How each access point is, in the order of their numbers."""

    is_up: Bools
    capacity_percent: Ints

    @property
    def scores(self) -> Ints:
        """Envoy's health scores: percent of its users that a point can take."""
        return np.minimum(NUMBERS, self.capacity_percent * OVERPROVISIONING_PERCENT // 100)


@dataclass(frozen=True, slots=True)
class Questions:
    """Who asks: for each row the number of a place, of a state in a list of them, and of a user."""

    place: Ints
    state: Ints
    user: Ints


class Oracle:
    """All points ranked for all places, ready to be asked under any state."""

    def __init__(
        self,
        points: AccessPoints,
        places: Sequence[tuple[str, float, float]],
        choice: Choice,
        measured: Measured | None = None,
    ) -> None:
        """Take places as name, latitude and longitude."""
        known = measured or Measured()
        self._allowed = np.array([not choice.pin or code in choice.pin for code in points.codes])
        at = np.array([place[1:] for place in places], dtype=np.float64).reshape(-1, 2)
        metres = metres_apart(at[:, 0], at[:, 1], *points.coordinates())
        self.latency_ms = points.model.round_trips_ms(metres)
        """By place and point."""
        _override(self.latency_ms, points.codes, [place[0] for place in places], known.table)
        by_latency = _ranked(self.latency_ms)
        if choice.policy == GREAT_CIRCLE:
            self._order = self._laid_out = _ranked(metres)
        elif choice.policy == LATENCY_TABLE:
            self._order = self._laid_out = by_latency
        else:
            probes = [known.probes.get(place[0], {}) for place in places]
            self._order, self._laid_out = _by_probe(points.codes, probes, self.latency_ms), by_latency

    def first_choices(self) -> Ints:
        """Return each place's best allowed point, as if every one were up and whole."""
        return _first(self._order, self._allowed[self._order])

    def fastest_ms(self, place: Ints, state: Ints, states: Sequence[Health]) -> Floats:
        """Return the shortest round trip to a point that is up and allowed, by the latency table."""
        is_up = np.array([health.is_up for health in states])
        latency_ms = np.where(is_up[state] & self._allowed, self.latency_ms[place], np.inf)
        fastest: Floats = latency_ms.min(axis=1)
        return fastest

    def routed(self, questions: Questions, states: Sequence[Health], user_ids: Sequence[str]) -> Ints:
        """Return the number of the point that each row's user belongs to; `user_ids` are by a user's number."""
        key = questions.place * len(states) + questions.state
        cases, case = np.unique(key, return_inverse=True)
        place, state = np.divmod(cases, len(states))
        order = self._order[place]
        is_up, scores = (np.array(values)[state] for values in zip(*_by_state(states), strict=True))
        offered = is_up & self._allowed
        best = _first(order, np.take_along_axis(offered, order, axis=1))
        # Whose best point takes everybody goes there, whatever number he has.
        whole = np.take_along_axis(scores, np.maximum(best, 0)[:, None], axis=1)[:, 0] == NUMBERS
        found: Ints = best[case]
        rows = np.flatnonzero(~(whole | (best == NOWHERE))[case])
        if len(rows):
            starts = _band_starts(np.where(self._allowed, scores, 0), self._laid_out[place])
            bands = _Bands(order, starts, np.where(offered, scores, 0))
            found[rows] = bands.of_users(case[rows], questions.user[rows], user_ids, best)
        return found


@dataclass(frozen=True, slots=True)
class _Bands:
    """For each case the order of preference, and by point where its band starts and how long it is."""

    order: Ints
    starts: Ints
    lengths: Ints

    def of_users(self, case: Ints, user: Ints, user_ids: Sequence[str], otherwise: Ints) -> Ints:
        users, at = np.unique(user, return_inverse=True)
        seeds = user_seeds([user_ids[number] for number in users.tolist()])[at]
        found = otherwise[case]
        for first in range(0, len(case), CHUNK_ROWS):
            chunk = slice(first, first + CHUNK_ROWS)
            self._settle(case[chunk], seeds[chunk], found[chunk])
        return found

    def _settle(self, case: Ints, seeds: NDArray[np.uint64], found: Ints) -> None:
        """Turn by turn: the first preferred point whose band holds the number that the user draws."""
        waiting = np.arange(len(case))
        for turn in range(TURNS_MAX):
            cases = case[waiting]
            number = numbers(seeds[waiting], turn)[:, None]
            holds = (number - self.starts[cases]) % NUMBERS < self.lengths[cases]
            point = _first(self.order[cases], np.take_along_axis(holds, self.order[cases], axis=1))
            is_held = point != NOWHERE
            found[waiting[is_held]] = point[is_held]
            waiting = waiting[~is_held]
            if not len(waiting):
                return


def metres_apart(latitudes: Floats, longitudes: Floats, to_latitudes: Floats, to_longitudes: Floats) -> Ints:
    """Return a table of whole metres along the great circle, rows by place; exact near and at the far side alike.

    >>> zero, pole = np.array([0.0]), np.array([90.0])
    >>> metres_apart(zero, zero, pole, zero).tolist()
    [[10007557]]
    """
    north, to_north = np.radians(latitudes)[:, None], np.radians(to_latitudes)[None, :]
    east = np.radians(to_longitudes)[None, :] - np.radians(longitudes)[:, None]
    across = np.cos(to_north) * np.sin(east)
    along = np.cos(north) * np.sin(to_north) - np.sin(north) * np.cos(to_north) * np.cos(east)
    inward = np.sin(north) * np.sin(to_north) + np.cos(north) * np.cos(to_north) * np.cos(east)
    metres: Ints = np.floor(EARTH_RADIUS_M * np.arctan2(np.hypot(across, along), inward) + 0.5).astype(np.int64)
    return metres


def user_seeds(user_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the 64 bits that a user's numbers are made of: an 8-byte BLAKE2b of the UserID."""
    digests = (blake2b(user_id.encode(), digest_size=8).digest() for user_id in user_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def numbers(seeds: NDArray[np.uint64], turn: int) -> Ints:
    """Return the numbers that users draw in a turn, 0 to 99: the upper half of SplitMix64, scaled.

    >>> [numbers(user_seeds(["alice"]), turn).tolist() for turn in range(3)]
    [[93], [63], [58]]
    """
    step = np.uint64((turn + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = seeds + step
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(32)) * np.uint64(NUMBERS) >> np.uint64(32)).astype(np.int64)


def _ranked(values: Ints | Floats) -> Ints:
    """Order the points of each place by a value; a stable sort leaves equal ones in the order of their codes."""
    return np.argsort(values, axis=1, kind="stable")


def _by_probe(codes: Sequence[str], probes: Sequence[Round], latency_ms: Floats) -> Ints:
    """First what was measured, then what was not, by the latency table; last what did not answer."""
    group = np.ones(latency_ms.shape)
    value = latency_ms.copy()
    for place, measured in enumerate(probes):
        for number, code in enumerate(codes):
            if code in measured:
                ms = measured[code]
                group[place, number] = 2 if ms is None else 0
                value[place, number] = latency_ms[place, number] if ms is None else ms
    return np.lexsort((latency_ms, value, group), axis=1)


def _override(latency_ms: Floats, codes: Sequence[str], names: Sequence[str], table: Mapping[str, Round]) -> None:
    """A city has its own rows, and where it has none those of its country."""
    if not table:
        return
    for place, name in enumerate(names):
        rows = {**table.get(name.partition("/")[0], {}), **table.get(name, {})}
        for number, code in enumerate(codes):
            measured_ms = rows.get(code)
            if measured_ms is not None:
                latency_ms[place, number] = measured_ms


def _first(order: Ints, is_wanted: Bools) -> Ints:
    """Return the first wanted point of each row's order, NOWHERE where none is; `is_wanted` is in that order."""
    at = is_wanted.argmax(axis=1)
    rows = np.arange(len(order))
    return np.where(is_wanted[rows, at], order[rows, at], NOWHERE)


def _by_state(states: Sequence[Health]) -> list[tuple[Bools, Ints]]:
    return [(health.is_up, health.scores) for health in states]


def _band_starts(scores: Ints, laid_out: Ints) -> Ints:
    """Lay bands head to tail on a circle of a hundred numbers; returns where each point's starts, by point."""
    lengths = np.take_along_axis(scores, laid_out, axis=1)
    ends = np.cumsum(lengths, axis=1)
    starts = np.empty_like(ends)
    np.put_along_axis(starts, laid_out, (ends - lengths) % NUMBERS, axis=1)
    return starts

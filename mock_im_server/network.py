"""The access points at work: how each is, how each app chose to route, and a version that counts every change.

Knows nothing of journals: `routing_records` keeps states and choices there.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mock_im_server.domain.capacity import Health, State
from mock_im_server.domain.geography import M_PER_KM, AccessPoint, Ranking
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import ANYBODY, Choice, Client, Router, Way
from mock_im_server.rankings import BatchRanking

COUNTRY_CODE_LENGTH: Final = 2
PLACES_AT_ONCE_MIN: Final = 6
"""From so many on, ranking them together is cheaper."""
_OVERRIDE_COLUMNS: Final = ("place", "access_point", "rtt_ms")

_new: Final = tuple.__new__

type_coordinates = tuple[float, float]


class Place(NamedTuple):
    """Where a client is. The name is `KR` or `KR/Busan`, or empty for bare coordinates."""

    name: str
    latitude: float
    longitude: float


class Distances(NamedTuple):
    """All access points from a place, the nearest first: indices into their codes' order, km and modelled ms."""

    indices: list[int]
    km: list[float]
    ms: list[float]


class NetworkRefusedError(ValueError):
    """Raised when a state or a choice cannot be as asked; the message says what to change."""


class Answers(dict[str, list[Way]]):
    """What anybody at a known place is offered: worked out when it is first asked for, then looked up."""

    def __init__(self, ask: Callable[[str], list[Way]]) -> None:
        self._ask = ask

    def __missing__(self, place: str) -> list[Way]:
        self[place] = found = self._ask(place)
        return found


@dataclass(frozen=True, slots=True)
class Routes:
    """A router, and its answers for known places; until the next version."""

    router: Router
    known: Answers


class Network:
    """All access points, places and apps' choices."""

    def __init__(
        self,
        access_points: Mapping[str, AccessPoint],
        places: Mapping[str, type_coordinates],
        latency: LatencyTable,
        *,
        new_router: type[Router] = Router,
    ) -> None:
        """Raises ValueError where the latency table names what there is not: a misspelt row must not go unnoticed."""
        self.version = 1
        self.latency = latency
        self.points = access_points
        self.on_change: list[Callable[[str, Health], None]] = []
        """Called with an access point's code when its health has changed."""
        self._new_router = new_router
        self._ranking = Ranking(access_points.values())
        self._health = dict.fromkeys(sorted(access_points), Health())
        self._choices: dict[int, Choice] = {}
        self._routes: dict[Choice, Routes] = {}
        self._places = {name.casefold(): Place(name, *coordinates) for name, coordinates in places.items()}
        self._check_latency_table()
        self._rank_places()

    def _check_latency_table(self) -> None:
        known = {place.name for place in self._places.values()}
        for place, row in self.latency.measured.items():
            if place not in known or not row.keys() <= self._health.keys():
                message = f"the latency table names a place or an access point that is not known: {place}, {[*row]}"
                raise ValueError(message)

    def _rank_places(self) -> None:
        self._rows = {place.name: row for row, place in enumerate(self._places.values())}
        coordinates = np.array([place[1:] for place in self._places.values()]).reshape(-1, 2)
        self._batch = BatchRanking(self._ranking)
        self._keys = self._batch.keys(coordinates[:, 0], coordinates[:, 1])

    # --- places -----------------------------------------------------------------------------------

    def place(self, country: str, city: str = "") -> Place | None:
        """A known place, in any case of letters; None where there is none of that name."""
        return self._places.get((f"{country}/{city}" if city else country).casefold())

    def ways(self, place: Place | None) -> list[Way]:
        """To every access point, the nearest first; by code for a client that has not said where it is.

        Raises ValueError for coordinates that are no place on earth.
        """
        if place is None:
            return [Way(point) for point in self._ranking.points]
        row = self._rows.get(place.name)
        keys = self._keys[row].tolist() if row is not None else self._ranking.keys(place.latitude, place.longitude)
        points, model = self._ranking.points, self.latency.model
        count, base_ms, ms_per_km = len(points), model.base_ms, model.ms_per_km
        # A named tuple's own constructor takes twice as long as all the rest of this.
        ways = [
            _new(Way, (points[key % count], km := key // count / M_PER_KM, base_ms + ms_per_km * km)) for key in keys
        ]
        if measured := self.latency.measured_at(place.name):
            return [way._replace(latency_ms=measured.get(way.point.code, way.latency_ms)) for way in ways]
        return ways

    def distances(self, places: Sequence[Place]) -> list[Distances]:
        """What `ways` says of places without a name, for those in a hurry.

        Many at once are far cheaper than one after the other, and a few are not.
        """
        count, model = len(self.points), self.latency.model
        if len(places) < PLACES_AT_ONCE_MIN:
            keys = np.array([self._ranking.keys(place.latitude, place.longitude) for place in places])
        else:
            coordinates = np.array([place[1:] for place in places])
            keys = self._batch.keys(coordinates[:, 0], coordinates[:, 1])
        metres = keys // count
        km = metres / M_PER_KM
        ms = model.base_ms + model.ms_per_km * km
        return list(map(Distances, (keys - metres * count).tolist(), km.tolist(), ms.tolist()))

    # --- routing ----------------------------------------------------------------------------------

    def routes(self, choice: Choice) -> Routes:
        found = self._routes.get(choice)
        if found is None:
            router = self._new_router(dict(self._health), choice)
            found = self._routes[choice] = Routes(router, Answers(lambda name: self._answer(router, name)))
        return found

    def route(self, choice: Choice, place: Place | None, client: Client) -> list[Way]:
        """The offered points, the best first. Raises NoPlaceError, and ValueError as `ways` does."""
        routes = self.routes(choice)
        if place is not None and client == ANYBODY and place.name in self._rows:
            return routes.known[place.name]
        return routes.router.route(self.ways(place), client)

    def _answer(self, router: Router, name: str) -> list[Way]:
        return router.route(self.ways(self._places[name.casefold()]))

    # --- states and choices -----------------------------------------------------------------------

    def health(self, code: str) -> Health:
        """Raises KeyError where there is no such point."""
        return self._health[code]

    def set_health(self, code: str, *, state: State | None = None, capacity: float | None = None) -> Health:
        """Raises KeyError and NetworkRefusedError. `capacity` is a part of 1, kept in whole percent."""
        old = new = self._health[code]
        if state is not None:
            new = replace(new, state=state)
        if capacity is not None:
            if not 0 <= capacity <= 1:
                message = f"a capacity is 0 to 1, not {capacity}"
                raise NetworkRefusedError(message)
            new = replace(new, capacity_percent=round(capacity * 100))
        if new != old:
            self._health[code] = new
            self._advance()
            for tell in self.on_change:
                tell(code, new)
        return new

    def choice(self, sdkappid: int) -> Choice:
        return self._choices.get(sdkappid, Choice())

    def choose(self, sdkappid: int, choice: Choice) -> None:
        """Raises NetworkRefusedError."""
        if unknown := choice.pin - set(self._health):
            message = f"there is no access point {', '.join(map(repr, sorted(unknown)))}"
            raise NetworkRefusedError(message)
        if not (isfinite(choice.hysteresis_ms) and choice.hysteresis_ms >= 0):
            message = f"a hysteresis is 0 ms or more, not {choice.hysteresis_ms}"
            raise NetworkRefusedError(message)
        if choice != self.choice(sdkappid):
            self._choices[sdkappid] = choice
            self._advance()

    def reach(self, version: int) -> None:
        """Another server process has come to this version."""
        self.version = max(self.version, version)

    def restore(self, version: int, health: Mapping[str, Health], choices: Mapping[int, Choice]) -> None:
        """Go on where an earlier server was."""
        self.version = version
        self._health |= health
        self._choices |= choices
        self._routes.clear()

    def _advance(self) -> None:
        self.version += 1
        self._routes.clear()


def measured_round_trips(path: Path) -> dict[str, dict[str, float]]:
    """Read a table of columns place, access_point and rtt_ms; places are named as `KR` or `KR/Busan`.

    Raises OSError, and ValueError naming the line that is wrong.
    """
    table: defaultdict[str, dict[str, float]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames is None or not set(_OVERRIDE_COLUMNS) <= set(reader.fieldnames):
            message = f"{path} needs the columns {', '.join(_OVERRIDE_COLUMNS)}"
            raise ValueError(message)
        for row in reader:
            try:
                rtt_ms = float(row["rtt_ms"])
            except (TypeError, ValueError):
                rtt_ms = -1.0
            if not (isfinite(rtt_ms) and rtt_ms >= 0 and row["place"] and row["access_point"]):
                message = f"{path}, line {reader.line_num}: a place, an access point and milliseconds are needed"
                raise ValueError(message)
            table[row["place"]][row["access_point"]] = rtt_ms
    return dict(table)

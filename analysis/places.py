"""Places where users live and where the cloud can be reached, read from the audit's own tables.

Knows coordinates and names. Knows nothing of a run, and does not ask a server: a server's copy is held against these.
"""

import csv
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.prices import Source

UNKNOWN: Final = -1
"""The number of a place that is not in the table."""

_POINTS_FILE: Final = Path(__file__).with_name("access_points.toml")
_PLACES_FILE: Final = Path(__file__).with_name("places.csv")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """Where a login reaches the cloud; degrees, north and east positive."""

    code: str
    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """How long a round trip takes where nobody has measured it."""

    base_ms: float
    fibre_km_per_ms: float
    detour: float

    def round_trips_ms(self, metres: NDArray[np.int64]) -> Floats:
        """Return the round trips over these distances."""
        return self.base_ms + 2 * self.detour / self.fibre_km_per_ms * (metres / 1_000)


@dataclass(frozen=True)
class AccessPoints:
    """The table that a run is judged by, with its sources."""

    points: tuple[AccessPoint, ...]
    """By code, so that a point's number decides ties."""
    model: LatencyModel
    sources: tuple[Source, ...]

    @cached_property
    def number_of(self) -> Mapping[str, int]:
        """The place of each code in `points`."""
        return {point.code: number for number, point in enumerate(self.points)}

    @property
    def codes(self) -> list[str]:
        return [point.code for point in self.points]

    def coordinates(self) -> tuple[Floats, Floats]:
        """Return latitudes and longitudes."""
        return _columns((point.latitude, point.longitude) for point in self.points)

    def with_added(self, stated: Iterable[AccessPoint]) -> "AccessPoints":
        """Take over those of a run's points that this table does not know: the vendor's list is open-ended."""
        added = [point for point in stated if point.code not in self.number_of]
        ordered = sorted((*self.points, *added), key=lambda point: point.code)
        return AccessPoints(tuple(ordered), self.model, self.sources)


@dataclass(frozen=True)
class Places:
    """Cities by country, the most populous of each first; a country alone stands for its first city."""

    names: tuple[tuple[str, str], ...]
    """Country and city."""
    latitudes: Floats
    longitudes: Floats

    def number_of(self, country: str, city: str) -> int:
        """Return the place's number, UNKNOWN where there is none of this name."""
        return self._numbers.get((country, city), UNKNOWN)

    @cached_property
    def _numbers(self) -> Mapping[tuple[str, str], int]:
        numbers = {name: number for number, name in enumerate(self.names)}
        for number, (country, _) in enumerate(self.names):
            numbers.setdefault((country, ""), number)
        return numbers


@cache
def access_points() -> AccessPoints:
    """Return what `access_points.toml` holds."""
    data = tomllib.loads(_POINTS_FILE.read_text(encoding="utf-8"))
    points = [
        AccessPoint(code, row["name"], row["latitude"], row["longitude"])
        for code, row in sorted(data["points"].items())
    ]
    sources = tuple(Source(**source) for source in data["source"])
    return AccessPoints(tuple(points), LatencyModel(**data["model"]), sources)


@cache
def places() -> Places:
    """Return what `places.csv` holds.

    >>> seoul = places().number_of("KR", "")
    >>> places().names[seoul], places().number_of("KR", "Atlantis")
    (('KR', 'Seoul'), -1)
    """
    rows = list(_rows())
    latitudes, longitudes = _columns((float(row["latitude"]), float(row["longitude"])) for row in rows)
    return Places(tuple((row["country"], row["city"]) for row in rows), latitudes, longitudes)


def _rows() -> Iterator[dict[str, str]]:
    with _PLACES_FILE.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _columns(pairs: Iterable[tuple[float, float]]) -> tuple[Floats, Floats]:
    table = np.array(list(pairs), dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]

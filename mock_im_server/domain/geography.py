"""Which access point is nearest to a place on earth.

Knows a sphere and nothing of networks. The vendor says only that a login goes to the nearest access
point or acceleration node (purchase FAQ, 1047/34421); how it chooses is not public. Great-circle
distance is a declared model of ours: it is not a claim about the vendor's routing, and the shortest
way is not always the fastest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import acos, cos, radians, sin
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0088
"""Mean radius R1 of the WGS 84 ellipsoid (IUGG)."""

EARTH_RADIUS_M: Final = EARTH_RADIUS_KM * 1_000
M_PER_KM: Final = 1_000
"""Distances are whole metres: below 0.2 m the arc cosine returns noise, and noise must not break ties."""

type_vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """A place where a login reaches the cloud; degrees, north and east positive."""

    code: str
    name: str
    country: str
    latitude: float
    longitude: float
    data_centre: str = ""
    """Code of the data centre behind it."""


class Ranking:
    """A table of access points, made ready to be asked for many places.

    >>> seoul = AccessPoint("kr", "South Korea", "KR", 37.566, 126.9784)
    >>> tokyo = AccessPoint("jp", "Japan", "JP", 35.6895, 139.69171)
    >>> fukuoka = (33.6, 130.41667)
    >>> [(point.code, round(km)) for point, km in Ranking([tokyo, seoul]).nearest(*fukuoka)]
    [('kr', 539), ('jp', 879)]
    """

    def __init__(self, points: Iterable[AccessPoint]) -> None:
        """Raise ValueError where a code occurs twice or coordinates are out of range."""
        # Ordered by code once: at equal metres the place in this order decides.
        self.points = tuple(sorted(points, key=lambda point: point.code))
        if len({point.code for point in self.points}) < len(self.points):
            message = "two access points have the same code"
            raise ValueError(message)
        self.vectors = tuple(unit_vector(point.latitude, point.longitude) for point in self.points)

    def nearest(self, latitude: float, longitude: float) -> list[tuple[AccessPoint, float]]:
        """All points with their distance in km, nearest first; at equal metres, by code."""
        points, count = self.points, len(self.points)
        return [(points[key % count], key // count / M_PER_KM) for key in self.keys(latitude, longitude)]

    def keys(self, latitude: float, longitude: float) -> list[int]:
        """The same as integers, metres · number of points + index by code: for those who are in a hurry."""
        x, y, z = unit_vector(latitude, longitude)
        try:
            metres = [
                int(EARTH_RADIUS_M * acos(x * to_x + y * to_y + z * to_z) + 0.5) for to_x, to_y, to_z in self.vectors
            ]
        except ValueError:
            # Rounding has carried the product of two unit vectors just past one.
            metres = [metres_apart((x, y, z), vector) for vector in self.vectors]
        # One integer for distance and code sorts faster than a pair, and ties cannot go wrong.
        count = len(metres)
        keys = [distance * count + index for index, distance in enumerate(metres)]
        keys.sort()
        return keys


def nearest(points: Iterable[AccessPoint], latitude: float, longitude: float) -> list[tuple[AccessPoint, float]]:
    """Rank once; who asks for many places keeps a `Ranking`. The order of `points` does not matter."""
    return Ranking(points).nearest(latitude, longitude)


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The great-circle distance on a sphere of the earth's mean radius, to the metre.

    >>> distance_km(0.0, 0.0, 0.0, 180.0)
    20015.114
    """
    apart = metres_apart(unit_vector(latitude, longitude), unit_vector(other_latitude, other_longitude))
    return apart / M_PER_KM


def unit_vector(latitude: float, longitude: float) -> type_vector:
    """Raises ValueError for what is no place on earth."""
    # Written so that NaN fails too; a latitude beyond 90 mostly means swapped arguments.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # noqa: PLR2004 -- degrees of a sphere
        message = f"not a place on earth: latitude {latitude}, longitude {longitude}"
        raise ValueError(message)
    north, east = radians(latitude), radians(longitude)
    return cos(north) * cos(east), cos(north) * sin(east), sin(north)


def metres_apart(vector: type_vector, other: type_vector) -> int:
    """Along the great circle, between two unit vectors."""
    x, y, z = vector
    to_x, to_y, to_z = other
    cosine = x * to_x + y * to_y + z * to_z
    return int(EARTH_RADIUS_M * acos(max(-1.0, min(1.0, cosine))) + 0.5)

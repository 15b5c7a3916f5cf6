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

KM_DECIMALS: Final = 3
"""Distances are whole metres: below 0.2 m the arc cosine returns noise, and noise must not break ties."""


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """A place where a login reaches the cloud; degrees, north and east positive."""

    code: str
    name: str
    country: str
    latitude: float
    longitude: float


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
        # Ordered by code once: sorting by distance is stable, so that ties stay in this order.
        self._points = tuple(
            (point, *_unit_vector(point.latitude, point.longitude))
            for point in sorted(points, key=lambda point: point.code)
        )
        if len({point.code for point, *_ in self._points}) < len(self._points):
            message = "two access points have the same code"
            raise ValueError(message)

    def nearest(self, latitude: float, longitude: float) -> list[tuple[AccessPoint, float]]:
        """All points with their distance in km, nearest first; at equal metres, by code."""
        x, y, z = _unit_vector(latitude, longitude)
        ranked = [
            (point, _km(x * point_x + y * point_y + z * point_z)) for point, point_x, point_y, point_z in self._points
        ]
        ranked.sort(key=_distance)
        return ranked


def nearest(points: Iterable[AccessPoint], latitude: float, longitude: float) -> list[tuple[AccessPoint, float]]:
    """Rank once; who asks for many places keeps a `Ranking`. The order of `points` does not matter."""
    return Ranking(points).nearest(latitude, longitude)


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The great-circle distance on a sphere of the earth's mean radius, to the metre.

    >>> distance_km(0.0, 0.0, 0.0, 180.0)
    20015.114
    """
    x, y, z = _unit_vector(latitude, longitude)
    other_x, other_y, other_z = _unit_vector(other_latitude, other_longitude)
    return _km(x * other_x + y * other_y + z * other_z)


def _unit_vector(latitude: float, longitude: float) -> tuple[float, float, float]:
    # Written so that NaN fails too; a latitude beyond 90 mostly means swapped arguments.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # noqa: PLR2004 -- degrees of a sphere
        message = f"not a place on earth: latitude {latitude}, longitude {longitude}"
        raise ValueError(message)
    north, east = radians(latitude), radians(longitude)
    return cos(north) * cos(east), cos(north) * sin(east), sin(north)


def _km(cosine: float) -> float:
    # Rounding can carry the product of two unit vectors just past one.
    angle = acos(max(-1.0, min(1.0, cosine)))
    return round(EARTH_RADIUS_KM * angle, KM_DECIMALS)


def _distance(ranked: tuple[AccessPoint, float]) -> float:
    return ranked[1]

"""Distances on the globe, and which access point is the nearest."""

import tomllib
from importlib.resources import files
from math import asin, cos, pi, radians, sin, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain.geography import (
    EARTH_RADIUS_KM,
    AccessPoint,
    Ranking,
    distance_km,
    nearest,
)

HALF_GREAT_CIRCLE_KM = pi * EARTH_RADIUS_KM
QUARTER_GREAT_CIRCLE_KM = HALF_GREAT_CIRCLE_KM / 2
ONE_METRE_KM = 0.001

SEOUL = (37.566, 126.978)
TOKYO = (35.690, 139.692)
LONDON = (51.509, -0.126)
NEW_YORK = (40.714, -74.006)
SYDNEY = (-33.868, 151.207)
SAO_PAULO = (-23.548, -46.636)
SINGAPORE = (1.290, 103.850)

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
places = st.tuples(latitudes, longitudes)


def a_point(code: str, latitude: float, longitude: float) -> AccessPoint:
    return AccessPoint(code, code.upper(), "XX", latitude, longitude)


tables = st.dictionaries(st.text("abc", min_size=1, max_size=3), places, max_size=12).map(
    lambda table: [a_point(code, *place) for code, place in table.items()]
)


def haversine_km(place: tuple[float, float], other: tuple[float, float]) -> float:
    """The textbook formula, as a second opinion."""
    (north, east), (other_north, other_east) = map(radians, place), map(radians, other)
    half_chord = sqrt(
        min(
            1.0,
            sin((other_north - north) / 2) ** 2 + cos(north) * cos(other_north) * sin((other_east - east) / 2) ** 2,
        )
    )
    return 2 * EARTH_RADIUS_KM * asin(half_chord)


def vendor_points() -> list[AccessPoint]:
    table = tomllib.loads((files("mock_im_server") / "data" / "access_points.toml").read_text(encoding="utf-8"))
    fields = ("code", "name", "country", "latitude", "longitude")
    return [AccessPoint(*(row[field] for field in fields)) for row in table["access_points"]]


@pytest.mark.parametrize(
    ("place", "other", "known_km"),
    [
        (SEOUL, TOKYO, 1_150),
        (LONDON, NEW_YORK, 5_570),
        (SINGAPORE, SYDNEY, 6_300),
        (LONDON, SINGAPORE, 10_850),
        (TOKYO, SAO_PAULO, 18_530),
    ],
)
def test_known_distances_agree_within_one_percent(
    place: tuple[float, float], other: tuple[float, float], known_km: float
) -> None:
    assert distance_km(*place, *other) == pytest.approx(known_km, rel=0.01)


@given(places, places)
def test_the_distance_is_the_haversine_distance(place: tuple[float, float], other: tuple[float, float]) -> None:
    assert distance_km(*place, *other) == pytest.approx(haversine_km(place, other), abs=2 * ONE_METRE_KM)


@given(places)
def test_a_place_is_at_no_distance_from_itself(place: tuple[float, float]) -> None:
    assert distance_km(*place, *place) == 0.0


@given(latitudes, st.floats(-180, 0))
def test_antipodes_are_half_a_great_circle_apart(latitude: float, longitude: float) -> None:
    apart = distance_km(latitude, longitude, -latitude, longitude + 180)
    assert apart == pytest.approx(HALF_GREAT_CIRCLE_KM, abs=ONE_METRE_KM)


@given(places, latitudes)
def test_both_sides_of_the_date_line_are_one_meridian(place: tuple[float, float], latitude: float) -> None:
    east = distance_km(*place, latitude, 180.0)
    assert east == pytest.approx(distance_km(*place, latitude, -180.0), abs=ONE_METRE_KM)


def test_the_way_across_the_date_line_is_the_short_one() -> None:
    fiji, samoa = a_point("fj", -18.0, 179.5), a_point("ws", -13.8, -171.8)
    ranked = nearest([samoa, fiji], -18.0, -179.5)
    assert [point.code for point, _ in ranked] == ["fj", "ws"]
    assert ranked[0][1] == pytest.approx(105.8, abs=0.1)


@given(longitudes, longitudes)
def test_at_a_pole_the_longitude_means_nothing(longitude: float, other: float) -> None:
    assert distance_km(90.0, longitude, 90.0, other) == 0.0
    assert distance_km(-90.0, longitude, 0.0, other) == pytest.approx(QUARTER_GREAT_CIRCLE_KM, abs=ONE_METRE_KM)


@given(tables, st.randoms(use_true_random=False), places)
def test_the_order_of_the_table_does_not_matter(
    points: list[AccessPoint], random: Random, place: tuple[float, float]
) -> None:
    shuffled = list(points)
    random.shuffle(shuffled)
    assert nearest(shuffled, *place) == nearest(points, *place)


@pytest.mark.holds("F4")
@given(tables, places)
def test_every_point_is_ranked_once_by_its_distance_then_by_its_code(
    points: list[AccessPoint], place: tuple[float, float]
) -> None:
    ranked = nearest(points, *place)
    assert {point for point, _ in ranked} == set(points)
    assert ranked == sorted(ranked, key=lambda pair: (pair[1], pair[0].code))
    assert all(km == distance_km(*place, point.latitude, point.longitude) for point, km in ranked)


@given(tables.filter(bool), places, st.data())
def test_taking_a_point_away_moves_only_those_it_served(
    points: list[AccessPoint], place: tuple[float, float], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(points))
    remaining = [pair for pair in nearest(points, *place) if pair[0] != gone]
    assert nearest([point for point in points if point != gone], *place) == remaining


@given(st.floats(-89, 89), st.floats(0.1, 80))
def test_points_equally_far_away_are_ranked_by_code(latitude: float, degrees: float) -> None:
    west, east = a_point("b", latitude, -degrees), a_point("a", latitude, degrees)
    assert [point.code for point, _ in nearest([west, east], latitude, 0.0)] == ["a", "b"]


def test_points_in_one_place_are_ranked_by_code() -> None:
    twins = [a_point(code, *SINGAPORE) for code in ("sg-2", "sg", "sg-1")]
    ranked = nearest(twins, *SINGAPORE)
    assert [(point.code, km) for point, km in ranked] == [
        ("sg", 0.0),
        ("sg-1", 0.0),
        ("sg-2", 0.0),
    ]


def test_a_user_in_the_city_of_an_access_point_is_served_there() -> None:
    points = vendor_points()
    ranking = Ranking(points)
    for point in points:
        assert ranking.nearest(point.latitude, point.longitude)[0] == (point, 0.0)


def test_without_access_points_nothing_is_near() -> None:
    assert nearest([], *SEOUL) == []


def test_a_code_may_occur_only_once() -> None:
    with pytest.raises(ValueError, match="same code"):
        Ranking([a_point("sg", *SINGAPORE), a_point("sg", *SEOUL)])


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(90.1, 0.0), (-90.1, 0.0), (0.0, 180.1), (0.0, -180.1), (float("nan"), 0.0), (126.9, 37.5)],
)
def test_what_is_no_place_on_earth_is_refused(latitude: float, longitude: float) -> None:
    with pytest.raises(ValueError, match="not a place on earth"):
        nearest([], latitude, longitude)

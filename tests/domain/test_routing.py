"""Which access points are offered, in which order, and why."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import asin, atan2, cos, degrees, radians, sin
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mock_im_server.domain.capacity import Health, State, bands, shares
from mock_im_server.domain.geography import AccessPoint, Ranking
from mock_im_server.domain.latency import LatencyModel, LatencyTable
from mock_im_server.domain.routing import Choice, Client, NoPlaceError, Policy, Router, Way

MODEL = LatencyModel(base_ms=10.0, fibre_km_per_ms=200.0, detour=2.2, jitter_sigma=0.1)
SEOUL = (37.566, 126.978)
CODES = "abcdefg"
USERS = [f"user_{number:07d}" for number in range(500)]

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
places = st.tuples(latitudes, longitudes)
tables = st.dictionaries(st.sampled_from(CODES), places, min_size=1).map(
    lambda table: [AccessPoint(code, code.upper(), "XX", *place) for code, place in table.items()]
)
healths = st.fixed_dictionaries(
    {code: st.builds(Health, st.sampled_from(State), st.integers(0, 100)) for code in CODES}
)
probes = st.dictionaries(st.sampled_from(CODES), st.none() | st.floats(0, 400))
clients = st.builds(Client, user_id=st.sampled_from(["", *USERS]), probes=probes)
choices = st.builds(
    Choice,
    policy=st.sampled_from(Policy),
    pin=st.frozensets(st.sampled_from(CODES)),
    hysteresis_ms=st.floats(0, 100),
)


class Situation(NamedTuple):
    """Everything that an answer depends on."""

    points: list[AccessPoint]
    health: dict[str, Health]
    choice: Choice
    client: Client
    place: tuple[float, float]

    @property
    def ways(self) -> list[Way]:
        return ways_from(self.place, self.points)

    def route(self, **health: Health) -> str:
        return codes(Router(self.health | health, self.choice).route(self.ways, self.client))


situations = st.builds(Situation, tables, healths, choices, clients, places)


def ways_from(place: tuple[float, float], points: list[AccessPoint], name: str = "") -> list[Way]:
    table = LatencyTable(MODEL)
    return [Way(point, km, table.round_trip_ms(name, point.code, km)) for point, km in Ranking(points).nearest(*place)]


def all_up(points: str = CODES) -> dict[str, Health]:
    return {code: Health() for code in points}


def a_line(distances_km: Mapping[str, float]) -> list[Way]:
    """Ways whose length is what matters."""
    ways = [
        Way(AccessPoint(code, code.upper(), "XX", 0.0, 0.0), km, MODEL.round_trip_ms(km))
        for code, km in distances_km.items()
    ]
    return sorted(ways, key=lambda way: (way.distance_km, way.point.code))


ABC = a_line({"a": 100.0, "b": 200.0, "c": 300.0})


def codes(ways: list[Way]) -> str:
    return "".join(way.point.code for way in ways)


def turned(place: tuple[float, float], by: float, tilt: float) -> tuple[float, float]:
    """A rotation of the globe: about its axis, then about an axis in the equator's plane."""
    north, east = radians(place[0]), radians(place[1] + by)
    x, y, z = cos(north) * cos(east), cos(north) * sin(east), sin(north)
    y, z = y * cos(radians(tilt)) - z * sin(radians(tilt)), y * sin(radians(tilt)) + z * cos(radians(tilt))
    return degrees(asin(max(-1.0, min(1.0, z)))), degrees(atan2(y, x))


# --- the globe --------------------------------------------------------------------------------------


@given(situations, st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(situation: Situation, random: Random) -> None:
    shuffled = list(situation.points)
    random.shuffle(shuffled)
    assert situation._replace(points=shuffled).route() == situation.route()


@given(tables, places, longitudes, longitudes)
def test_turning_the_globe_changes_nothing(
    points: list[AccessPoint], place: tuple[float, float], by: float, tilt: float
) -> None:
    ways = ways_from(place, points)
    distances = [way.distance_km or 0.0 for way in ways]
    # Ten metres are far more than rotation loses; what is nearer than that to a tie may fall either way.
    assume(all(further - nearer > 0.01 for nearer, further in pairwise(distances)))
    moved = [
        replace(point, latitude=latitude, longitude=longitude)
        for point in points
        for latitude, longitude in [turned((point.latitude, point.longitude), by, tilt)]
    ]
    after = ways_from(turned(place, by, tilt), moved)
    router = Router(all_up(), Choice())
    assert codes(router.route(after)) == codes(router.route(ways))
    assert [way.distance_km for way in after] == [pytest.approx(km, abs=0.005) for km in distances]


@given(tables, latitudes)
def test_both_sides_of_the_date_line_are_one_place(points: list[AccessPoint], latitude: float) -> None:
    east = {way.point.code: way.distance_km for way in ways_from((latitude, 180.0), points)}
    for way in ways_from((latitude, -180.0), points):
        assert way.distance_km == pytest.approx(east[way.point.code], abs=0.0015)


@given(tables, longitudes, longitudes)
def test_at_a_pole_the_most_polar_point_is_first_wherever_one_looks(
    points: list[AccessPoint], longitude: float, other: float
) -> None:
    ranked = ways_from((90.0, longitude), points)
    assert [way.distance_km for way in ranked] == [
        pytest.approx(way.distance_km, abs=0.0015) for way in ways_from((90.0, other), points)
    ]
    assert ranked[0].point.latitude == pytest.approx(max(point.latitude for point in points), abs=1e-4)


@given(tables, latitudes, st.floats(-180, 0))
def test_from_the_antipode_the_order_is_the_other_way_round(
    points: list[AccessPoint], latitude: float, longitude: float
) -> None:
    ways = ways_from((latitude, longitude), points)
    distances = [way.distance_km or 0.0 for way in ways]
    assume(all(further - nearer > 0.01 for nearer, further in pairwise(distances)))
    assert codes(ways_from((-latitude, longitude + 180), points)) == codes(ways)[::-1]


@given(st.floats(-80, 80), st.floats(0.1, 80), st.sampled_from([Policy.GREAT_CIRCLE, Policy.LATENCY_TABLE]))
def test_points_equally_far_away_are_offered_by_code(latitude: float, apart: float, policy: Policy) -> None:
    west, east = AccessPoint("b", "B", "XX", latitude, -apart), AccessPoint("a", "A", "XX", latitude, apart)
    ways = ways_from((latitude, 0.0), [west, east])
    assert codes(Router(all_up(), Choice(policy)).route(ways)) == "ab"


# --- policies ---------------------------------------------------------------------------------------


def test_great_circle_ranks_by_distance_whatever_was_measured() -> None:
    router = Router(all_up(), Choice(Policy.GREAT_CIRCLE))
    assert codes(router.route(ABC, Client(probes={"c": 1.0}))) == "abc"


def test_the_latency_table_ranks_by_what_stands_there() -> None:
    ways = [way._replace(latency_ms=latency) for way, latency in zip(ABC, (50.0, 30.0, 40.0), strict=True)]
    assert codes(Router(all_up(), Choice(Policy.LATENCY_TABLE)).route(ways)) == "bca"


@pytest.mark.parametrize(
    ("measured", "order"),
    [
        ({"a": 30.0, "b": 20.0, "c": 10.0}, "cba"),
        ({"a": 20.0, "b": 20.0, "c": 20.0}, "abc"),
        ({"c": 300.0}, "cab"),
        ({"b": 90.0, "a": None}, "bca"),
        ({"a": None, "b": None, "c": None}, "abc"),
        ({"elsewhere": 1.0}, "abc"),
        ({}, "abc"),
    ],
)
def test_measured_points_go_first_then_unmeasured_ones_then_those_that_did_not_answer(
    measured: dict[str, float | None], order: str
) -> None:
    router = Router(all_up(), Choice(Policy.CLIENT_PROBE))
    assert codes(router.route(ABC, Client(probes=measured))) == order


def test_a_client_that_probes_need_not_say_where_it_is() -> None:
    nowhere = [Way(way.point) for way in ABC]
    router = Router(all_up(), Choice(Policy.CLIENT_PROBE))
    assert codes(router.route(nowhere, Client(probes={"b": 10.0}))) == "bac"


@pytest.mark.parametrize("policy", [Policy.GREAT_CIRCLE, Policy.LATENCY_TABLE])
def test_other_policies_need_a_place(policy: Policy) -> None:
    with pytest.raises(NoPlaceError, match="say where the client is"):
        Router(all_up(), Choice(policy)).route([Way(way.point) for way in ABC])


@pytest.mark.parametrize("policy", Policy)
def test_without_points_nothing_is_offered(policy: Policy) -> None:
    assert Router({}, Choice(policy)).route([], Client(probes={"a": 1.0}, current="a")) == []


# --- hysteresis -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "first"),
    [
        ({"a": 20.0, "b": 30.0}, "b"),
        ({"a": 20.0, "b": 30.1}, "a"),
        ({"a": 20.0}, "a"),
        ({"a": 20.0, "b": None}, "a"),
        ({"a": None}, "b"),
    ],
)
def test_a_client_stays_until_another_point_is_faster_by_more_than_the_hysteresis(
    measured: dict[str, float | None], first: str
) -> None:
    router = Router(all_up(), Choice(Policy.CLIENT_PROBE, hysteresis_ms=10.0))
    assert codes(router.route(ABC, Client(probes=measured, current="b")))[0] == first


def test_only_what_is_measured_is_kept() -> None:
    assert codes(Router(all_up(), Choice(Policy.GREAT_CIRCLE)).route(ABC, Client(probes={"b": 1.0}, current="b"))) == (
        "abc"
    )


def test_a_point_that_is_lost_is_not_kept() -> None:
    router = Router(all_up() | {"b": Health(State.DOWN)}, Choice(Policy.CLIENT_PROBE))
    assert codes(router.route(ABC, Client(probes={"a": 12.0, "b": 10.0}, current="b"))) == "ac"


def test_room_comes_before_keeping() -> None:
    health = all_up() | {"b": Health(capacity_percent=0)}
    router = Router(health, Choice(Policy.CLIENT_PROBE))
    assert codes(router.route(ABC, Client(probes={"a": 12.0, "b": 10.0}, current="b"))) == "acb"


@given(
    healths,
    st.sampled_from(["", *USERS]),
    st.lists(st.fixed_dictionaries({code: st.floats(50, 60) for code in "abc"}), min_size=2, max_size=8),
)
def test_round_trips_that_waver_within_the_hysteresis_move_nobody(
    health: dict[str, Health], user_id: str, measurements: list[dict[str, float | None]]
) -> None:
    router = Router(health, Choice(Policy.CLIENT_PROBE, hysteresis_ms=10.0))
    visited = []
    current = ""
    for measured in measurements:
        offered = router.route(ABC, Client(user_id, measured, current))
        assume(offered)
        current = offered[0].point.code
        visited.append(current)
    assert len(set(visited)) == 1


# --- health, capacity, residency --------------------------------------------------------------------


@given(situations)
def test_what_is_offered_is_up_and_allowed_and_nothing_else_is_left_out(situation: Situation) -> None:
    assert sorted(situation.route()) == sorted(
        point.code
        for point in situation.points
        if situation.health[point.code].is_up and situation.choice.allows(point.code)
    )


@given(situations, st.sampled_from(CODES), st.sampled_from([State.DOWN, State.DRAINING]))
def test_losing_a_point_strikes_it_from_each_list_and_restoring_it_restores_exactly(
    situation: Situation, lost: str, state: State
) -> None:
    up = replace(situation.health[lost], state=State.UP)
    before = situation.route(**{lost: up})
    assert situation.route(**{lost: replace(up, state=state)}) == before.replace(lost, "")


@given(healths, st.sampled_from(CODES))
def test_everybody_is_served_by_one_point_and_only_users_of_a_lost_point_move(
    health: dict[str, Health], lost: str
) -> None:
    ways = a_line({code: 100.0 * index for index, code in enumerate(CODES)})
    up = health | {lost: replace(health[lost], state=State.UP)}
    full, short = Router(up, Choice()), Router(up | {lost: replace(up[lost], state=State.DOWN)}, Choice())
    for user_id in USERS[:50]:
        before, after = full.route(ways, Client(user_id)), short.route(ways, Client(user_id))
        assert before, "at least the lost point was up before"
        if before[0].point.code != lost:
            assert after[0] == before[0]


def test_half_the_capacity_keeps_seven_users_in_ten() -> None:
    router = Router(all_up() | {"a": Health(capacity_percent=50)}, Choice())
    firsts = [codes(router.route(ABC, Client(user_id)))[0] for user_id in USERS]
    assert firsts.count("a") / len(USERS) == pytest.approx(0.7, abs=0.06)
    assert set(firsts) == {"a", "b"}
    assert router.shares(ABC) == {"a": 70, "b": 30, "c": 0}


@given(st.fixed_dictionaries({code: st.none() | st.integers(0, 100) for code in CODES}))
def test_while_only_points_of_full_capacity_are_down_shares_are_envoys(capacities: dict[str, int | None]) -> None:
    ways = a_line({code: 100.0 * index for index, code in enumerate(CODES)})
    health = {
        code: Health(State.DOWN) if capacity is None else Health(capacity_percent=capacity)
        for code, capacity in capacities.items()
    }
    up = [code for code in CODES if health[code].is_up]
    envoys = shares(bands([health[code].score for code in up]))
    assert Router(health, Choice()).shares(ways) == dict(zip(up, envoys, strict=True))


def test_nobody_in_particular_is_offered_the_nearest_point_that_has_any_room() -> None:
    health = all_up() | {"a": Health(capacity_percent=0), "b": Health(capacity_percent=1)}
    assert codes(Router(health, Choice()).route(ABC)) == "bca"


def test_outside_the_pin_nothing_is_offered_even_when_all_else_is_lost() -> None:
    health = all_up() | {"b": Health(State.DOWN)}
    assert Router(health, Choice(pin=frozenset("b"))).route(ABC) == []
    assert Router(health, Choice(pin=frozenset("b"))).shares(ABC) == {}


@given(situations)
def test_shares_of_a_place_are_a_hundred_percent_in_all(situation: Situation) -> None:
    percent = Router(situation.health, situation.choice).shares(situation.ways, situation.client)
    assert sum(percent.values()) == (100 if any(situation.health[code].score for code in percent) else 0)


# --- reasons ----------------------------------------------------------------------------------------


def test_every_point_is_explained() -> None:
    health = all_up() | {"b": Health(State.DOWN), "c": Health(State.DRAINING), "d": Health(capacity_percent=25)}
    ways = a_line({"a": 400.0, "b": 100.0, "c": 200.0, "d": 300.0, "e": 50.0})
    router = Router(health, Choice(pin=frozenset("abcd")))
    told = [
        (candidate.way.point.code, candidate.rank, candidate.share_percent, candidate.is_allowed, candidate.reason)
        for candidate in router.explain(ways, Client("user_0000001"))
    ]
    assert told == [
        ("a", 1, 65, True, "400 km away"),
        ("d", 2, 35, True, "at 25 % capacity it has no room for users like number 50; 300 km away"),
        ("e", None, 0, False, "not in the app's pin; 50 km away"),
        ("b", None, 0, True, "down; 100 km away"),
        ("c", None, 0, True, "draining; 200 km away"),
    ]


def test_reasons_name_what_a_policy_ranks_by() -> None:
    client = Client(probes={"a": 31.4, "b": None}, current="a")
    assert [one.reason for one in Router(all_up(), Choice(Policy.LATENCY_TABLE)).explain(ABC)] == [
        "12.2 ms by the latency table",
        "14.4 ms by the latency table",
        "16.6 ms by the latency table",
    ]
    assert [one.reason for one in Router(all_up(), Choice(Policy.CLIENT_PROBE)).explain(ABC, client)] == [
        "31.4 ms measured by the client",
        "not measured by the client",
        "did not answer the client",
    ]


def test_a_point_that_is_kept_says_so() -> None:
    client = Client(probes={"a": 20.0, "b": 25.0}, current="b")
    first, *_ = Router(all_up(), Choice(Policy.CLIENT_PROBE)).explain(ABC, client)
    assert first.reason == "25.0 ms measured by the client; kept: a is not faster by more than the hysteresis"


def test_nobody_in_particular_has_room_nowhere_where_there_is_none() -> None:
    *_, last = Router(all_up() | {"a": Health(capacity_percent=0)}, Choice()).explain(ABC)
    assert last.reason == "at 0 % capacity it has no room for anybody; 100 km away"


@given(situations)
def test_an_explanation_ranks_what_is_offered_and_then_names_the_rest(situation: Situation) -> None:
    told = Router(situation.health, situation.choice).explain(situation.ways, situation.client)
    offered = situation.route()
    assert codes([one.way for one in told if one.rank]) == offered
    assert sorted(one.way.point.code for one in told) == sorted(point.code for point in situation.points)
    assert [one.rank for one in told if one.rank] == list(range(1, len(offered) + 1))

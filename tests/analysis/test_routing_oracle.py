"""The oracle: Envoy's numbers, the properties of a nearest point, and agreement with the server's own ranking."""

import random
from collections import Counter
from math import cos, radians, sin
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.places import AccessPoint, AccessPoints, access_points, places
from analysis.routing_oracle import (
    GREAT_CIRCLE,
    LATENCY_TABLE,
    NOWHERE,
    POLICIES,
    Choice,
    Health,
    Measured,
    Oracle,
    Questions,
    metres_apart,
)
from mock_im_server import catalogue
from mock_im_server.domain import routing
from mock_im_server.domain.capacity import State
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.network import Network, Place

OURS = access_points()
SERVER = catalogue.load()
USERS = [f"user_{number:07}" for number in range(2_000)]
LATITUDES = st.floats(-90, 90).map(lambda degrees: round(degrees, 4))
LONGITUDES = st.floats(-180, 180).map(lambda degrees: round(degrees, 4))
PLACES = st.tuples(LATITUDES, LONGITUDES)
TABLES = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), PLACES, min_size=1, max_size=12)


def a_table(points: dict[str, tuple[float, float]]) -> AccessPoints:
    ordered = [AccessPoint(code, code, *points[code]) for code in sorted(points)]
    return AccessPoints(tuple(ordered), OURS.model, ())


def states(table: AccessPoints = OURS, *, down: Any = (), capacity: dict[str, int] | None = None) -> Health:
    return Health(
        np.array([code not in down for code in table.codes]),
        np.array([(capacity or {}).get(code, 100) for code in table.codes]),
    )


def routed(
    table: AccessPoints, place: tuple[float, float], health: Health, choice: Any = None, users: Any = USERS
) -> list[str]:
    """Where the users of one place go."""
    oracle = Oracle(table, [("", *place)], choice or Choice(GREAT_CIRCLE))
    rows = np.arange(len(users))
    found = oracle.routed(Questions(np.zeros_like(rows), np.zeros_like(rows), rows), [health], users)
    return [table.codes[number] if number != NOWHERE else "" for number in found.tolist()]


# --- Envoy's published numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacities", "percent"),
    [
        ((100, 100), (100, 0)),
        ((72, 100), (100, 0)),
        ((71, 100), (99, 1)),
        ((50, 100), (70, 30)),
        ((50, 50), (70, 30)),
        ((25, 100), (35, 65)),
        ((25, 25), (50, 50)),
        ((0, 100), (0, 100)),
        ((100, 100, 100), (100, 0, 0)),
        ((71, 71, 100), (99, 1, 0)),
        ((50, 50, 100), (70, 30, 0)),
        ((25, 100, 100), (35, 65, 0)),
        ((25, 25, 100), (35, 35, 30)),
        ((25, 25, 20), (36, 36, 28)),
    ],
)
def test_users_spill_over_as_envoy_publishes_it(capacities: tuple[int, ...], percent: tuple[int, ...]) -> None:
    # From the place at the first point the others lie farther and farther away.
    table = a_table({f"p{number}": (0.0, 10.0 * number) for number in range(len(capacities))})
    health = states(table, capacity={f"p{number}": value for number, value in enumerate(capacities)})
    users = [f"user {number}" for number in range(20_000)]
    found = Counter(routed(table, (0.0, 0.0), health, users=users))
    for number, share in enumerate(percent):
        assert found[f"p{number}"] / 200 == pytest.approx(share, abs=1.2)


# --- properties of a nearest point -----------------------------------------------------------------------------


@given(TABLES, PLACES, st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(
    points: dict[str, tuple[float, float]], place: tuple[float, float], chance: random.Random
) -> None:
    shuffled = list(points)
    chance.shuffle(shuffled)
    empty = AccessPoints((), OURS.model, ())
    joined = empty.with_added(AccessPoint(code, code, *points[code]) for code in shuffled)
    assert routed(joined, place, states(joined), users=["u"]) == routed(
        a_table(points), place, states(a_table(points)), users=["u"]
    )


@given(TABLES, PLACES, st.integers(-180, 180))
def test_turning_the_globe_changes_nobodys_point(
    points: dict[str, tuple[float, float]], place: tuple[float, float], turn: int
) -> None:
    def turned(at: tuple[float, float]) -> tuple[float, float]:
        return at[0], (at[1] + turn + 180) % 360 - 180

    before, after = a_table(points), a_table({code: turned(at) for code, at in points.items()})
    (first,) = routed(before, place, states(before), users=["u"])
    (second,) = routed(after, turned(place), states(after), users=["u"])
    if first != second:
        # Rounding may break a tie of whole metres either way, and nothing else may differ.
        apart = metres_apart(*(np.array([value]) for value in place), *before.coordinates())[0]
        assert abs(apart[before.number_of[first]] - apart[before.number_of[second]]) <= 1


@given(LATITUDES, LONGITUDES)
def test_both_names_of_the_date_line_and_all_names_of_a_pole_are_one_place(latitude: float, longitude: float) -> None:
    for one, other in (((latitude, 180.0), (latitude, -180.0)), ((90.0, longitude), (90.0, 0.0))):
        assert routed(OURS, one, states(), users=["u"]) == routed(OURS, other, states(), users=["u"])
        zero = np.array([[0.0]])
        assert metres_apart(*(np.array([v]) for v in one), *(np.array([v]) for v in other)) == zero


@given(PLACES)
def test_the_antipode_is_half_way_round(place: tuple[float, float]) -> None:
    latitude, longitude = place
    far = -latitude, longitude - 180 if longitude > 0 else longitude + 180
    assert metres_apart(*(np.array([v]) for v in place), *(np.array([v]) for v in far)) == 20_015_114
    table = a_table({"far": far, "near": place})
    assert routed(table, place, states(table), users=["u"]) == ["near"]


@given(LATITUDES, LONGITUDES, st.floats(0.001, 179))
def test_at_equal_distance_the_first_code_wins(latitude: float, longitude: float, apart: float) -> None:
    assert _mirrored((0.0, longitude), (latitude, longitude), (-latitude, longitude)) == ["a"]
    east, west = (0.0, apart), (0.0, -apart)
    assert _mirrored((latitude, 0.0), east, west) == ["a"]
    assert _mirrored((latitude, 0.0), west, east) == ["a"]


def _mirrored(place: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> list[str]:
    table = a_table({"a": a, "b": b})
    return routed(table, place, states(table), users=["u"])


CAPACITIES = st.dictionaries(st.sampled_from(OURS.codes), st.integers(0, 100), max_size=8)


@settings(max_examples=40)
@given(PLACES, CAPACITIES, st.sampled_from(OURS.codes), st.sampled_from((GREAT_CIRCLE, LATENCY_TABLE)))
def test_a_point_that_is_lost_moves_its_own_users_and_nobody_else(
    place: tuple[float, float], capacity: dict[str, int], lost: str, policy: str
) -> None:
    choice, some = Choice(policy), USERS[:200]
    before = routed(OURS, place, states(capacity=capacity), choice, some)
    after = routed(OURS, place, states(down={lost}, capacity=capacity), choice, some)
    assert all(one == other for one, other in zip(before, after, strict=True) if one != lost)
    assert lost not in after


def test_nobody_is_sent_beyond_the_pin() -> None:
    health = states(down={"de", "fr"})
    assert set(routed(OURS, (48.1, 11.6), health, Choice(GREAT_CIRCLE, frozenset({"de", "es"})))) == {"es"}
    assert set(routed(OURS, (48.1, 11.6), health, Choice(GREAT_CIRCLE, frozenset({"de", "fr"})))) == {""}


# --- the server's own ranking --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_oracle_and_server_agree_at_places_of_all_sorts_under_all_states(policy: str, seed: int) -> None:
    chance = random.Random(seed)
    names = chance.sample([f"{country}/{city}" for country, city in places().names if city], 60)
    known = [(name, *SERVER.cities[name]) for name in names]
    anywhere = [("", *_anywhere(chance)) for _ in range(60)]
    codes = OURS.codes
    table = {name: {code: chance.uniform(5, 300) for code in chance.sample(codes, 5)} for name in names[:20]}
    probes: dict[str, dict[str, float | None]] = {
        name: {code: chance.choice([None, round(chance.uniform(5, 300), 1)]) for code in chance.sample(codes, 8)}
        for name in names[:40]
    }
    network = Network(SERVER.access_points, {**SERVER.cities}, LatencyTable(SERVER.latency_model, table))
    pin = frozenset(chance.sample(codes, 20))
    healths = [_disturbed(network, chance, pin) for _ in range(2)]
    oracle = Oracle(OURS, [*known, *anywhere], Choice(policy, pin), Measured(table, probes))
    asked = [
        (place, user) for place in range(len(known) + len(anywhere)) for user in chance.sample(range(len(USERS)), 4)
    ]
    place, user = np.array(asked).T
    last = np.ones_like(place)
    found = oracle.routed(Questions(place, last, user), healths, USERS)
    choice = routing.Choice(routing.Policy(policy), pin)
    for (at, number), point in zip(asked, found.tolist(), strict=True):
        name, *coordinates = [*known, *anywhere][at]
        client = routing.Client(USERS[number], probes.get(name, {}))
        way = network.route(choice, Place(name, *coordinates), client)[0]
        assert way.point.code == codes[point]
        assert way.latency_ms == oracle.latency_ms[at, point]


def _anywhere(chance: random.Random) -> tuple[float, float]:
    """On land and sea, at the poles and along the date line."""
    latitude = chance.choice([90.0, -90.0, 0.0, chance.uniform(-90, 90), chance.uniform(-90, 90)])
    return latitude, chance.choice([180.0, -180.0, chance.uniform(-180, 180), chance.uniform(-180, 180)])


def _disturbed(network: Network, chance: random.Random, pin: frozenset[str]) -> Health:
    codes = sorted(network.points)
    for code in chance.sample(codes, 12):
        network.set_health(code, capacity=chance.choice([0, 0.1, 0.3, 0.5, 0.7, 0.72, 1]))
    for code in codes:
        is_lost = chance.random() < 0.4 and code != min(pin)
        network.set_health(code, state=State.DOWN if is_lost else State.UP)
    healths = [network.health(code) for code in codes]
    return Health(
        np.array([health.is_up for health in healths]), np.array([health.capacity_percent for health in healths])
    )


def test_distances_are_the_ones_on_a_sphere() -> None:
    chance = random.Random(5)
    for _ in range(200):
        one, other = _anywhere(chance), _anywhere(chance)
        x, y = (
            np.array([cos(radians(n)) * cos(radians(e)), cos(radians(n)) * sin(radians(e)), sin(radians(n))])
            for n, e in (one, other)
        )
        chord = float(np.linalg.norm(x - y))
        metres = 2 * 6_371_008.8 * np.arcsin(min(1.0, chord / 2))
        found = metres_apart(*(np.array([v]) for v in one), *(np.array([v]) for v in other))
        assert found[0, 0] == pytest.approx(metres, abs=1.5)

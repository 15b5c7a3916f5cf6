"""The access points at work: known places, states, choices, and the version of it all."""

from pathlib import Path

import pytest

from mock_im_server import catalogue
from mock_im_server.domain.capacity import Health, State
from mock_im_server.domain.geography import Ranking
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import ANYBODY, Choice, Client, Policy
from mock_im_server.network import Network, NetworkRefusedError, Place, measured_round_trips

DATA = catalogue.load()
PLACES = {**DATA.countries, **DATA.cities}
GREAT_CIRCLE = Choice()


def a_network(measured: dict[str, dict[str, float]] | None = None) -> Network:
    return Network(DATA.access_points, PLACES, LatencyTable(DATA.latency_model, measured or {}))


def first(network: Network, name: str, choice: Choice = GREAT_CIRCLE, client: Client = ANYBODY) -> str:
    country, _, city = name.partition("/")
    return network.route(choice, network.place(country, city), client)[0].point.code


def test_every_known_place_is_ranked_as_its_coordinates_are() -> None:
    network = a_network()
    ranking = Ranking(DATA.access_points.values())
    for name, coordinates in PLACES.items():
        country, _, city = name.partition("/")
        place = network.place(country, city)
        assert place is not None
        ways = network.route(GREAT_CIRCLE, place, ANYBODY)
        assert [(way.point, way.distance_km) for way in ways] == ranking.nearest(*coordinates)
        unnamed = network.route(GREAT_CIRCLE, Place("", *coordinates), ANYBODY)
        assert unnamed == ways


@pytest.mark.parametrize(
    ("place", "code"),
    [("KR", "kr"), ("kr/busan", "kr"), ("CN/Beijing", "cn-north"), ("CH/Zürich", "it"), ("US/Los Angeles", "mx")],
)
def test_a_city_may_lie_nearer_to_another_point_than_its_countrys_largest(place: str, code: str) -> None:
    assert first(a_network(), place) == code


@pytest.mark.parametrize("name", ["XX", "", "KR/Nowhere"])
def test_an_unknown_place_is_none(name: str) -> None:
    country, _, city = name.partition("/")
    assert a_network().place(country, city) is None


def test_measured_round_trips_stand_before_the_model() -> None:
    network = a_network({"KR": {"jp": 1.0}})
    assert first(network, "KR", Choice(Policy.LATENCY_TABLE)) == "jp"
    assert first(network, "KR/Busan", Choice(Policy.LATENCY_TABLE)) == "jp"
    assert first(network, "JP", Choice(Policy.LATENCY_TABLE)) == "jp"
    assert first(network, "KR") == "kr"


@pytest.mark.parametrize("table", [{"XX": {"kr": 1.0}}, {"KR": {"kr": 1.0, "atlantis": 1.0}}, {"kr": {"kr": 1.0}}])
def test_a_latency_table_names_only_what_there_is(table: dict[str, dict[str, float]]) -> None:
    with pytest.raises(ValueError, match="not known: "):
        a_network(table)


def test_every_change_has_a_version_and_what_changes_nothing_has_none() -> None:
    network = a_network()
    told: list[tuple[str, Health]] = []
    network.on_change.append(lambda code, health: told.append((code, health)))
    versions = [network.version]
    for change in (
        lambda: network.set_health("kr", state=State.DOWN),
        lambda: network.set_health("kr", state=State.DOWN),
        lambda: network.set_health("kr", state=State.UP, capacity=0.5),
        lambda: network.set_health("kr"),
        lambda: network.choose(7, Choice(Policy.LATENCY_TABLE)),
        lambda: network.choose(7, Choice(Policy.LATENCY_TABLE)),
        lambda: network.choose(8, Choice()),
    ):
        change()
        versions.append(network.version)
    assert versions == [1, 2, 2, 3, 3, 4, 4, 4]
    assert told == [("kr", Health(State.DOWN, 100)), ("kr", Health(State.UP, 50))]
    assert (network.choice(7).policy, network.choice(9)) == (Policy.LATENCY_TABLE, Choice())


def test_answers_follow_the_states_and_come_back_exactly() -> None:
    network = a_network()
    known = {name: network.routes(GREAT_CIRCLE).known[name] for name in DATA.countries}
    network.set_health("kr", state=State.DOWN)
    for name, ways in known.items():
        assert network.routes(GREAT_CIRCLE).known[name] == [way for way in ways if way.point.code != "kr"]
    network.set_health("kr", state=State.UP)
    assert {name: network.routes(GREAT_CIRCLE).known[name] for name in DATA.countries} == known


def test_a_million_users_less_those_of_a_lost_point_stay_where_they_are() -> None:
    network = a_network()
    network.set_health("de", capacity=0.5)
    users = [(name, Client(f"user_{number}")) for number in range(20) for name in ("DE", "FR", "PL", "KR", "BR")]
    before = [first(network, name, client=client) for name, client in users]
    network.set_health("fr", state=State.DOWN)
    during = [first(network, name, client=client) for name, client in users]
    network.set_health("fr", state=State.UP)
    assert [first(network, name, client=client) for name, client in users] == before
    assert all(now == then for now, then in zip(during, before, strict=True) if then != "fr")
    assert len(set(before)) > 4


def test_what_cannot_be_is_refused() -> None:
    network = a_network()
    with pytest.raises(NetworkRefusedError, match=r"0 to 1, not 1\.5"):
        network.set_health("kr", capacity=1.5)
    with pytest.raises(NetworkRefusedError, match="no access point 'atlantis', 'eden'"):
        network.choose(7, Choice(pin=frozenset({"eden", "kr", "atlantis"})))
    with pytest.raises(NetworkRefusedError, match="0 ms or more"):
        network.choose(7, Choice(hysteresis_ms=float("nan")))
    with pytest.raises(KeyError):
        network.set_health("atlantis", state=State.UP)
    assert network.version == 1


def test_a_network_may_have_neither_points_nor_places() -> None:
    nowhere = Network({}, PLACES, LatencyTable(DATA.latency_model))
    assert nowhere.route(GREAT_CIRCLE, nowhere.place("KR"), ANYBODY) == []
    empty = Network(DATA.access_points, {}, LatencyTable(DATA.latency_model))
    assert empty.place("KR") is None
    assert empty.route(GREAT_CIRCLE, Place("", 37.6, 127.0), ANYBODY)[0].point.code == "kr"


def test_a_table_of_measured_round_trips_is_read(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("place,access_point,rtt_ms,note\nKR,kr,4.5,x\nKR/Busan,jp,21,\n", encoding="utf-8")
    assert measured_round_trips(table) == {"KR": {"kr": 4.5}, "KR/Busan": {"jp": 21.0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs the columns"),
        ("place,rtt_ms\n", "needs the columns"),
        ("place,access_point,rtt_ms\nKR,kr,soon\n", "line 2"),
        ("place,access_point,rtt_ms\nKR,kr,1\nKR,kr\n", "line 3"),
        ("place,access_point,rtt_ms\nKR,kr,-1\n", "line 2"),
        ("place,access_point,rtt_ms\nKR,kr,inf\n", "line 2"),
        ("place,access_point,rtt_ms\n,kr,1\n", "line 2"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        measured_round_trips(table)

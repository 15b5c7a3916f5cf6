"""Write `analysis/places.csv`: where users of a run live, as the audit knows it without asking a server.

Run it after `tools/generate_cities.py`. It copies names and coordinates, for the audit imports nothing of the server
and must notice when a server's places change: `tests/analysis/test_places.py` holds the two copies together.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DATA: Final = ROOT / "mock_im_server" / "data"
COLUMNS: Final = ("country", "city", "latitude", "longitude")


def main() -> None:
    with (ROOT / "analysis" / "places.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(places())


def places() -> Iterator[tuple[str, ...]]:
    """The cities, the most populous of a country first; then countries without a city, under an empty name."""
    cities = _rows("cities.csv")
    yield from (tuple(row[column] for column in COLUMNS) for row in cities)
    inhabited = {row["country"] for row in cities}
    for row in _rows("countries.csv"):
        if row["country"] not in inhabited:
            yield row["country"], "", row["latitude"], row["longitude"]


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()

"""Plans, price books, access points and countries: the data files beside this module, read once at start."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mock_im_server.domain.billing import Overage, PriceBook
from mock_im_server.domain.geography import AccessPoint
from mock_im_server.domain.plans import Plan

_DATA: Final = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What an app can be made of and where its users can log in."""

    plans: Mapping[str, Plan]
    price_books: Mapping[str, PriceBook]
    access_points: Mapping[str, AccessPoint]
    countries: Mapping[str, tuple[float, float]]
    """Latitude and longitude of each country's largest city, by ISO 3166 alpha-2 code."""


def load() -> Catalogue:
    points = _toml(_DATA / "access_points.toml")["access_points"]
    books = [_price_book(_toml(path)) for path in sorted((_DATA / "price_books").glob("*.toml"))]
    return Catalogue(
        plans={name: _plan(name, row) for name, row in _toml(_DATA / "plans.toml").items()},
        price_books={book.name: book for book in books},
        access_points={row["code"]: _access_point(row) for row in points},
        countries=_countries(_DATA / "countries.csv"),
    )


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _plan(name: str, row: Mapping[str, Any]) -> Plan:
    return Plan(name, **row)


def _price_book(row: Mapping[str, Any]) -> PriceBook:
    return PriceBook(
        name=row["name"],
        currency=row["currency"],
        plan_fee=row["plan_fee"],
        dau=_overage(row, "dau"),
        mau=_overage(row, "mau"),
        groups=_overage(row, "groups"),
        calls=row.get("calls", {}),
        call_minutes_free=row.get("call_minutes_free", 0),
    )


def _overage(row: Mapping[str, Any], item: str) -> Overage | None:
    return Overage(**row[item]) if item in row else None


def _access_point(row: Mapping[str, Any]) -> AccessPoint:
    return AccessPoint(row["code"], row["name"], row["country"], row["latitude"], row["longitude"])


def _countries(path: Path) -> dict[str, tuple[float, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["country"]: (float(row["latitude"]), float(row["longitude"])) for row in csv.DictReader(file)}

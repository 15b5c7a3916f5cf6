"""The data files beside this module, read once at start: plans, prices, access points, places, the latency model."""

import csv
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mock_im_server.domain.billing import Overage, PriceBook, PriceList, book_of_app_opened
from mock_im_server.domain.calendar import day_of
from mock_im_server.domain.calls import CallTrial, Notice
from mock_im_server.domain.geography import AccessPoint
from mock_im_server.domain.latency import LatencyModel
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
    cities: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The same of large cities, by names like `KR/Busan`."""
    latency_model: LatencyModel = field(default_factory=lambda: LatencyModel(**_toml(_DATA / "latency_model.toml")))
    price_lists: Sequence[PriceList] = ()
    """The price books again, each with the sites and days that it is for."""
    call_trial: CallTrial = field(default_factory=lambda: _call_trial(_toml(_DATA / "call_trial.toml")))

    @property
    def sites(self) -> list[str]:
        return sorted({site for one in self.price_lists for site in one.sites})

    def book_of_app_opened(self, site: str, day: int) -> PriceBook | None:
        """By the day on which an app was opened; None when no list of that site and day stands here."""
        return book_of_app_opened(self.price_lists, site, day)


def load() -> Catalogue:
    points = _toml(_DATA / "access_points.toml")["access_points"]
    lists = [_price_list(_toml(path)) for path in sorted((_DATA / "price_books").glob("*.toml"))]
    return Catalogue(
        plans={name: _plan(name, row) for name, row in _toml(_DATA / "plans.toml").items()},
        price_books={one.book.name: one.book for one in lists},
        price_lists=lists,
        access_points={row["code"]: _access_point(row) for row in points},
        countries={row["country"]: _place(row) for row in _csv(_DATA / "countries.csv")},
        cities={f"{row['country']}/{row['city']}": _place(row) for row in _csv(_DATA / "cities.csv")},
    )


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _plan(name: str, row: Mapping[str, Any]) -> Plan:
    return Plan(name, **row)


def _call_trial(row: Mapping[str, Any]) -> CallTrial:
    return CallTrial(row["days"], row["trials_max"], Notice(**row["notice"]))


def _price_list(row: Mapping[str, Any]) -> PriceList:
    return PriceList(
        book=_price_book(row),
        sites=tuple(row["sites"]),
        first_day=day_of(row["valid_from"].isoformat()),
        end_day=day_of(row["valid_to"].isoformat()) if "valid_to" in row else None,
    )


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
    fields = ("code", "name", "country", "latitude", "longitude", "data_centre")
    return AccessPoint(*(row[field] for field in fields))


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _place(row: Mapping[str, str]) -> tuple[float, float]:
    return float(row["latitude"]), float(row["longitude"])

"""Price books: dated price lists, read from `price_books/`, each number with its source."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

DEFAULT_BOOK: Final = "2020"

_PRICED: Final = ("currency", "plan_fee", "dau", "mau", "groups", "calls", "call_minutes_free")

_FOLDER: Final = Path(__file__).parent / "price_books"


@dataclass(frozen=True, slots=True)
class Overage:
    """A month's price per started `per` of what lies above `free`; `unit_price` in 1/100,000 of the currency."""

    free: int
    per: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a price stands, and what it says in our own words."""

    document: str
    url: str
    edition: str
    says: str


@dataclass(frozen=True, slots=True)
class PriceBook:
    """A price list; `plan_fee` is a calendar month's, in 1/100,000 of the currency."""

    name: str
    currency: str
    sites: tuple[str, ...]
    """Whose apps it is for, when it is chosen by the day on which an app was opened."""
    valid_from: date
    valid_to: date | None
    """The first day on which another list held; None while none is known."""
    plan_fee: Mapping[str, int]
    dau: Overage | None
    mau: Overage | None
    """The lists from December 2022 bill by the month's distinct users instead of its peak day."""
    groups: Overage | None
    calls: Mapping[str, int]
    """A minute's price by tier."""
    call_minutes_free: int
    sources: tuple[Source, ...]

    def differences(self, stated: Mapping[str, Any]) -> list[str]:
        """Name the prices in which a server's copy differs; fields that bear no price are its own affair."""
        own, other = _flat({name: getattr(self, name) for name in _PRICED}), _flat(stated)
        # A price that only the server's copy has is a difference too, wherever it stands among what is priced.
        names = [*own, *(name for name in other if name.split(".")[0] in _PRICED and name not in own)]
        return [
            f"{name} is {other.get(name, 'absent')} instead of {own.get(name, 'absent')}"
            for name in names
            if other.get(name) != own.get(name)
        ]


@cache
def price_books() -> Mapping[str, PriceBook]:
    """Return all price books by name."""
    books = [_read(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return {book.name: book for book in books}


def book_of_app_opened(site: str, on: date) -> PriceBook | None:
    """Find the list under which a site's app opened on a day; an app keeps it. None when none is known.

    >>> [book.name for day in (date(2021, 8, 5), date(2021, 8, 6)) if (book := book_of_app_opened("intl", day))]
    ['2020', '2021-08']
    """
    fitting = [
        book
        for book in price_books().values()
        if site in book.sites and book.valid_from <= on and (book.valid_to is None or on < book.valid_to)
    ]
    return fitting[0] if fitting else None


def sites() -> list[str]:
    """Name the sites for which there is a list."""
    return sorted({site for book in price_books().values() for site in book.sites})


def _read(path: Path) -> PriceBook:
    row = tomllib.loads(path.read_text(encoding="utf-8"))
    return PriceBook(
        name=row["name"],
        currency=row["currency"],
        sites=tuple(row["sites"]),
        valid_from=row["valid_from"],
        valid_to=row.get("valid_to"),
        plan_fee=row["plan_fee"],
        dau=_overage(row, "dau"),
        mau=_overage(row, "mau"),
        groups=_overage(row, "groups"),
        calls=row.get("calls", {}),
        call_minutes_free=row.get("call_minutes_free", 0),
        sources=tuple(Source(**source) for source in row["source"]),
    )


def _overage(row: Mapping[str, Any], item: str) -> Overage | None:
    return Overage(**row[item]) if item in row else None


def _flat(book: Mapping[str, Any]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in book.items():
        if isinstance(value, Overage):
            parts = {name: getattr(value, name) for name in Overage.__slots__}
        elif isinstance(value, Mapping):
            parts = dict(value)
        elif value is None:
            continue
        else:
            flat[key] = value
            continue
        flat |= {f"{key}.{name}": part for name, part in parts.items()}
    return flat

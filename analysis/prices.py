"""Price books: dated price lists, read from `price_books/`, each number with its source."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

DEFAULT_BOOK: Final = "2020"

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
    valid_from: date
    valid_to: date
    plan_fee: Mapping[str, int]
    dau: Overage
    groups: Overage
    sources: tuple[Source, ...]

    def differences(self, stated: Mapping[str, Any]) -> list[str]:
        """Name the prices in which a server's copy differs; fields that bear no price are its own affair."""
        own = _flat({key: getattr(self, key) for key in ("currency", "plan_fee", "dau", "groups")})
        other = _flat(stated)
        return [
            f"{key} is {other.get(key, 'absent')} instead of {value}"
            for key, value in own.items()
            if other.get(key) != value
        ]


@cache
def price_books() -> Mapping[str, PriceBook]:
    """Return all price books by name."""
    books = [_read(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return {book.name: book for book in books}


def _read(path: Path) -> PriceBook:
    row = tomllib.loads(path.read_text(encoding="utf-8"))
    return PriceBook(
        name=row["name"],
        currency=row["currency"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        plan_fee=row["plan_fee"],
        dau=Overage(**row["dau"]),
        groups=Overage(**row["groups"]),
        sources=tuple(Source(**source) for source in row["source"]),
    )


def _flat(book: Mapping[str, Any]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in book.items():
        if isinstance(value, Overage):
            parts = {name: getattr(value, name) for name in Overage.__slots__}
        elif isinstance(value, Mapping):
            parts = dict(value)
        else:
            flat[key] = value
            continue
        flat |= {f"{key}.{name}": part for name, part in parts.items()}
    return flat

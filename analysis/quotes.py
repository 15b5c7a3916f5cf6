"""A quote: a month priced from figures that somebody names, without a run."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from analysis.bills import CALL_TIERS, TIMES, Bill, Line, Usage, bill, money, price
from analysis.prices import DEFAULT_BOOK, PriceBook, book_of_app_opened, price_books, sites


class QuoteError(Exception):
    """Raised with one sentence when a wish cannot be priced."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to price; None stands for what was not named."""

    plan: str
    dau: int | None = None
    mau: int | None = None
    groups: int | None = None
    call_minutes: dict[str, int] | None = None

    @property
    def usage(self) -> Usage:
        """As a month's usage; what was not named is zero."""
        seconds = {tier: 60 * minutes for tier, minutes in (self.call_minutes or {}).items()}
        return Usage(self.dau or 0, self.mau or 0, self.groups or 0, seconds)


@dataclass(frozen=True, slots=True)
class Quote:
    """A wish and what it costs by one price book."""

    wish: Wish
    book: PriceBook
    bill: Bill

    def document(self) -> dict[str, Any]:
        """Return it for scripts: amounts in cents, the lines as in `statement.json`."""
        usage = self.wish.usage
        return {
            "plan": self.wish.plan,
            "price_book": self.book.name,
            "currency": self.book.currency,
            "peak_dau": usage.peak_dau,
            "monthly_users": usage.monthly_users,
            "peak_groups": usage.peak_groups,
            "call_seconds": dict(usage.call_seconds),
            "dau_units": self.bill.dau_units,
            "amount_cents": self.bill.users_cents,
            "total_cents": self.bill.total_cents,
            "lines": [asdict(line) for line in self.bill.lines],
        }

    def text(self) -> str:
        """Return it for people: name, reason and amount, a line each."""
        rows = list(self._rows())
        what_width = max(len(what) for _, what, _ in rows)
        return "\n".join(f"{name:12}  {what:{what_width}}  {amount:>12}" for name, what, amount in rows)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for line in self.bill.lines:
            if line.item != "groups" or self.wish.groups is not None:
                yield _NAMES[line.item], _reason(line, self.wish.plan), money(line.amount_cents)
        if self.wish.groups is not None and self.book.groups is None:
            yield _NAMES["groups"], f"{self.wish.groups:,} groups, which this list does not charge", money(0)
        yield "total", f"{self.book.currency} a month, price book {self.book.name}", money(self.bill.total_cents)


_NAMES = {
    "plan": "plan fee",
    "dau": "DAU overage",
    "mau": "MAU overage",
    "groups": "groups",
    **{f"call_{tier}": f"calls, {tier.replace('_', ' ')}" for tier in CALL_TIERS},
}

_COUNTED = {"dau": "DAU", "mau": "users in the month", "groups": "groups"}


def quote(wish: Wish, book: PriceBook) -> Quote:
    """Price a wish. Raises QuoteError where the book has no such plan or price, or needs another figure."""
    if wish.plan not in book.plan_fee:
        known = ", ".join(book.plan_fee)
        raise QuoteError(f"plan {wish.plan!r} is unknown; known: {known}")
    if book.dau and wish.dau is None:
        raise QuoteError(f"price book {book.name} charges the month's peak day: give it with --dau")
    if book.mau and wish.mau is None:
        raise QuoteError(f"price book {book.name} charges the month's different users: give them with --mau")
    if wish.call_minutes and not book.calls:
        raise QuoteError(f"price book {book.name} has no prices of call minutes")
    return Quote(wish, book, bill(book, wish.plan, wish.usage))


def book_named(name: str | None) -> PriceBook:
    """Find a price book by name, the default one without. Raises QuoteError."""
    books = price_books()
    book = books.get(name or DEFAULT_BOOK)
    if book is None:
        raise QuoteError(f"price book {name!r} is unknown; known: {', '.join(books)}")
    return book


def book_opened(site: str, on: date) -> PriceBook:
    """Find the price book of an app by its site and the day it was opened. Raises QuoteError."""
    if site not in sites():
        raise QuoteError(f"site {site!r} is unknown; known: {', '.join(sites())}")
    book = book_of_app_opened(site, on)
    if book is None:
        raise QuoteError(f"no price list of site {site} is known for an app opened on {on}; name one with --price-book")
    return book


def _reason(line: Line, plan: str) -> str:
    if line.item == "plan":
        return f"{plan}, a month"
    cost = f"{line.units:,} {TIMES} {price(line.unit_price)}"
    what = _COUNTED.get(line.item)
    if what is None:
        return f"{cost}, {line.quantity:,} minutes less {line.free:,} free"
    return f"{cost}, {line.quantity:,} {what} less {line.free:,} free"

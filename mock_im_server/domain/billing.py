"""The bill of a month: peaks, started units, lines, total.

Money is integers: unit prices in 1/100,000 of the currency, amounts in cents, each line rounded half up once.
Sources: the vendor's purchase FAQ (1047/34421) and its price pages; the numbers are in `data/price_books/`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from mock_im_server.domain.calendar import (
    BillingCalendar,
    day_of,
    first_of_next_month,
    iso_day,
    month_days,
)

PRICE_PARTS_PER_CENT: Final = 1_000
"""Unit prices are integers of 1/100,000 of the currency: a thousand of them are a cent."""


@dataclass(frozen=True, slots=True)
class Overage:
    """A price per started `per` of what lies above `free`, for a month."""

    free: int
    per: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class PriceBook:
    """A dated price list."""

    name: str
    currency: str
    plan_fee: Mapping[str, int]
    dau: Overage
    groups: Overage


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement."""

    item: str
    quantity: int
    free: int
    per: int
    units: int
    unit_price: int
    amount_cents: int


type_units = Callable[[int, Overage], int]


def started_units(quantity: int, overage: Overage) -> int:
    """A part of a unit counts as a whole; what is free costs nothing.

    >>> dau = Overage(free=10_000, per=10_000, unit_price=14_999_000)
    >>> [started_units(peak, dau) for peak in (9_999, 10_000, 10_001, 20_000, 20_001, 1_000_000)]
    [0, 0, 1, 1, 2, 99]
    """
    return max(0, -((overage.free - quantity) // overage.per))


def cents(units: int, unit_price: int) -> int:
    """Rounded half up, once a line."""
    return (units * unit_price + PRICE_PARTS_PER_CENT // 2) // PRICE_PARTS_PER_CENT


def overage_line(item: str, quantity: int, overage: Overage, units: int) -> Line:
    amount = cents(units, overage.unit_price)
    return Line(item, quantity, overage.free, overage.per, units, overage.unit_price, amount)


def peak(daily_dau: Mapping[int, int]) -> tuple[int | None, int]:
    """The first day with the highest DAU, and that DAU. No day when nobody logged in."""
    day = min(daily_dau, key=lambda day: (-daily_dau[day], day), default=None)
    if day is None or not daily_dau[day]:
        return None, 0
    return day, daily_dau[day]


def lines(book: PriceBook, plan: str, peak_dau: int, units_of: type_units = started_units) -> list[Line]:
    """The month's plan fee, then what the peak day costs on top.

    The trial stops at its DAU quota instead of billing for more, so it has no overage line.
    """
    fee = book.plan_fee[plan]
    rows = [Line("plan", 1, 0, 1, 1, fee, cents(1, fee))]
    if fee:
        rows.append(overage_line("dau", peak_dau, book.dau, units_of(peak_dau, book.dau)))
    return rows


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what an app is billed."""

    sdkappid: int
    plan: str
    book: PriceBook
    calendar: BillingCalendar
    charge_day: int = 3


def statement(
    terms: Terms,
    month: str,
    daily_dau: Mapping[int, int],
    units_of: type_units = started_units,
) -> dict[str, Any]:
    """The statement of a closed month, as JSON; `charged_on` stays null until `charged`.

    `daily_dau` maps each day of the month to its distinct users with a successful login.
    """
    peak_day, peak_dau = peak(daily_dau)
    rows = lines(terms.book, terms.plan, peak_dau, units_of)
    return {
        "sdkappid": terms.sdkappid,
        "plan": terms.plan,
        "month": month,
        "currency": terms.book.currency,
        "price_book": asdict(terms.book),
        "daily_dau": [{"day": iso_day(day), "dau": daily_dau[day]} for day in sorted(daily_dau)],
        "peak_dau": peak_dau,
        "peak_day": None if peak_day is None else iso_day(peak_day),
        "lines": [asdict(row) for row in rows],
        "total_cents": sum(row.amount_cents for row in rows),
        "closed_at_ms": closes_at_ms(terms, month),
        "charged_on": None,
        "charged_at_ms": None,
    }


def charged(terms: Terms, closed: Mapping[str, Any]) -> dict[str, Any]:
    """The statement after the charge, on the 3rd of the next month at 00:00 unless the terms say otherwise."""
    at_ms = charges_at_ms(terms, closed["month"])
    return {
        **closed,
        "charged_on": iso_day(terms.calendar.day(at_ms)),
        "charged_at_ms": at_ms,
    }


def closes_at_ms(terms: Terms, month: str) -> int:
    return terms.calendar.start_ms(month_days(month).stop)


def charges_at_ms(terms: Terms, month: str) -> int:
    return terms.calendar.start_ms(month_days(month).stop + terms.charge_day - 1)


def next_event(terms: Terms, month: str, *, is_closed: bool) -> int:
    """When the month closes or, once closed, is charged."""
    return charges_at_ms(terms, month) if is_closed else closes_at_ms(terms, month)


def next_month(month: str) -> str:
    return iso_day(first_of_next_month(day_of(f"{month}-01")))[:7]

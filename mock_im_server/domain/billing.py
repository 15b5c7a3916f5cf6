"""The bill of a month: peaks, started units, lines, total.

Money is integers: unit prices in 1/100,000 of the currency, amounts in cents, each line rounded half up once.
Sources: the vendor's purchase FAQ (1047/34421) and its price pages; the numbers are in `data/price_books/`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
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

TIERS: Final = ("audio", "hd", "full_hd", "2k", "4k")
"""Of a participant's time in a call; also the order in which free minutes are used up (647/42735 of 2022-06)."""


@dataclass(frozen=True, slots=True)
class Overage:
    """A price per started `per` of what lies above `free`, for a month."""

    free: int
    per: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class PriceBook:
    """A price list: what it has no price for is None, or absent, and costs nothing."""

    name: str
    currency: str
    plan_fee: Mapping[str, int]
    """A calendar month's, by plan."""
    dau: Overage | None = None
    """On the month's peak day."""
    mau: Overage | None = None
    """On the month's distinct users: the lists from December 2022 bill by these instead of the peak day."""
    groups: Overage | None = None
    """On the month's peak of existing groups."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """A minute's, by tier of `TIERS`."""
    call_minutes_free: int = 0
    """A month's, shared by all tiers."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """A price book with the sites and days that it is for."""

    book: PriceBook
    sites: tuple[str, ...]
    first_day: int
    """The first day on which an app opened by this list, from 1970-01-01."""
    end_day: int | None
    """The first day on which it no longer did; None while no later list is known."""


def book_of_app_opened(lists: Iterable[PriceList], site: str, day: int) -> PriceBook | None:
    """The price book of an app that was opened on a day; None when no list of that site and day is known.

    An app keeps the list under which it was opened, as the vendor let apps of before December 2022 do.
    """
    return next(
        (
            one.book
            for one in lists
            if site in one.sites and one.first_day <= day and (one.end_day is None or day < one.end_day)
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """What an app used in a month."""

    daily_dau: Mapping[int, int] = field(default_factory=dict)
    """Each day's distinct users with a successful login."""
    monthly_users: int = 0
    """The whole month's distinct users with a successful login."""
    peak_groups: int = 0
    """The highest net count of groups in the month."""
    call_seconds: Mapping[str, int] = field(default_factory=dict)
    """By tier, summed over all participants of all calls."""


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


def lines(book: PriceBook, plan: str, usage: Usage, *, units_of: type_units = started_units) -> list[Line]:
    """The month's plan fee, then what users and groups cost on top, then the minutes of calls.

    The trial stops at its quotas instead of billing for more, so it has no overage line; its calls are billed all
    the same, as the trial of calls grants the use of them and no minutes (FAQ).
    """
    fee = book.plan_fee[plan]
    rows = [Line("plan", 1, 0, 1, 1, fee, cents(1, fee))]
    if fee:
        _, peak_dau = peak(usage.daily_dau)
        measured = (
            ("dau", peak_dau, book.dau),
            ("mau", usage.monthly_users, book.mau),
            ("groups", usage.peak_groups, book.groups),
        )
        rows += [
            overage_line(item, quantity, overage, units_of(quantity, overage))
            for item, quantity, overage in measured
            if overage
        ]
    return rows + call_lines(book, usage.call_seconds)


def call_lines(book: PriceBook, call_seconds: Mapping[str, int]) -> list[Line]:
    """A line for each tier that was used, in the order in which the free minutes are used up.

    The month's seconds of a tier become minutes once, rounded up: 61 s a day for 30 days are 31 minutes. A minute of
    any tier takes one free minute, audio first (647/42734 of 2022-05 and 647/42735 of 2022-06).

    >>> book = PriceBook("now", "USD", {}, calls={"audio": 99, "hd": 399}, call_minutes_free=10)
    >>> [(row.item, row.quantity, row.free, row.units) for row in call_lines(book, {"hd": 61, "audio": 541})]
    [('call_audio', 10, 10, 0), ('call_hd', 2, 0, 2)]
    """
    rows = []
    free = book.call_minutes_free
    for tier in TIERS:
        minutes = -(-call_seconds.get(tier, 0) // 60)
        if not minutes or tier not in book.calls:
            continue
        used = min(free, minutes)
        free -= used
        units, unit_price = minutes - used, book.calls[tier]
        rows.append(Line(f"call_{tier}", minutes, used, 1, units, unit_price, cents(units, unit_price)))
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
    usage: Usage,
    *,
    units_of: type_units = started_units,
) -> dict[str, Any]:
    """The statement of a closed month, as JSON; `charged_on` stays null until `charged`.

    `usage.daily_dau` has every day of the month, also those without a login.
    """
    daily_dau = usage.daily_dau
    peak_day, peak_dau = peak(daily_dau)
    rows = lines(terms.book, terms.plan, usage, units_of=units_of)
    return {
        "sdkappid": terms.sdkappid,
        "plan": terms.plan,
        "month": month,
        "currency": terms.book.currency,
        "price_book": asdict(terms.book),
        "daily_dau": [{"day": iso_day(day), "dau": daily_dau[day]} for day in sorted(daily_dau)],
        "peak_dau": peak_dau,
        "peak_day": None if peak_day is None else iso_day(peak_day),
        "monthly_users": usage.monthly_users,
        "peak_groups": usage.peak_groups,
        "call_seconds": {tier: usage.call_seconds[tier] for tier in TIERS if usage.call_seconds.get(tier)},
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

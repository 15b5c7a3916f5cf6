"""The bill of a month: units, lines, total; integers only.

Sources: the vendor's purchase FAQ (1047/34421) and price pages; the numbers stand in `price_books/`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from analysis.prices import Overage, PriceBook

PRICE_PARTS_PER_CENT: Final = 1_000
"""Unit prices are integers of 1/100,000 of the currency."""

TRIAL: Final = "trial"

OVERAGES: Final = ("dau", "mau", "groups")

CALL_TIERS: Final = ("audio", "hd", "full_hd", "2k", "4k")
"""The free minutes go to audio first, to 4K last."""

TIMES: Final = "\N{MULTIPLICATION SIGN}"
"""Between units and their price."""
ABSENT: Final = "\N{EN DASH}"
"""Stands where there is no figure."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a month is billed by, whoever counted it."""

    peak_dau: int = 0
    monthly_users: int = 0
    peak_groups: int = 0
    call_seconds: Mapping[str, int] = field(default_factory=dict)
    """By tier, summed over the month."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement, as in `statement.json`."""

    item: str
    quantity: int
    free: int
    per: int
    units: int
    unit_price: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What a month costs at a given peak."""

    currency: str
    lines: tuple[Line, ...]

    @property
    def total_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.amount_cents for line in self.lines)

    def line(self, item: str) -> Line | None:
        """Find a line; None when the bill has none of that name."""
        return next((line for line in self.lines if line.item == item), None)

    @property
    def dau(self) -> Line | None:
        """The DAU overage; None for the trial, which refuses instead of charging, and where months are charged."""
        return self.line("dau")

    @property
    def overages(self) -> tuple[Line, ...]:
        """What is charged by started units: users of the day or of the month, and groups."""
        return tuple(line for line in self.lines if line.item in OVERAGES)

    @property
    def users_cents(self) -> int:
        """What users cost beyond the plan's fee, be they counted by day or by month."""
        return sum(line.amount_cents for line in self.lines if line.item in ("dau", "mau"))

    @property
    def dau_units(self) -> int:
        """Started units above the free quota."""
        return self.dau.units if self.dau else 0

    @property
    def dau_cents(self) -> int:
        """What the excess costs."""
        return self.dau.amount_cents if self.dau else 0


def bill(book: PriceBook, plan: str, usage: Usage) -> Bill:
    """Price a month: the plan's fee and, on paid plans, what users and groups cost on top; then the calls.

    Only the excess over the free quota is charged, and a part of a unit as a whole one. The trial has no overage:
    it stops at its quotas. Raises KeyError for a plan that the book does not have.
    """
    fee = book.plan_fee[plan]
    lines = [Line("plan", 1, 0, 1, 1, fee, cents(1, fee))]
    if plan != TRIAL:
        for item, quantity in (("dau", usage.peak_dau), ("mau", usage.monthly_users), ("groups", usage.peak_groups)):
            overage = getattr(book, item)
            if overage is not None:
                lines.append(_overage_line(item, quantity, overage))
    return Bill(book.currency, (*lines, *_call_lines(book, usage.call_seconds)))


def call_minutes(seconds: int) -> int:
    """Turn a month's seconds into minutes: a part counts as a whole one, once for the month.

    >>> [call_minutes(seconds) for seconds in (0, 59, 60, 61, 30 * 61)]
    [0, 1, 1, 2, 31]
    """
    whole, part = divmod(seconds, 60)
    return whole + (part > 0)


def started_units(quantity: int, overage: Overage) -> int:
    """Count the started units above the free quota.

    >>> dau = Overage(free=10_000, per=10_000, unit_price=14_999_000)
    >>> [started_units(peak, dau) for peak in (9_999, 10_000, 10_001, 20_000, 20_001)]
    [0, 0, 1, 1, 2]
    """
    excess = max(0, quantity - overage.free)
    return (excess + overage.per - 1) // overage.per


def cents(units: int, unit_price: int) -> int:
    """Round a line half up to cents, once.

    >>> cents(99, 14_999_000), cents(1, 1_499), cents(1, 1_500)
    (1484901, 1, 2)
    """
    return (units * unit_price + PRICE_PARTS_PER_CENT // 2) // PRICE_PARTS_PER_CENT


def money(amount_cents: int) -> str:
    """Write an amount for people.

    >>> money(1_484_901), money(-5)
    ('14,849.01', '-0.05')
    """
    whole, part = divmod(abs(amount_cents), 100)
    return f"{'-' * (amount_cents < 0)}{whole:,}.{part:02}"


def price(unit_price: int) -> str:
    """Write a unit price with as many digits as it needs, at least two.

    >>> price(14_999_000), price(1_500)
    ('149.99', '0.015')
    """
    whole, part = divmod(unit_price, 100_000)
    digits = f"{part:05}".rstrip("0").ljust(2, "0")
    return f"{whole:,}.{digits}"


def _overage_line(item: str, quantity: int, overage: Overage) -> Line:
    units = started_units(quantity, overage)
    amount = cents(units, overage.unit_price)
    return Line(item, quantity, overage.free, overage.per, units, overage.unit_price, amount)


def _call_lines(book: PriceBook, call_seconds: Mapping[str, int]) -> Iterator[Line]:
    free_left = book.call_minutes_free
    for tier in CALL_TIERS:
        minutes = call_minutes(call_seconds.get(tier, 0))
        if minutes and tier in book.calls:
            free = min(minutes, free_left)
            free_left -= free
            amount = cents(minutes - free, book.calls[tier])
            yield Line(f"call_{tier}", minutes, free, 1, minutes - free, book.calls[tier], amount)

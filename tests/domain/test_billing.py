"""The bill of a month. Golden values are typed by hand from the vendor's price rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain import billing
from mock_im_server.domain.billing import Overage, PriceBook, Terms
from mock_im_server.domain.calendar import BillingCalendar, day_of, month_days

DAU = Overage(free=10_000, per=10_000, unit_price=14_999_000)
BOOK = PriceBook(
    name="2020",
    currency="USD",
    plan_fee={"trial": 0, "pro": 14_999_000, "ultimate": 44_999_000},
    dau=DAU,
    groups=Overage(free=100_000, per=100_000, unit_price=14_999_000),
)
TERMS = Terms(1_400_000_001, "pro", BOOK, BillingCalendar())


def a_month(month: str, **dau: int) -> dict[int, int]:
    return {day: dau.get(f"d{number}", 0) for number, day in enumerate(month_days(month), 1)}


@pytest.mark.parametrize(
    ("peak", "units", "cents"),
    [
        (0, 0, 0),
        (9_999, 0, 0),
        (10_000, 0, 0),
        (10_001, 1, 14_999),
        (15_000, 1, 14_999),
        (20_000, 1, 14_999),
        (20_001, 2, 29_998),
        (32_000, 3, 44_997),
        (100_000, 9, 134_991),
        (1_000_000, 99, 1_484_901),
    ],
)
def test_each_started_unit_of_the_excess_is_charged(peak: int, units: int, cents: int) -> None:
    fee, overage = billing.lines(BOOK, "pro", peak)

    assert fee.amount_cents == 14_999
    assert (overage.units, overage.amount_cents) == (units, cents)


def test_a_trial_stops_instead_of_billing_for_more() -> None:
    assert [line.item for line in billing.lines(BOOK, "trial", 100)] == ["plan"]


@pytest.mark.parametrize(("unit_price", "cents"), [(499, 0), (500, 1), (1_499, 1), (1_500, 2)])
def test_a_line_is_rounded_half_up_to_cents_once(unit_price: int, cents: int) -> None:
    assert billing.cents(1, unit_price) == cents


@given(st.integers(0, 10**8), st.integers(0, 10**5))
def test_a_higher_peak_never_costs_less(peak: int, more: int) -> None:
    assert billing.started_units(peak + more, DAU) >= billing.started_units(peak, DAU)


@given(st.integers(0, 10**9))
def test_units_cover_the_excess_and_not_a_unit_more(peak: int) -> None:
    units = billing.started_units(peak, DAU)

    assert units * DAU.per >= peak - DAU.free
    assert not units or (units - 1) * DAU.per < peak - DAU.free


def test_the_peak_is_the_first_of_the_highest_days() -> None:
    assert billing.peak({3: 5, 1: 7, 2: 7}) == (1, 7)


def test_a_month_without_logins_has_no_peak_day() -> None:
    assert billing.peak(a_month("2026-02")) == (None, 0)


def statement_of(month: str, **dau: int) -> dict[str, Any]:
    return billing.charged(TERMS, billing.statement(TERMS, month, a_month(month, **dau)))


def test_a_statement_says_what_is_billed_for_and_when() -> None:
    statement = statement_of("2026-10", d16=1_000_000, d17=9_000)

    assert statement["peak_day"] == "2026-10-16"
    assert statement["total_cents"] == 1_499_900
    assert statement["charged_on"] == "2026-11-03"
    assert statement["closed_at_ms"] == 1_793_462_400_000
    assert statement["charged_at_ms"] == 1_793_635_200_000


@pytest.mark.parametrize(("month", "day"), [("2026-12", "2027-01-03"), ("2028-02", "2028-03-03")])
def test_a_month_is_charged_on_the_third_of_the_next(month: str, day: str) -> None:
    assert statement_of(month)["charged_on"] == day


def test_closing_comes_before_charging() -> None:
    closes = billing.next_event(TERMS, "2026-10", is_closed=False)
    charges = billing.next_event(TERMS, "2026-10", is_closed=True)

    assert charges - closes == 2 * 86_400_000
    assert TERMS.calendar.day(closes) == day_of("2026-11-01")

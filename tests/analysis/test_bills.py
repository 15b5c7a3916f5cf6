"""Prices at and around every edge; the totals were typed by hand from the vendor's texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bills import Usage, bill, cents, money, price, started_units
from analysis.prices import Overage, price_books

FAQ = price_books()["2020"]
RISEN = price_books()["2021-08"]

GOLDEN = [
    # peak DAU, units, DAU overage in cents
    (0, 0, 0),
    (9_999, 0, 0),
    (10_000, 0, 0),
    (10_001, 1, 14_999),
    (15_000, 1, 14_999),
    (19_999, 1, 14_999),
    (20_000, 1, 14_999),
    (20_001, 2, 29_998),
    (25_000, 2, 29_998),
    (30_000, 2, 29_998),
    (30_001, 3, 44_997),
    (32_000, 3, 44_997),
    (100_000, 9, 134_991),
    (999_999, 99, 1_484_901),
    (1_000_000, 99, 1_484_901),
    (1_000_001, 100, 1_499_900),
]


@pytest.mark.parametrize(("peak", "units", "amount"), GOLDEN)
def test_pro_pays_each_started_ten_thousand_above_the_free_ones(peak: int, units: int, amount: int) -> None:
    priced = bill(FAQ, "pro", Usage(peak))
    assert (priced.dau_units, priced.dau_cents) == (units, amount)
    assert priced.total_cents == 14_999 + amount


@pytest.mark.parametrize(
    ("book", "plan", "total"),
    [
        ("2020", "pro", 1_499_900),
        ("2020", "ultimate", 1_529_900),
        ("2020", "trial", 0),
        ("2021-08", "pro", 4_499_900),
        ("2021-08", "ultimate", 4_544_900),
    ],
)
def test_a_million_users_cost_what_plan_and_price_book_say(book: str, plan: str, total: int) -> None:
    assert bill(price_books()[book], plan, Usage(1_000_000)).total_cents == total


def test_a_trial_is_never_charged_for_users() -> None:
    assert bill(FAQ, "trial", Usage(1_000_000)).dau is None


def test_only_the_excess_is_charged_never_the_whole_peak() -> None:
    assert bill(FAQ, "pro", Usage(1_000_000)).dau_units == 99


@pytest.mark.parametrize(("parts", "rounded"), [(1_499, 1), (1_500, 2), (1_501, 2), (0, 0)])
def test_a_line_is_rounded_half_up_once(parts: int, rounded: int) -> None:
    assert cents(1, parts) == rounded


def test_money_and_prices_read_as_people_write_them() -> None:
    assert [money(5), money(1_484_901)] == ["0.05", "14,849.01"]
    assert [price(14_999_000), price(1_500)] == ["149.99", "0.015"]


overages = st.builds(Overage, free=st.integers(0, 10**6), per=st.integers(1, 10**6), unit_price=st.integers(0, 10**9))


@given(st.integers(0, 10**9), overages)
def test_units_are_the_least_number_that_covers_the_excess(peak: int, overage: Overage) -> None:
    units = started_units(peak, overage)
    excess = max(0, peak - overage.free)
    assert units * overage.per >= excess
    assert units == 0 or (units - 1) * overage.per < excess


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from([FAQ, RISEN]))
def test_more_users_never_cost_less_and_the_total_is_the_sum_of_lines(one: int, other: int, book: object) -> None:
    low, high = (
        bill(book, "pro", Usage(peak))  # type: ignore[arg-type]  # hypothesis loses the type
        for peak in sorted((one, other))
    )
    assert low.total_cents <= high.total_cents
    assert high.total_cents == sum(line.amount_cents for line in high.lines)
    assert all(line.amount_cents * 1_000 == line.units * line.unit_price for line in high.lines)

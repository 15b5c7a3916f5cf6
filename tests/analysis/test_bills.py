"""Prices at and around every edge; the totals were typed by hand from the vendor's texts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bills import CALL_TIERS, Usage, bill, cents, money, price, started_units
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


@pytest.mark.parametrize(
    ("groups", "units", "amount"),
    [
        (0, 0, 0),
        (99_999, 0, 0),
        (100_000, 0, 0),
        (100_001, 1, 14_999),
        (200_000, 1, 14_999),
        (200_001, 2, 29_998),
        (250_000, 2, 29_998),
        (500_000, 4, 59_996),
    ],
)
def test_pro_pays_each_started_hundred_thousand_groups_above_the_free_ones(
    groups: int, units: int, amount: int
) -> None:
    line = bill(FAQ, "pro", Usage(peak_groups=groups)).line("groups")
    assert line
    assert (line.quantity, line.units, line.amount_cents) == (groups, units, amount)


def test_users_and_groups_at_the_risen_prices() -> None:
    # 449.99 for the plan, two units of users and two of groups.
    assert bill(RISEN, "pro", Usage(25_000, peak_groups=250_000)).total_cents == 224_995


@pytest.mark.parametrize(
    ("plan", "monthly_users", "total"),
    [
        ("pro", 10_000, 39_900),
        ("pro", 10_001, 39_902),  # 1.5 cents, rounded half up
        ("pro", 12_000, 42_900),
        ("ultimate", 12_000, 72_900),
        ("trial", 12_000, 0),
    ],
)
def test_the_list_of_december_2022_charges_users_of_the_month(plan: str, monthly_users: int, total: int) -> None:
    priced = bill(price_books()["2022-12"], plan, Usage(1_000_000, monthly_users, peak_groups=10**6))
    assert priced.total_cents == total


@pytest.mark.parametrize(
    ("book", "plan", "usage", "total"),
    [
        ("cn-2019", "pro", Usage(150_000), 99_900 + 1_000_000),  # the page's own example of a peak
        ("cn-2019", "pro", Usage(0, peak_groups=130_000), 99_900 + 100_000),  # and of groups
        ("cn-domestic", "pro", Usage(25_000, peak_groups=250_000), 99_900 + 200_000 + 200_000),
        ("cn-overseas", "ultimate", Usage(25_000), 599_900 + 600_000),
    ],
)
def test_the_lists_of_china(book: str, plan: str, usage: Usage, total: int) -> None:
    assert bill(price_books()[book], plan, usage).total_cents == total


def test_the_worked_example_of_trtc_without_free_minutes() -> None:
    # Six users for an hour: one receives HD, four receive 2K, one audio only: 0.2394 + 3.8376 + 0.0594 = 4.14 USD.
    seconds = {"hd": 3_600, "2k": 4 * 3_600, "audio": 3_600}
    priced = bill(replace(FAQ, call_minutes_free=0), "trial", Usage(call_seconds=seconds))
    assert [(line.item, line.quantity, line.amount_cents) for line in priced.lines[1:]] == [
        ("call_audio", 60, 6),
        ("call_hd", 60, 24),
        ("call_2k", 240, 384),
    ]
    assert priced.total_cents == 414
    assert bill(FAQ, "trial", Usage(call_seconds=seconds)).total_cents == 0


@pytest.mark.parametrize(("seconds", "minutes"), [(59, 1), (60, 1), (61, 2), (30 * 61, 31)])
def test_a_tiers_seconds_become_minutes_once_a_month(seconds: int, minutes: int) -> None:
    line = bill(FAQ, "pro", Usage(call_seconds={"audio": seconds})).line("call_audio")
    assert line
    assert line.quantity == minutes


def test_free_minutes_go_to_audio_first_and_to_4k_last() -> None:
    seconds = {"4k": 60 * 100, "hd": 60 * 11_000, "audio": 60 * 4_000}
    lines = bill(FAQ, "pro", Usage(call_seconds=seconds)).lines[3:]
    assert [(line.item, line.quantity, line.free, line.units, line.amount_cents) for line in lines] == [
        ("call_audio", 4_000, 4_000, 0, 0),
        ("call_hd", 11_000, 6_000, 5_000, 1_995),
        ("call_4k", 100, 0, 100, 360),
    ]


def test_eleven_thousand_minutes_of_hd_cost_a_thousand() -> None:
    assert bill(FAQ, "trial", Usage(call_seconds={"hd": 660_000})).total_cents == 399


overages = st.builds(Overage, free=st.integers(0, 10**6), per=st.integers(1, 10**6), unit_price=st.integers(0, 10**9))


@given(st.integers(0, 10**9), overages)
def test_units_are_the_least_number_that_covers_the_excess(peak: int, overage: Overage) -> None:
    units = started_units(peak, overage)
    excess = max(0, peak - overage.free)
    assert units * overage.per >= excess
    assert units == 0 or (units - 1) * overage.per < excess


amounts = st.integers(0, 10**7)
seconds = st.dictionaries(st.sampled_from(CALL_TIERS), amounts)
usages = st.builds(Usage, amounts, amounts, amounts, seconds)
books = st.sampled_from(sorted(price_books()))


@given(usages, usages, books)
def test_more_never_costs_less_and_the_total_is_the_sum_of_lines(one: Usage, other: Usage, book: str) -> None:
    more = Usage(
        one.peak_dau + other.peak_dau,
        one.monthly_users + other.monthly_users,
        one.peak_groups + other.peak_groups,
        {tier: one.call_seconds.get(tier, 0) + other.call_seconds.get(tier, 0) for tier in CALL_TIERS},
    )
    low, high = (bill(price_books()[book], "pro", usage) for usage in (one, more))
    assert low.total_cents <= high.total_cents
    assert high.total_cents == sum(line.amount_cents for line in high.lines)
    for line in high.lines:
        assert abs(line.amount_cents * 1_000 - line.units * line.unit_price) <= 500
        assert line.units == 1 or line.units * line.per <= max(0, line.quantity - line.free) + line.per - 1


@given(seconds)
def test_no_more_minutes_are_free_than_the_month_has(used: dict[str, int]) -> None:
    lines = bill(FAQ, "pro", Usage(call_seconds=used)).lines[3:]
    free = sum(line.free for line in lines)
    minutes = sum(line.quantity for line in lines)
    assert free == min(10_000, minutes)
    assert sum(line.units for line in lines) == minutes - free
    assert 60 * minutes - sum(used.values()) <= 59 * len(lines)

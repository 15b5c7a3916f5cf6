"""Golden bills, typed by hand, and what holds for every bill."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server import catalogue
from mock_im_server.domain import billing
from mock_im_server.domain.billing import (
    TIERS,
    Overage,
    PriceBook,
    Terms,
    Usage,
    call_lines,
    cents,
    lines,
    overage_line,
    peak,
    started_units,
)
from mock_im_server.domain.calendar import BillingCalendar, day_of, month_days

CATALOGUE = catalogue.load()
BOOKS = CATALOGUE.price_books
DAU = Overage(free=10_000, per=10_000, unit_price=14_999_000)
GROUPS = Overage(free=100_000, per=100_000, unit_price=14_999_000)


@pytest.mark.holds("F1")
@pytest.mark.parametrize(
    ("peak_dau", "units", "amount_cents"),
    [
        (0, 0, 0),
        (9_999, 0, 0),
        (10_000, 0, 0),
        (10_001, 1, 14_999),
        (15_000, 1, 14_999),
        (20_000, 1, 14_999),
        (20_001, 2, 29_998),
        (25_000, 2, 29_998),
        (32_000, 3, 44_997),
        (100_000, 9, 134_991),
        (1_000_000, 99, 1_484_901),
    ],
)
def test_a_peak_costs_its_started_units(peak_dau: int, units: int, amount_cents: int) -> None:
    assert BOOKS["2020"].dau == DAU
    line = overage_line("dau", peak_dau, DAU, started_units(peak_dau, DAU))
    assert (line.units, line.amount_cents) == (units, amount_cents)


@pytest.mark.holds("F6")
@pytest.mark.parametrize(
    ("groups", "units", "amount_cents"),
    [
        (99_999, 0, 0),
        (100_000, 0, 0),
        (100_001, 1, 14_999),
        (130_000, 1, 14_999),
        (200_000, 1, 14_999),
        (200_001, 2, 29_998),
        (500_000, 4, 59_996),
    ],
)
def test_groups_cost_their_started_units(groups: int, units: int, amount_cents: int) -> None:
    assert BOOKS["2020"].groups == GROUPS
    line = overage_line("groups", groups, GROUPS, started_units(groups, GROUPS))
    assert (line.units, line.amount_cents) == (units, amount_cents)


def test_the_list_of_august_2021_costs_three_times_as_much() -> None:
    dau = BOOKS["2021-08"].dau
    assert dau is not None
    assert overage_line("dau", 1_000_000, dau, started_units(1_000_000, dau)).amount_cents == 4_454_901


def total(book: str, plan: str, usage: Usage) -> int:
    return sum(row.amount_cents for row in lines(BOOKS[book], plan, usage))


@pytest.mark.parametrize(
    ("book", "plan", "usage", "total_cents"),
    [
        # Pro at the prices of 2021-08: the plan, two units of users, two of groups: 449.99 + 899.98 + 899.98.
        ("2021-08", "pro", Usage({1: 25_000}, peak_groups=250_000), 224_995),
        ("2020", "pro", Usage({1: 1_000_000}, peak_groups=250_000), 14_999 + 1_484_901 + 29_998),
        ("2022-12", "pro", Usage({1: 12_000}, monthly_users=12_000, peak_groups=250_000), 42_900),
        ("2022-12", "ultimate", Usage(monthly_users=12_000), 72_900),
        ("2022-12", "pro", Usage(monthly_users=10_001), 39_902),  # 1.5 cents, rounded half up
        ("2022-12", "trial", Usage(monthly_users=100), 0),
        # The two examples that the vendor's page of 2019 prints.
        ("cn-2019", "pro", Usage({1: 150_000}), 99_900 + 1_000_000),
        ("cn-2019", "pro", Usage(peak_groups=130_000), 99_900 + 100_000),
        ("cn-domestic", "ultimate", Usage({1: 10_001}), 299_900 + 100_000),
        ("cn-overseas", "pro", Usage({1: 10_001}, peak_groups=100_001), 299_900 + 300_000 + 300_000),
    ],
)
def test_each_list_bills_what_it_has_a_price_for(book: str, plan: str, usage: Usage, total_cents: int) -> None:
    assert total(book, plan, usage) == total_cents


def test_the_worked_example_of_trtc_without_free_minutes() -> None:
    # Six users for an hour: one receives HD, four receive 2K, one audio only: 0.2394 + 3.8376 + 0.0594 = 4.14 USD.
    used = {"hd": 3_600, "2k": 4 * 3_600, "audio": 3_600}
    rows = call_lines(replace(BOOKS["2020"], call_minutes_free=0), used)
    assert [(row.item, row.quantity, row.amount_cents) for row in rows] == [
        ("call_audio", 60, 6),
        ("call_hd", 60, 24),
        ("call_2k", 240, 384),
    ]


@pytest.mark.parametrize(("seconds", "minutes"), [(59, 1), (60, 1), (61, 2), (30 * 61, 31)])
def test_a_tiers_seconds_become_minutes_once_a_month(seconds: int, minutes: int) -> None:
    (row,) = call_lines(BOOKS["2020"], {"audio": seconds})
    assert (row.quantity, row.free, row.units) == (minutes, minutes, 0)


def test_free_minutes_are_used_up_from_audio_to_4k_one_for_one() -> None:
    rows = call_lines(BOOKS["2020"], {"4k": 6_000, "hd": 660_000, "audio": 240_000})
    assert [(row.item, row.free, row.units, row.amount_cents) for row in rows] == [
        ("call_audio", 4_000, 0, 0),
        ("call_hd", 6_000, 5_000, 1_995),
        ("call_4k", 0, 100, 360),
    ]


def test_a_trial_pays_for_minutes_though_for_nothing_else() -> None:
    rows = lines(BOOKS["2020"], "trial", Usage({1: 100}, peak_groups=110, call_seconds={"hd": 660_000}))
    assert [(row.item, row.amount_cents) for row in rows] == [("plan", 0), ("call_hd", 399)]


def test_a_list_without_minutes_has_no_line_for_them() -> None:
    assert call_lines(BOOKS["cn-domestic"], {"audio": 10**9}) == []


def test_a_statement_says_what_was_used_beside_the_days() -> None:
    usage = Usage(october(9_000), monthly_users=9_500, peak_groups=3, call_seconds={"hd": 61, "audio": 1, "4k": 0})
    statement = billing.statement(terms(), "2026-10", usage)
    assert (statement["monthly_users"], statement["peak_groups"]) == (9_500, 3)
    assert list(statement["call_seconds"].items()) == [("audio", 1), ("hd", 61)]
    assert [row["item"] for row in statement["lines"]] == ["plan", "dau", "groups", "call_audio", "call_hd"]


@pytest.mark.parametrize(
    ("site", "opened", "name"),
    [
        ("intl", "2018-12-31", None),
        ("intl", "2020-01-31", "cn-2019"),
        ("intl", "2021-08-05", "2020"),
        ("intl", "2021-08-06", "2021-08"),
        ("intl", "2022-12-26", "2022-12"),
        ("intl", "2025-01-01", None),
        ("cn-domestic", "2030-01-01", "cn-domestic"),
        ("cn-overseas", "2021-08-06", "cn-overseas"),
        ("elsewhere", "2021-08-06", None),
    ],
)
def test_an_app_keeps_the_list_of_the_day_on_which_it_opened(site: str, opened: str, name: str | None) -> None:
    book = CATALOGUE.book_of_app_opened(site, day_of(opened))
    assert (book.name if book else None) == name


def test_no_two_lists_of_a_site_hold_on_the_same_day() -> None:
    for site in CATALOGUE.sites:
        spans = sorted((one.first_day, one.end_day) for one in CATALOGUE.price_lists if site in one.sites)
        assert all(end is not None and end <= start for (_, end), (start, _) in pairwise(spans))


used = st.integers(0, 10**7)
seconds = st.dictionaries(st.sampled_from(TIERS), used)


@given(st.sampled_from(sorted(BOOKS)), used, used, used, seconds, st.integers(0, 3), st.integers(1, 10**6))
def test_more_of_anything_never_costs_less(  # noqa: PLR0913, PLR0917 -- one of each thing that is billed
    book: str, dau: int, monthly: int, groups: int, calls: dict[str, int], which: int, more: int
) -> None:
    one = [dau, monthly, groups, calls.get("hd", 0)]
    other = [count + more * (place == which) for place, count in enumerate(one)]
    low, high = (total(book, "pro", Usage({1: n[0]}, n[1], n[2], calls | {"hd": n[3]})) for n in (one, other))
    assert low <= high


@given(seconds)
def test_exactly_the_free_minutes_are_free(calls: dict[str, int]) -> None:
    rows = call_lines(BOOKS["2020"], calls)
    minutes = sum(row.quantity for row in rows)
    assert sum(row.free for row in rows) == min(10_000, minutes)
    assert all(row.units == row.quantity - row.free >= 0 for row in rows)
    assert 0 <= 60 * minutes - sum(calls.values()) <= 59 * len(rows)


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(1, 10**6))
def test_units_cover_the_excess_and_no_more(quantity: int, free: int, per: int) -> None:
    units = started_units(quantity, Overage(free, per, 1))
    assert free + units * per >= quantity
    assert units == 0 or free + (units - 1) * per < quantity


@given(st.integers(0, 10**9))
def test_one_more_user_never_makes_the_bill_smaller(quantity: int) -> None:
    assert started_units(quantity, DAU) <= started_units(quantity + 1, DAU) <= started_units(quantity, DAU) + 1


@pytest.mark.parametrize(
    ("units", "unit_price", "expected"), [(1, 499, 0), (1, 500, 1), (1, 1_499, 1), (3, 500, 2), (0, 14_999_000, 0)]
)
def test_a_line_is_rounded_half_up_once(units: int, unit_price: int, expected: int) -> None:
    assert cents(units, unit_price) == expected


@pytest.mark.holds("F2")
@pytest.mark.parametrize(
    ("daily_dau", "expected"),
    [
        ({}, (None, 0)),
        ({1: 0, 2: 0}, (None, 0)),
        ({1: 3, 2: 5, 3: 4}, (2, 5)),
        ({3: 5, 2: 5, 1: 4}, (2, 5)),
    ],
)
def test_the_peak_day_is_the_first_with_the_most_users(
    daily_dau: dict[int, int], expected: tuple[int | None, int]
) -> None:
    assert peak(daily_dau) == expected


@pytest.mark.parametrize(
    ("plan", "items", "total_cents"),
    [
        ("trial", ["plan"], 0),
        ("pro", ["plan", "dau", "groups"], 14_999 + 14_999),
        ("ultimate", ["plan", "dau", "groups"], 44_999 + 14_999),
    ],
)
def test_a_bill_is_the_plans_fee_and_the_overage(plan: str, items: list[str], total_cents: int) -> None:
    rows = lines(BOOKS["2020"], plan, Usage({1: 10_001}))
    assert [row.item for row in rows] == items
    assert sum(row.amount_cents for row in rows) == total_cents


def terms(book: PriceBook = BOOKS["2020"], *, charge_day: int = 3) -> Terms:
    return Terms(1_400_000_001, "pro", book, BillingCalendar(), charge_day)


def october(peak_dau: int) -> dict[int, int]:
    return {day: peak_dau if day == day_of("2026-10-16") else 8_000 for day in month_days("2026-10")}


def test_a_month_of_a_million_users_is_stated_to_the_cent() -> None:
    statement = billing.statement(terms(), "2026-10", Usage(october(1_000_000)))
    assert statement["peak_day"] == "2026-10-16"
    assert statement["peak_dau"] == 1_000_000
    assert statement["lines"][1] == {
        "item": "dau",
        "quantity": 1_000_000,
        "free": 10_000,
        "per": 10_000,
        "units": 99,
        "unit_price": 14_999_000,
        "amount_cents": 1_484_901,
    }
    assert statement["total_cents"] == 1_499_900
    assert statement["closed_at_ms"] == 1_793_462_400_000  # 2026-11-01T00:00+08:00
    assert (statement["charged_on"], statement["charged_at_ms"]) == (None, None)
    assert statement["daily_dau"][0] == {"day": "2026-10-01", "dau": 8_000}
    assert len(statement["daily_dau"]) == 31


def test_a_month_without_logins_has_no_peak_day() -> None:
    assert billing.statement(terms(), "2027-02", Usage(dict.fromkeys(month_days("2027-02"), 0)))["peak_day"] is None


@pytest.mark.holds("F1")
@pytest.mark.parametrize(
    ("month", "charge_day", "charged_on"),
    [("2026-10", 3, "2026-11-03"), ("2026-12", 3, "2027-01-03"), ("2028-02", 1, "2028-03-01")],
)
def test_the_charge_falls_on_its_day_of_the_next_month(month: str, charge_day: int, charged_on: str) -> None:
    chosen = terms(charge_day=charge_day)
    charged = billing.charged(chosen, billing.statement(chosen, month, Usage()))
    assert charged["charged_on"] == charged_on
    assert charged["charged_at_ms"] == BillingCalendar().start_ms(day_of(charged_on))


def test_a_month_closes_before_it_is_charged() -> None:
    closes = billing.next_event(terms(), "2026-10", is_closed=False)
    charges = billing.next_event(terms(), "2026-10", is_closed=True)
    assert (closes, charges) == (1_793_462_400_000, 1_793_635_200_000)


@pytest.mark.parametrize(("month", "after"), [("2026-10", "2026-11"), ("2026-12", "2027-01")])
def test_months_follow_each_other(month: str, after: str) -> None:
    assert billing.next_month(month) == after

"""Price books: the figures of the vendor's pages, and what counts as a different book."""

import copy
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from analysis.prices import Overage, book_of_app_opened, price_books, sites
from tests.analysis.runs import BOOK_2020


def test_the_default_book_has_the_prices_of_the_faq() -> None:
    book = price_books()["2020"]
    assert book.plan_fee == {"trial": 0, "pro": 14_999_000, "ultimate": 44_999_000}
    assert book.dau is not None
    assert (book.dau.free, book.dau.per, book.dau.unit_price) == (10_000, 10_000, 14_999_000)


def test_the_book_of_2021_has_the_risen_prices() -> None:
    book = price_books()["2021-08"]
    assert book.plan_fee == {"trial": 0, "pro": 44_999_000, "ultimate": 89_999_000}
    assert book.dau is not None
    assert book.dau.unit_price == 44_999_000


def test_every_book_names_its_sources_and_dates() -> None:
    for book in price_books().values():
        assert book.sources
        assert all(source.says and source.url for source in book.sources)
        assert book.sites
        assert book.valid_to is None or book.valid_from < book.valid_to


def test_the_list_of_december_2022_bills_months_instead_of_days() -> None:
    book = price_books()["2022-12"]
    assert book.plan_fee == {"trial": 0, "pro": 39_900_000, "ultimate": 69_900_000}
    assert (book.dau, book.mau, book.groups) == (None, Overage(10_000, 1, 1_500), None)


@pytest.mark.parametrize(
    ("name", "plan_fee", "dau", "groups"),
    [
        (
            "cn-2019",
            {"trial": 0, "pro": 99_900_000},
            (100_000, 100_000, 1_000_000_000),
            (100_000, 100_000, 100_000_000),
        ),
        (
            "cn-domestic",
            {"trial": 0, "pro": 99_900_000, "ultimate": 299_900_000},
            (10_000, 10_000, 100_000_000),
            (100_000, 100_000, 100_000_000),
        ),
        (
            "cn-overseas",
            {"trial": 0, "pro": 299_900_000, "ultimate": 599_900_000},
            (10_000, 10_000, 300_000_000),
            (100_000, 100_000, 300_000_000),
        ),
    ],
)
def test_the_lists_of_china_are_in_yuan(
    name: str, plan_fee: dict[str, int], dau: tuple[int, int, int], groups: tuple[int, int, int]
) -> None:
    book = price_books()[name]
    assert (book.currency, book.plan_fee, book.calls) == ("CNY", plan_fee, {})
    assert (book.dau, book.groups) == (Overage(*dau), Overage(*groups))


@pytest.mark.parametrize("name", ["2020", "2021-08", "2022-12"])
def test_call_minutes_cost_what_trtc_prints_for_a_thousand(name: str) -> None:
    book = price_books()[name]
    assert book.calls == {"audio": 99, "hd": 399, "full_hd": 899, "2k": 1_599, "4k": 3_599}
    assert book.call_minutes_free == 10_000


@pytest.mark.parametrize(
    ("site", "opened", "name"),
    [
        ("intl", "2019-12-31", "cn-2019"),
        ("intl", "2020-02-01", "2020"),
        ("intl", "2021-08-05", "2020"),
        ("intl", "2021-08-06", "2021-08"),
        ("intl", "2022-12-25", "2021-08"),
        ("intl", "2022-12-26", "2022-12"),
        ("intl", "2026-10-01", None),
        ("cn-domestic", "2019-06-01", "cn-2019"),
        ("cn-domestic", "2026-10-01", "cn-domestic"),
        ("cn-overseas", "2021-08-05", None),
        ("cn-overseas", "2022-01-01", "cn-overseas"),
        ("nowhere", "2021-01-01", None),
    ],
)
def test_the_day_on_which_an_app_opened_chooses_its_list(site: str, opened: str, name: str | None) -> None:
    book = book_of_app_opened(site, date.fromisoformat(opened))
    assert (book.name if book else None) == name


def test_at_most_one_list_holds_on_any_day_of_a_site() -> None:
    for site in sites():
        spans = sorted((book.valid_from, book.valid_to) for book in price_books().values() if site in book.sites)
        assert all(end is not None and end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_copy_with_more_fields_but_the_same_prices_is_the_same_book() -> None:
    assert price_books()["2020"].differences(BOOK_2020 | {"sources": ["…"]}) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("dau", "unit_price"), 14_999_001),
        (("dau", "free"), 0),
        (("plan_fee", "pro"), 0),
        (("currency",), "CNY"),
        (("groups", "per"), 1),
    ],
)
def test_each_changed_price_is_named(path: tuple[str, ...], value: object) -> None:
    stated: dict[str, Any] = copy.deepcopy(BOOK_2020)
    part = stated if len(path) == 1 else stated[path[0]]
    part[path[-1]] = value
    (difference,) = price_books()["2020"].differences(stated)
    assert ".".join(path) in difference


@pytest.mark.parametrize("extra", [{"mau": {"free": 0, "per": 1, "unit_price": 1}}, {"calls": {"8k": 1}}])
def test_a_price_that_only_the_copy_has_differs_too(extra: dict[str, Any]) -> None:
    assert price_books()["2020"].differences(BOOK_2020 | extra)


def test_a_copy_without_a_price_differs() -> None:
    assert price_books()["2020"].differences({"name": "2020"})

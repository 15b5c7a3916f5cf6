"""Price books: the figures of the vendor's pages, and what counts as a different book."""

import copy
from typing import Any

import pytest

from analysis.prices import price_books
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
        assert book.valid_from < book.valid_to


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


def test_a_copy_without_a_price_differs() -> None:
    assert price_books()["2020"].differences({"name": "2020"})

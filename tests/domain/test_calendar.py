"""Billing days and months, as integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain.calendar import BillingCalendar, day_of, iso_day, month_days, month_of


@pytest.mark.parametrize(
    ("time_ms", "offset_ms", "day"),
    [
        (1_790_783_999_999, 28_800_000, "2026-09-30"),
        (1_790_784_000_000, 28_800_000, "2026-10-01"),
        (1_790_784_000_000, 0, "2026-09-30"),
        (1_790_812_800_000, 0, "2026-10-01"),
        (-1, 0, "1969-12-31"),
    ],
)
def test_a_day_begins_at_midnight_of_its_offset(time_ms: int, offset_ms: int, day: str) -> None:
    assert iso_day(BillingCalendar(offset_ms).day(time_ms)) == day


@pytest.mark.parametrize(
    ("month", "length"), [("2026-10", 31), ("2026-02", 28), ("2028-02", 29), ("2100-02", 28), ("2026-12", 31)]
)
def test_a_month_has_its_days(month: str, length: int) -> None:
    days = month_days(month)

    assert len(days) == length
    assert {month_of(day) for day in days} == {month}
    assert month_of(days.stop) != month


@pytest.mark.parametrize("text", ["2026-13", "2026", "", "2026-10-01", "October"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        month_days(text)


@given(st.integers(-10_000, 60_000), st.integers(-50_400_000, 50_400_000))
def test_a_day_starts_where_it_says(day: int, offset_ms: int) -> None:
    calendar = BillingCalendar(offset_ms)

    assert calendar.day(calendar.start_ms(day)) == day
    assert calendar.day(calendar.start_ms(day) - 1) == day - 1
    assert day_of(iso_day(day)) == day

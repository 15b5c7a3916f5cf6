"""Billing days and months: midnight in UTC+8, month ends, leap years."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain.calendar import (
    DAY_MS,
    BillingCalendar,
    day_of,
    first_of_next_month,
    iso_day,
    month_days,
    month_of,
)

GREENWICH = BillingCalendar(offset_ms=0)
UTC_PLUS_8 = BillingCalendar()
MINUS_5_30 = BillingCalendar(offset_ms=-19_800_000)


@pytest.mark.parametrize(
    ("calendar", "time_ms", "day"),
    [
        (UTC_PLUS_8, 1_790_783_999_999, "2026-09-30"),  # 2026-09-30T15:59:59.999Z
        (UTC_PLUS_8, 1_790_784_000_000, "2026-10-01"),  # 2026-09-30T16:00:00.000Z
        (GREENWICH, 1_790_784_000_000, "2026-09-30"),
        (GREENWICH, 1_790_812_800_000, "2026-10-01"),
        (MINUS_5_30, 1_790_812_800_000, "2026-09-30"),
        (UTC_PLUS_8, -28_800_001, "1969-12-31"),
    ],
)
def test_the_billing_day_changes_at_midnight_of_its_offset(calendar: BillingCalendar, time_ms: int, day: str) -> None:
    assert iso_day(calendar.day(time_ms)) == day


@given(st.integers(-(10**13), 10**13), st.integers(-DAY_MS, DAY_MS))
def test_a_day_begins_at_its_first_millisecond(time_ms: int, offset_ms: int) -> None:
    calendar = BillingCalendar(offset_ms)
    day = calendar.day(time_ms)
    assert calendar.start_ms(day) <= time_ms < calendar.start_ms(day + 1)
    assert calendar.day(calendar.start_ms(day)) == day
    assert calendar.day(calendar.start_ms(day) - 1) == day - 1


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30)), st.integers(-12, 14))  # noqa: DTZ001 -- the zone is given below
def test_days_agree_with_the_standard_library(naive: datetime, hours: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    time_ms = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    day = BillingCalendar(hours * 3_600_000).day(time_ms)
    assert iso_day(day) == naive.date().isoformat()


@pytest.mark.parametrize(
    ("month", "days", "first", "last"),
    [
        ("2026-10", 31, "2026-10-01", "2026-10-31"),
        ("2027-02", 28, "2027-02-01", "2027-02-28"),
        ("2028-02", 29, "2028-02-01", "2028-02-29"),
        ("2100-02", 28, "2100-02-01", "2100-02-28"),
        ("2026-12", 31, "2026-12-01", "2026-12-31"),
    ],
)
def test_a_month_has_its_days(month: str, days: int, first: str, last: str) -> None:
    found = month_days(month)
    assert (len(found), iso_day(found[0]), iso_day(found[-1])) == (days, first, last)


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-12-31", "2027-01-01"), ("2028-01-31", "2028-02-01"), ("2028-02-29", "2028-03-01")],
)
def test_the_month_after_december_is_january(day: str, expected: str) -> None:
    assert iso_day(first_of_next_month(day_of(day))) == expected


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "26-10", "october", "", "2026-10-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        month_days(text)


@given(st.integers(0, 80_000))
def test_a_day_survives_being_written_and_read(day: int) -> None:
    assert day_of(iso_day(day)) == day
    assert day in month_days(month_of(day))

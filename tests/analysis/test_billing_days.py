"""Billing days around midnight and month ends."""

import pytest

from analysis.billing_days import UTC_PLUS_8_MS, day_number, day_of, iso, month_days, start_ms

MIDNIGHT_MS = 1_790_784_000_000
"""2026-10-01T00:00:00+08:00, which is 2026-09-30T16:00:00Z."""


@pytest.mark.parametrize(
    ("time_ms", "offset_ms", "day"),
    [
        (MIDNIGHT_MS - 1, UTC_PLUS_8_MS, "2026-09-30"),
        (MIDNIGHT_MS, UTC_PLUS_8_MS, "2026-10-01"),
        (MIDNIGHT_MS, 0, "2026-09-30"),
        (MIDNIGHT_MS + 8 * 3_600_000, 0, "2026-10-01"),
        (0, 0, "1970-01-01"),
    ],
)
def test_a_day_begins_at_midnight_of_the_offset(time_ms: int, offset_ms: int, day: str) -> None:
    assert iso(day_of(time_ms, offset_ms)) == day


@pytest.mark.parametrize(
    ("month", "length"), [("2026-10", 31), ("2026-11", 30), ("2026-02", 28), ("2028-02", 29), ("2026-12", 31)]
)
def test_a_month_has_its_days(month: str, length: int) -> None:
    days = month_days(month)
    assert len(days) == length
    assert iso(days.start) == f"{month}-01"


def test_the_first_millisecond_of_a_day_is_in_it() -> None:
    day = day_number("2026-11-03")
    at_ms = start_ms(day, UTC_PLUS_8_MS)
    assert [day_of(at_ms - 1, UTC_PLUS_8_MS), day_of(at_ms, UTC_PLUS_8_MS)] == [day - 1, day]


@pytest.mark.parametrize("month", ["2026-13", "2026", "October", ""])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        month_days(month)

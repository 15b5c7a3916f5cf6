"""Billing days and months, as integers.

A billing day is counted from 1970-01-01 in a fixed offset from UTC. The vendor's pages speak of calendar
days and months and name no time zone; UTC+8 is this project's default and a setting of every app.
Integer arithmetic has no daylight-saving or time-zone-database surprises.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

DAY_MS: Final = 86_400_000
UTC_PLUS_8_MS: Final = 8 * 3_600_000

_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class BillingCalendar:
    """Turns the app's time into billing days.

    >>> utc_plus_8 = BillingCalendar()
    >>> iso_day(utc_plus_8.day(1_790_783_999_999))  # 2026-09-30T23:59:59.999+08:00
    '2026-09-30'
    >>> iso_day(utc_plus_8.day(1_790_784_000_000))
    '2026-10-01'
    """

    offset_ms: int = UTC_PLUS_8_MS

    def day(self, time_ms: int) -> int:
        return (time_ms + self.offset_ms) // DAY_MS

    def start_ms(self, day: int) -> int:
        return day * DAY_MS - self.offset_ms


def iso_day(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()


def day_of(iso: str) -> int:
    """Raises ValueError when `iso` is not a date like 2026-10-16."""
    return date.fromisoformat(iso).toordinal() - _EPOCH


def month_of(day: int) -> str:
    return iso_day(day)[:7]


def month_days(month: str) -> range:
    """The days of a month like "2026-10". Raises ValueError when it is not one."""
    first = day_of(f"{month}-01")
    return range(first, first_of_next_month(first))


def first_of_next_month(day: int) -> int:
    this = date.fromordinal(_EPOCH + day)
    year, month = divmod(this.year * 12 + this.month, 12)
    return date(year, month + 1, 1).toordinal() - _EPOCH

"""Billing days as integers: days since 1970-01-01 in a fixed offset from UTC.

The vendor's pages speak of calendar days and months and name no time zone, so the offset is a reading of the plan
(UTC+8 by default). Written for the audit alone: sharing this with a server would share its mistakes.
"""

from datetime import date
from typing import TYPE_CHECKING, Final, overload

if TYPE_CHECKING:
    import pandas as pd

DAY_MS: Final = 86_400_000
UTC_PLUS_8_MS: Final = 28_800_000

_EPOCH: Final = date(1970, 1, 1).toordinal()


@overload
def day_of(time_ms: int, offset_ms: int) -> int: ...
@overload
def day_of(time_ms: "pd.Series[int]", offset_ms: int) -> "pd.Series[int]": ...
def day_of(time_ms: "int | pd.Series[int]", offset_ms: int) -> "int | pd.Series[int]":
    """Return the billing day of a time, or of a column of times.

    >>> iso(day_of(1_790_783_999_999, UTC_PLUS_8_MS))  # 2026-09-30T23:59:59.999+08:00
    '2026-09-30'
    >>> iso(day_of(1_790_784_000_000, UTC_PLUS_8_MS))
    '2026-10-01'
    """
    return (time_ms + offset_ms) // DAY_MS


def start_ms(day: int, offset_ms: int) -> int:
    """Return the first millisecond of a billing day."""
    return day * DAY_MS - offset_ms


def iso(day: int) -> str:
    """Return the ISO date of a billing day."""
    return date.fromordinal(_EPOCH + day).isoformat()


def day_number(text: str) -> int:
    """Return the number of an ISO date. Raises ValueError when it is none."""
    return date.fromisoformat(text).toordinal() - _EPOCH


def month_days(month: str) -> range:
    """Return the days of a month like "2026-10". Raises ValueError when it is none.

    >>> len(month_days("2028-02"))
    29
    """
    first = date.fromisoformat(f"{month}-01")
    year, next_month = divmod(first.year * 12 + first.month, 12)
    end = date(year, next_month + 1, 1)
    return range(first.toordinal() - _EPOCH, end.toordinal() - _EPOCH)

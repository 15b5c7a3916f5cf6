"""A history: daily active users as somebody counted them, read from a file and checked; missing days stay missing."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pandas as pd

COLUMNS: Final = ("date", "dau")
DAYS_MAX: Final = 36_600
"""A century: beyond it a date is mistyped."""
_DAYS_NAMED: Final = 3


class HistoryError(Exception):
    """Raised with one sentence that says what is wrong with a history."""


@dataclass(frozen=True, slots=True)
class History:
    """DAU by day; `days` has every day from the first to the last, NaN where the file has none."""

    days: pd.Series

    @property
    def first(self) -> pd.Timestamp:
        return _time(self.days.index[0])

    @property
    def last(self) -> pd.Timestamp:
        return _time(self.days.index[-1])

    @property
    def known(self) -> int:
        """Days that the file has."""
        return int(self.days.notna().sum())

    def before(self, day: pd.Timestamp) -> "History":
        """Return what was known before a day. Raises HistoryError when that is nothing."""
        known = self.days[: day - pd.Timedelta(days=1)].dropna()
        if known.empty:
            raise HistoryError(f"the history begins on {self.first:%Y-%m-%d}: nothing is known before {day:%Y-%m-%d}")
        return History(self.days[: known.index[-1]])

    def month(self, month: pd.Period) -> pd.Series:
        """Return the days of a month, NaN for those that are missing, also beyond the history's ends."""
        return self.days.reindex(pd.date_range(month.start_time, periods=month.days_in_month))

    def months(self) -> list[pd.Period]:
        """Name the months of which at least one day is known."""
        return list(pd.DatetimeIndex(self.days.dropna().index).to_period("M").unique())


def read(path: Path) -> History:
    """Read a CSV file with the columns `date` (ISO) and `dau` (a whole number); the order of its rows is free.

    Raises HistoryError, naming the line, for what is no day or no count, and for a day that stands there twice.
    """
    days: dict[date, int] = {}
    for line, (day_text, dau_text) in _rows(path):
        day, dau = _day(path, line, day_text), _dau(path, line, dau_text)
        if day in days:
            raise HistoryError(f"{path}, line {line}: {day} stands there twice")
        days[day] = dau
    if not days:
        raise HistoryError(f"{path}: it has no days")
    if (max(days) - min(days)).days > DAYS_MAX:
        raise HistoryError(f"{path}: it spans {min(days)} to {max(days)}; one of its dates is mistyped")
    index = pd.to_datetime(list(days))
    return History(pd.Series(list(days.values()), index=index, dtype=float).sort_index().asfreq("D"))


def named(days: Sequence[pd.Timestamp]) -> str:
    """Name some days, the first ones only where they are many.

    >>> named(list(pd.date_range("2011-12-12", periods=5)))
    '2011-12-12, 2011-12-13, 2011-12-14 and 2 more'
    """
    shown = ", ".join(f"{day:%Y-%m-%d}" for day in days[:_DAYS_NAMED])
    return shown + (f" and {len(days) - _DAYS_NAMED} more" if len(days) > _DAYS_NAMED else "")


def _time(label: object) -> pd.Timestamp:
    assert isinstance(label, pd.Timestamp), "the index holds days"
    return label


def _rows(path: Path) -> list[tuple[int, tuple[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise HistoryError(f"{path}: it needs a first line with the columns date and dau")
            return [(reader.line_num, (row["date"] or "", row["dau"] or "")) for row in reader]
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise HistoryError(f"{path}: is no CSV file in UTF-8: {error}") from error


def _day(path: Path, line: int, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise HistoryError(f"{path}, line {line}: {text!r} is not a date like 2008-01-31") from None


def _dau(path: Path, line: int, text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdecimal():
        raise HistoryError(f"{path}, line {line}: {text!r} is not a whole number of users")
    return int(text)

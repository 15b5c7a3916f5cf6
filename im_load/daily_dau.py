"""How many distinct users each day of a month has: a weekly rhythm with a spike, or a real month from a file."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Final

WEEKDAY_PERMILLE: Final = (960, 940, 950, 970, 1_020, 1_100, 1_060)
"""Monday to Sunday, 1,000 on average: chat grows towards the weekend. An assumption, not a measurement."""


YEARS: Final = range(1971, 2199)
"""The server's clock begins with 1970 and ends with 2199; a run also needs the days before and after its month."""


class WrongInputError(ValueError):
    """Raised when an option or a file cannot be used; the message says what is wrong, where, and what to do."""


def month_dates(month: str) -> list[date]:
    """Raises WrongInputError when `month` is not a month like 2026-10, or not one that a clock can show."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        message = f"--month {month!r}: a month is written like 2026-10"
        raise WrongInputError(message) from error
    if first.year not in YEARS:
        message = f"the month {month} cannot be played: years from {YEARS[0]} to {YEARS[-1]} can"
        raise WrongInputError(message)
    # Day 28 exists in every month, and four days later lies the next one.
    after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return [first + timedelta(days=days) for days in range((after - first).days)]


def with_spike(dates: Sequence[date], baseline: int, peak: int, spike: date) -> dict[date, int]:
    """A weekly rhythm around `baseline` and one day with exactly `peak` users; no other day has more."""
    return {day: peak if day == spike else min(peak, _rhythm(baseline, day)) for day in dates}


def _rhythm(baseline: int, day: date) -> int:
    return (baseline * WEEKDAY_PERMILLE[day.weekday()] + 500) // 1_000


def from_csv(path: Path, scale: Decimal) -> dict[date, int]:
    """Each day's `dau` times `scale`, in decimal, rounded half up. The columns are `date` (ISO) and `dau`.

    Raises WrongInputError with the line: a gap, a duplicate, a negative or anything that is not a number.
    """
    rows = _rows(path)
    days: dict[date, int] = {}
    for line, day_text, dau_text in rows:
        day = _date(path, line, day_text)
        if day in days:
            message = f"{path}, line {line}: {day} stands there twice; leave one of the two"
            raise WrongInputError(message)
        days[day] = _scaled(_number(path, line, dau_text), scale)
    if not days:
        message = f"{path}: there are no days in it; it needs rows below the header date,dau"
        raise WrongInputError(message)
    _check_whole_month(path, days)
    return dict(sorted(days.items()))


def _rows(path: Path) -> list[tuple[int, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"date", "dau"} <= set(reader.fieldnames or ()):
                message = f"{path}, line 1: the header must name the columns date and dau"
                raise WrongInputError(message)
            return [(reader.line_num, row["date"] or "", row["dau"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"--dau-csv {path}: cannot be read: {error}"
        raise WrongInputError(message) from error


def _date(path: Path, line: int, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        message = f"{path}, line {line}: {text!r} is not a date like 2008-01-31"
        raise WrongInputError(message) from error


def _number(path: Path, line: int, text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation as error:
        message = f"{path}, line {line}: {text!r} is not a number"
        raise WrongInputError(message) from error
    if not number.is_finite() or number < 0:
        message = f"{path}, line {line}: DAU cannot be {text.strip()}"
        raise WrongInputError(message)
    return number


def _scaled(number: Decimal, scale: Decimal) -> int:
    return int((number * scale).to_integral_value(ROUND_HALF_UP))


def _check_whole_month(path: Path, days: Mapping[date, int]) -> None:
    months = sorted({day.isoformat()[:7] for day in days})
    if len(months) > 1:
        message = f"{path}: it spans {months[0]} to {months[-1]}; a run plays one month, cut the file to it"
        raise WrongInputError(message)
    missing = [day.isoformat() for day in month_dates(months[0]) if day not in days]
    if missing:
        message = f"{path}: {_listed(missing)} missing; every day of {months[0]} is needed"
        raise WrongInputError(message)


def _listed(days: Iterable[str]) -> str:
    days = list(days)
    shown = ", ".join(days[:3]) + (f" and {len(days) - 3} more" if len(days) > 3 else "")  # noqa: PLR2004 -- enough to find the place
    return f"{shown} {'is' if len(days) == 1 else 'are'}"

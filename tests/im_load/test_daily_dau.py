"""How many users each day has: the spike and a file."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from im_load.daily_dau import WrongInputError, from_csv, month_dates, with_spike


def a_csv(folder: Path, text: str) -> Path:
    path = folder / "month.csv"
    path.write_text(text)
    return path


def february(**changed: str) -> str:
    rows = [f"2027-02-{day:02},{changed.get(f'd{day}', '100')}" for day in range(1, 29)]
    return "\n".join(["date,dau", *rows]) + "\n"


def test_a_month_has_its_days_in_leap_years_too() -> None:
    assert len(month_dates("2028-02")) == 29
    assert month_dates("2026-12")[-1] == date(2026, 12, 31)


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "x", "", "2026-10-01"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(WrongInputError, match="--month"):
        month_dates(month)


def test_the_spike_is_exact_and_the_other_days_follow_the_week() -> None:
    dates = month_dates("2026-10")

    days = with_spike(dates, baseline=8_000, peak=1_000_000, spike=dates[15])

    assert days[date(2026, 10, 16)] == 1_000_000
    assert [days[date(2026, 10, day)] for day in range(5, 12)] == [7_680, 7_520, 7_600, 7_760, 8_160, 8_800, 8_480]


def test_no_day_is_higher_than_the_spike() -> None:
    dates = month_dates("2026-10")

    assert max(with_spike(dates, 100, 100, dates[15]).values()) == 100


@pytest.mark.parametrize(
    ("dau", "scale", "expected"), [("5", "0.1", 1), ("4", "0.1", 0), ("25", "0.1", 3), ("1", "3", 3)]
)
def test_a_day_is_scaled_in_decimal_and_rounded_half_up(tmp_path: Path, dau: str, scale: str, expected: int) -> None:
    path = a_csv(tmp_path, february(d1=dau))

    assert from_csv(path, Decimal(scale))[date(2027, 2, 1)] == expected


def test_the_example_month_is_whole() -> None:
    assert len(from_csv(Path("examples/daily-traffic-2008-01.csv"), Decimal("0.1"))) == 31


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (february().replace("2027-02-07,100\n", ""), "2027-02-07 is missing"),
        (february() + "2027-02-03,5\n", "line 30: 2027-02-03 stands there twice"),
        (february(d4="-5"), "line 5: DAU cannot be -5"),
        (february(d4="many"), "line 5: 'many' is not a number"),
        (february(d4="NaN"), "line 5: DAU cannot be NaN"),
        (february(d4=""), "line 5: '' is not a number"),
        (february().replace("2027-02-09", "09.02.2027"), "line 10: '09.02.2027' is not a date"),
        (february() + "2027-03-01,5\n", "spans 2027-02 to 2027-03"),
        ("day,users\n", "line 1: the header"),
        ("date,dau\n", "no days"),
        ("", "line 1: the header"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(WrongInputError, match=said):
        from_csv(a_csv(tmp_path, text), Decimal(1))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match=r"none\.csv"):
        from_csv(tmp_path / "none.csv", Decimal(1))

"""The forecast: what is drawn from a history, what it costs, how often it holds, and what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import backtests, forecasts, histories
from analysis.__main__ import main
from analysis.forecasts import outcomes
from analysis.histories import History, HistoryError
from analysis.prices import price_books

FOUR_YEARS = Path("examples/daily-traffic-2008-2011.csv")
BOOK = price_books()["2020"]


def a_history(days: Mapping[str, int] | None = None, *, weeks: int = 60, weekend: int = 3) -> History:
    """1,000 users on each day from a Monday on, `weekend` times as many on Sundays; and whatever else is said."""
    index = pd.date_range("2024-01-01", periods=7 * weeks)
    dau = pd.Series(np.where(index.day_of_week == 6, 1_000.0 * weekend, 1_000.0), index)
    for day, users in (days or {}).items():
        dau[pd.Timestamp(day)] = users
    return History(dau)


def a_file(folder: Path, *rows: str) -> Path:
    path = folder / "history.csv"
    path.write_text("\n".join(["date,dau", *rows]) + "\n")
    return path


def test_a_history_that_never_changes_is_forecast_to_stay() -> None:
    made = forecasts.forecast(a_history(), pd.Period("2025-03", "M"), seed=7, samples=500)
    assert set(made.peaks) == {3_000}


def test_sundays_stay_sundays() -> None:
    made = forecasts.forecast(a_history(), pd.Period("2025-03", "M"), seed=7, samples=10)
    middle = pd.Series(np.nanmedian(made.paths, axis=0), made.days)
    is_sunday = made.days.day_of_week == 6
    assert middle.to_numpy() == pytest.approx(np.where(is_sunday, 3_000, 1_000))


def test_a_level_that_doubled_doubles_the_forecast() -> None:
    history = a_history()
    history.days.iloc[-28:] *= 2
    made = forecasts.forecast(history, pd.Period("2025-03", "M"), seed=7, samples=500)
    assert made.peak(0.5) >= 6_000


def test_the_same_seed_gives_the_same_forecast_and_another_one_another() -> None:
    history, month = histories.read(FOUR_YEARS), pd.Period("2012-01", "M")
    first, again, other = (forecasts.forecast(history, month, seed=seed, samples=500) for seed in (7, 7, 8))
    assert (first.peaks == again.peaks).all()
    assert (first.peaks != other.peaks).any()


def test_a_day_of_the_month_that_is_known_already_bounds_its_peak() -> None:
    history = a_history({"2025-02-20": 50_000})
    made = forecasts.forecast(History(history.days[:"2025-02-21"]), pd.Period("2025-02", "M"), seed=7, samples=500)
    assert made.peaks.min() == 50_000
    assert made.days[0] == pd.Timestamp("2025-02-22")


def test_missing_days_are_unknown_and_not_zero() -> None:
    whole, holed = a_history(), a_history()
    holed.days.iloc[[100, 200, 300, -3, -10]] = np.nan
    month = pd.Period("2025-03", "M")
    made = [forecasts.forecast(each, month, seed=7, samples=500).peak(0.5) for each in (whole, holed)]
    assert made == [3_000, 3_000]


def test_a_day_without_users_is_a_day() -> None:
    history = a_history({"2024-06-03": 0, "2025-02-20": 0})
    assert forecasts.forecast(history, pd.Period("2025-03", "M"), seed=7, samples=100).peak(0.5) >= 3_000


@pytest.mark.parametrize(
    ("peak", "units", "from_dau", "total_cents"),
    [
        (10_000, 0, 0, 14_999),
        (10_001, 1, 10_001, 29_998),
        (20_000, 1, 10_001, 29_998),
        (20_001, 2, 20_001, 44_997),
        (1_000_000, 99, 990_001, 1_499_900),
    ],
)
def test_an_outcome_is_priced_as_a_bill_is(peak: int, units: int, from_dau: int, total_cents: int) -> None:
    (found,) = outcomes(np.array([peak]), BOOK, "pro")
    assert (found.units, found.from_dau, found.chance, found.total_cents) == (units, from_dau, 1.0, total_cents)


def test_chances_sum_to_one() -> None:
    made = forecasts.forecast(histories.read(FOUR_YEARS), pd.Period("2012-01", "M"), seed=7, samples=1_000)
    assert sum(one.chance for one in outcomes(made.peaks, BOOK, "pro")) == pytest.approx(1)


def test_four_years_are_forecast_as_well_as_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forecast", str(FOUR_YEARS), "--validate", "--samples", "2000", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert 0.83 <= document["coverage"] <= 0.97
    assert all(month["width_ratio"] < 1 for month in document["months"])
    assert [month["month"] for month in document["months"]][:1] == ["2009-01"]
    assert len(document["months"]) == 36


def test_a_forecast_of_the_past_knows_nothing_of_what_came() -> None:
    history = histories.read(FOUR_YEARS)
    changed = History(history.days.copy())
    changed.days["2010-09":] = 7_000_000  # type: ignore[misc]  # pandas takes dates as text, its stubs do not
    of_past = [
        backtests.backtest(History(each.days[:"2010-12"]), seed=7, samples=200).scores for each in (history, changed)
    ]
    before = [[score for score in scores if score.month <= "2010-08"] for scores in of_past]
    september = [next(score for score in scores if score.month == "2010-09") for scores in of_past]
    assert before[0] == before[1]
    assert september[0].high == september[1].high
    assert (september[0].peak, september[1].peak) == (91_684, 7_000_000)


def test_intervals_that_miss_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A calm year, then two in which each month has a day of its own that nothing announced."""
    history = a_history(weeks=156)
    tops = [f"{month}-15" for month in pd.period_range("2025-01", "2026-11", freq="M")]
    for number, day in enumerate(tops):
        history.days[pd.Timestamp(day)] = 10_000.0 * 3**number
    rows = [f"{day:%Y-%m-%d},{dau:.0f}" for day, dau in history.days.items()]
    assert main(["forecast", str(a_file(tmp_path, *rows)), "--validate", "--samples", "200"]) == 1
    assert "THE INTERVAL DOES NOT HOLD" in capsys.readouterr().out


def test_a_month_of_which_most_days_are_missing_is_not_scored(capsys: pytest.CaptureFixture[str]) -> None:
    history = a_history(weeks=156)
    history.days["2025-07-02":"2025-07-31"] = np.nan  # type: ignore[misc]  # as above
    assert backtests.backtest(history, seed=7, samples=100).unscored == ["2025-07"]


def test_the_forecast_says_what_it_knows_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forecast", str(FOUR_YEARS), "--month", "2010-02"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("forecast of 2010-02: plan pro, price book 2020\nfrom 722 days, 2008-01-01 to 2010-01-31")
    assert "40 days are missing in the history (2008-01-31," in text
    assert "next unit  from a peak of" in text


def test_the_last_known_month_may_have_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = a_history().days.drop(pd.Timestamp("2025-02-19"))[:"2025-02-21"]
    path = a_file(tmp_path, *(f"{day:%Y-%m-%d},{dau:.0f}" for day, dau in days.items()))
    assert main(["forecast", str(path)]) == 0
    text = capsys.readouterr().out
    assert "20 days of 2025-02 are known, 3,000 the highest; the rest is simulated" in text
    assert "missing in 2025-02: 2025-02-19; the peak may have been on them" in text


def test_a_fan_chart_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "fan.svg"
    assert main(["forecast", str(FOUR_YEARS), "--samples", "200", "--plot", str(picture)]) == 0
    assert "2012-01 as it may come" in picture.read_text()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["2024-01-01,5", "2024-01-01,6"], "line 3: 2024-01-01 stands there twice"),
        (["2024-01-32,5"], "line 2: '2024-01-32' is not a date like 2008-01-31"),
        (["2024-01-01,-5"], "line 2: '-5' is not a whole number of users"),
        (["2024-01-01,"], "line 2: '' is not a whole number of users"),
        (["2024-01-01,5", "9024-01-01,5"], "one of its dates is mistyped"),
        ([], "it has no days"),
        (["2024-01-01,5", "2024-01-02,5"], "2 known days before 2024-01-03 are too few: about 16 weeks are the least"),
    ],
)
def test_a_history_that_cannot_be_used_is_refused_in_one_line(
    rows: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", str(a_file(tmp_path, *rows))]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--month", "2012-13"], "a month like 2026-11 is needed"),
        (["--month", "2013-12"], "begins more than 100 days later"),
        (["--month", "2007-12"], "nothing is known before 2007-12-01"),
        (["--month", "2008-02"], "are too few"),
        (["--plan", "trial"], "refuses instead of charging"),
        (["--plan", "gold"], "plan 'gold' is unknown"),
        (["--price-book", "2022-12"], "charges the month's different users"),
        (["--price-book", "1999"], "price book '1999' is unknown"),
        (["--plot", "fan.gif"], "a name that ends in one of .png, .svg, .pdf is needed"),
    ],
)
def test_wrong_use_is_refused_in_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forecast", str(FOUR_YEARS), *arguments]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("day,users\n2024-01-01,5\n")
    with pytest.raises(HistoryError, match="columns date and dau"):
        histories.read(path)
    with pytest.raises(HistoryError, match="cannot be read"):
        histories.read(tmp_path / "none.csv")

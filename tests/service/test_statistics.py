"""The figures of days."""

from mock_im_server.service.statistics import DAYS_KEPT, Statistics


def test_days_of_more_than_a_month_ago_are_forgotten() -> None:
    statistics = Statistics()
    for day in range(DAYS_KEPT + 1):
        statistics.count(day, "LoginTimes")

    assert [statistics.of_day(day)["LoginTimes"] for day in (0, 1, DAYS_KEPT)] == [0, 1, 1]


def test_after_a_restart_too() -> None:
    statistics = Statistics()
    statistics.restore({(day, "LoginTimes"): 1 for day in reversed(range(DAYS_KEPT + 1))})

    assert [statistics.of_day(day)["LoginTimes"] for day in (0, 1, DAYS_KEPT)] == [0, 1, 1]

"""What the web UI's tables say."""

from im_load import live_tab
from im_load.plans.limits import Quota

STATUS = {
    "day": "2026-10-16",
    "dau": 12_000,
    "peak_dau": 12_000,
    "accounts": 40,
    "groups": 60,
    "live_groups": 49,
    "units": {"dau": 1, "groups": 0},
    "total_cents": 29_998,
    "currency": "USD",
}


def test_the_figures_are_those_of_the_apps_status() -> None:
    rows = live_tab.figures_of(STATUS, [Quota("live_groups", 50, 10036)], answered=900, arrivals=1_000)
    assert [(row["what"], row["now"], row["of"]) for row in rows] == [
        ("billing day", "2026-10-16", ""),
        ("DAU", "12,000", ""),
        ("peak DAU of the month", "12,000", ""),
        ("units of DAU so far", "1", ""),
        ("units of groups so far", "0", ""),
        ("bill so far", "299.98 USD", ""),
        ("live groups", "49", "50"),
        ("requests answered", "900", "1,000"),
    ]


def test_before_the_run_there_is_nothing_to_show() -> None:
    assert live_tab.figures_of({}, [], answered=0, arrivals=0) == []


def test_lost_points_stand_first_and_idle_ones_nowhere() -> None:
    points = [
        {"name": "Japan", "state": "up", "capacity": 1.0, "connections": 3},
        {"name": "Korea", "state": "up", "capacity": 1.0, "connections": 0},
        {"name": "Singapore", "state": "down", "capacity": 1.0, "connections": 0},
        {"name": "Taiwan", "state": "up", "capacity": 0.5, "connections": 1},
    ]
    rows = live_tab.points_of(points)
    assert [(row["access point"], row["state"], row["capacity"]) for row in rows] == [
        ("Singapore", "down", "100%"),
        ("Taiwan", "up", "50%"),
        ("Japan", "up", "100%"),
    ]

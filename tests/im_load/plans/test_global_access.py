"""A world population: awake by local clocks, counted by the app's day."""

import numpy as np

from im_load import population
from im_load.plans.arrivals import DAY_MS, HOUR_MS
from im_load.plans.global_access import GlobalAccessOptions, GlobalAccessPlan
from im_load.plans.month import HOUR_WEIGHTS
from im_load.plans.trouble import Change
from tests.im_load.plans.judging import assert_played_by_any_number_of_drivers, assert_sound

TROUBLE = (Change(0, HOUR_MS // 2, "jp", "down", None), Change(0, 5 * HOUR_MS, "jp", "up", None))


def a_plan(dau: int = 20_000, *, trouble: tuple[Change, ...] = ()) -> GlobalAccessPlan:
    options = GlobalAccessOptions(seed=7, month="2026-10", app_plan="pro", daily_dau=(dau, dau), trouble=trouble)
    return GlobalAccessPlan(options)


def test_the_plan_is_sound_and_the_same_for_any_number_of_drivers() -> None:
    assert_sound(a_plan(500, trouble=TROUBLE))
    assert_played_by_any_number_of_drivers(a_plan(500), 3)


def test_users_live_in_cities_by_their_shares() -> None:
    world = population.cities()
    homes = world.home_of(7, np.arange(200_000))
    of_india = np.array([country == "IN" for country in world.countries])

    assert abs(of_india[homes].mean() - world.shares_ppm[of_india].sum() / 1e6) < 0.005
    assert (world.home_of(7, np.arange(100)) == homes[:100]).all()


def test_everywhere_the_evening_is_busier_than_the_night() -> None:
    plan = a_plan()
    day = plan.day(1)
    offsets = plan.world.utc_offsets_ms[plan.world.home_of(7, day.users)]
    local_hours = (day.times_ms - 8 * HOUR_MS + offsets) % DAY_MS // HOUR_MS
    for offset in (np.unique(offsets)[0], 0, 8 * HOUR_MS, 330 * 60_000):
        here = np.bincount(local_hours[offsets == offset], minlength=24)
        if here.sum() > 500:
            assert here[20:22].sum() > 3 * here[3:5].sum()
    everybody = np.bincount(local_hours, minlength=24) / len(day)
    assert np.corrcoef(everybody, HOUR_WEIGHTS)[0, 1] > 0.95


def test_the_clock_stands_still_where_something_happens() -> None:
    steps = a_plan(trouble=TROUBLE).phases[0].steps_ms()

    assert {HOUR_MS // 2, 5 * HOUR_MS} <= set(steps)
    assert list(steps) == sorted(set(steps))


def test_trouble_changes_nothing_of_what_is_planned() -> None:
    days = [plan.as_json("global_access", {})["days"] for plan in (a_plan(), a_plan(trouble=TROUBLE))]

    assert days[0] == days[1]
    assert [change["code"] for change in a_plan(trouble=TROUBLE).totals()["trouble"]] == ["jp", "jp"]

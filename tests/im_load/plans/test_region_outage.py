"""A day with an outage: lost in a busy hour when many are online, back on the same day; the plan stays the same."""

import numpy as np
import pytest

from im_load.plans.arrivals import DAY_MS, HOUR_MS
from im_load.plans.global_access import GlobalAccessOptions, GlobalAccessPlan
from im_load.plans.region_outage import RegionOutageOptions, RegionOutagePlan
from tests.im_load.plans.judging import assert_played_by_any_number_of_drivers, assert_sound, rows


def a_plan(dau: int = 5_000, hours: int = 3) -> RegionOutagePlan:
    return RegionOutagePlan(
        RegionOutageOptions(
            seed=7, month="2026-10", app_plan="pro", daily_dau=(dau,), outage="busiest", outage_hours=hours
        )
    )


def test_the_plan_is_sound_and_the_same_for_any_number_of_drivers() -> None:
    assert_sound(a_plan(500))
    assert_played_by_any_number_of_drivers(a_plan(500), 2)


@pytest.mark.parametrize("hours", [1, 3, 12])
def test_the_point_is_lost_when_half_have_come_and_back_before_midnight(hours: int) -> None:
    plan = a_plan(hours=hours)
    lost, back = plan.trouble

    assert (lost.state, back.state) == ("down", "up")
    assert back.at_ms - lost.at_ms == hours * HOUR_MS
    assert back.at_ms < DAY_MS
    if hours < 12:
        assert np.mean(plan.day(0).times_ms < lost.at_ms) > 0.5


def test_the_phases_are_the_day_of_a_plan_without_an_outage() -> None:
    undisturbed = GlobalAccessPlan(
        GlobalAccessOptions(seed=7, month="2026-10", app_plan="pro", daily_dau=(5_000,))
    ).phases[0]

    before, after = a_plan().phases
    assert rows(before.make()) + rows(after.make()) == rows(undisturbed.make())
    assert (before.until_ms, after.until_ms) == (a_plan().trouble[1].at_ms, DAY_MS)

"""A month of logins: a pure function of options and seed."""

import numpy as np
import pytest

from im_load.plans import month
from im_load.plans.arrivals import DAY_MS, GOOD_SIG, LOGIN, RESUME, SECOND_MS, STEPS_MS, Arrivals
from im_load.plans.month import MonthOptions, MonthPlan

DAU = (0, 900, 1_100, 5_000, 1_000, 800, 1_200)


def a_plan(seed: int = 7, daily: tuple[int, ...] = DAU, app_plan: str = "pro") -> MonthPlan:
    return MonthPlan(MonthOptions(seed=seed, month="2026-10", app_plan=app_plan, daily_dau=daily))


def rows(day: Arrivals) -> list[tuple[int, ...]]:
    columns = (day.users, day.kinds, day.times_ms, day.sigs)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def admitted(day: Arrivals) -> np.ndarray:
    return day.users[(day.sigs == GOOD_SIG) & (day.verbs == LOGIN)]


@pytest.mark.parametrize("index", range(len(DAU)))
def test_the_same_seed_gives_the_same_plan(index: int) -> None:
    assert rows(a_plan().day(index)) == rows(a_plan().day(index))


def test_another_seed_gives_another_plan() -> None:
    assert rows(a_plan(seed=8).day(3)) != rows(a_plan(seed=7).day(3))


@pytest.mark.parametrize("index", range(len(DAU)))
def test_exactly_the_planned_users_are_admitted(index: int) -> None:
    assert len(np.unique(admitted(a_plan().day(index)))) == DAU[index]


@pytest.mark.parametrize("index", range(1, len(DAU)))
def test_who_resumes_after_midnight_logged_in_just_before_and_not_on_the_day(index: int) -> None:
    yesterday, today = a_plan().day(index - 1), a_plan().day(index)
    resumes = today.kinds == month.HELD_OVER
    late = yesterday.users[yesterday.kinds == month.BEFORE_MIDNIGHT]

    assert set(today.users[resumes].tolist()) == set(late.tolist()) - set(admitted(today).tolist())
    assert (today.verbs == RESUME).tolist() == resumes.tolist()
    assert (today.times_ms[resumes] < SECOND_MS).all()


def test_nobody_resumes_where_the_login_before_may_have_been_refused() -> None:
    plan = a_plan(app_plan="trial")
    assert not any((plan.day(index).verbs == RESUME).any() for index in range(len(DAU)))


@pytest.mark.parametrize("drivers", [1, 2, 3, 8])
def test_the_shares_of_any_number_of_drivers_are_the_whole_plan_once(drivers: int) -> None:
    day = a_plan().day(3)
    shares = [day.share(number, drivers).tolist() for number in range(drivers)]

    assert sorted(place for share in shares for place in share) == list(range(len(day)))
    owners = [set(day.users[share].tolist()) for share in shares]
    assert sum(map(len, owners)) == len(set.union(*owners)), "a user belongs to one driver"


def test_one_user_in_ten_comes_again_the_same_day_and_some_on_a_second_device() -> None:
    kinds = np.bincount(a_plan().day(3).kinds, minlength=len(month.KINDS))

    assert kinds[month.AGAIN] + kinds[month.SECOND_DEVICE] >= 500
    assert kinds[month.SECOND_DEVICE] > 100


def test_some_users_log_in_on_both_sides_of_midnight_and_never_else_on_the_first_day() -> None:
    both = a_plan(daily=(3_000, 3_000))
    first, second = both.day(0), both.day(1)
    late = set(first.users[first.kinds == month.BEFORE_MIDNIGHT].tolist())
    early = set(second.users[second.kinds == month.AFTER_MIDNIGHT].tolist())

    assert late & early
    assert all((first.times_ms[first.users == user] >= DAY_MS - SECOND_MS).all() for user in late & early), (
        "counting the login on the next day would change the first day's DAU"
    )
    assert (second.times_ms[second.kinds == month.AFTER_MIDNIGHT] < SECOND_MS).all()


@pytest.mark.parametrize("index", [1, 3, 6])
def test_who_is_refused_comes_on_no_other_ground_that_day(index: int) -> None:
    day = a_plan().day(index)
    refused = day.users[day.sigs != GOOD_SIG]

    assert len(refused) >= 6
    assert not set(refused.tolist()) & set(admitted(day).tolist())
    assert set(day.codes()) == {0, 70001, 70002, 70003, 70009, 70013, 70014}


def test_arrivals_are_in_the_order_of_the_day() -> None:
    times = a_plan().day(3).times_ms

    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < DAY_MS


def test_a_day_has_at_least_24_steps_its_first_and_last_second_among_them() -> None:
    assert len(STEPS_MS) >= 24
    assert STEPS_MS[0] == 0
    assert DAY_MS - SECOND_MS <= STEPS_MS[-1] < DAY_MS


def test_the_plan_file_states_the_expected_outcome() -> None:
    content = a_plan().as_json("dau_spike", {})

    assert content["arrivals"] == sum(day["arrivals"] for day in content["days"])
    assert [day["dau_max"] for day in content["days"]] == [*DAU, *[0] * (31 - len(DAU))]
    assert all(day["arrivals"] == sum(day["codes"].values()) for day in content["days"])


def test_a_trial_is_a_race_after_the_first_day_with_anybody() -> None:
    days = a_plan(app_plan="trial").as_json("dau_spike", {})["days"]

    assert [(day["dau_min"], day["dau_max"]) for day in days[:4]] == [(0, 0), (100, 100), (0, 100), (0, 100)]
    assert days[1]["codes"] is None


def test_a_month_in_which_nobody_comes_is_a_plan_too() -> None:
    assert a_plan(daily=(0, 0)).first_rows() == [0, 0, 0]

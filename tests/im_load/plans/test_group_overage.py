"""Many groups: no day and no owner has more than the quotas allow, and the peak is what was asked for."""

import numpy as np
import pytest

from im_load.daily_dau import WrongInputError
from im_load.plans.group_overage import GroupOverageOptions, GroupOveragePlan
from tests.im_load.plans.judging import (
    Outcome,
    assert_as_expected,
    assert_played_by_any_number_of_drivers,
    assert_sound,
    raced,
)


def a_plan(
    groups: int = 25_000, destroy: int = 7_000, app_plan: str = "pro", month: str = "2026-10"
) -> GroupOveragePlan:
    options = GroupOverageOptions(seed=7, month=month, app_plan=app_plan, groups=groups, destroy=destroy)
    return GroupOveragePlan(options)


@pytest.mark.parametrize(("groups", "destroy"), [(25_000, 7_000), (20_000, 20_000), (1, 0), (10_499, 3)])
def test_the_quotas_give_what_the_plan_expects(groups: int, destroy: int) -> None:
    plan, rng = a_plan(groups, destroy), np.random.default_rng(7)
    exist: dict[int, int] = {}
    of_owner: dict[int, int] = {}
    net: dict[int, int] = {}
    most = 0
    for index, phase in enumerate(plan.phases):
        outcome = Outcome()
        for verb, user, group in raced(phase.make(), rng):
            code = 0
            if verb == "create_group":
                if user >= 0 and of_owner.get(user, 0) == 500:
                    code = 10037
                elif net.get(phase.day, 0) == 10_000:
                    code = 10006
                else:
                    exist[group] = user
                    of_owner[user] = of_owner.get(user, 0) + 1
                    net[phase.day] = net.get(phase.day, 0) + 1
            elif verb == "destroy_group":
                del exist[group]
                net[phase.day] = net.get(phase.day, 0) - 1
            most = max(most, len(exist))
            outcome.note(verb, code)
        assert_as_expected(plan, index, outcome)

    assert most == groups
    assert len(exist) == groups - destroy
    assert plan.totals() == {"peak_groups": [groups, groups]}


def test_the_parts_fit() -> None:
    assert_sound(a_plan())


@pytest.mark.parametrize("drivers", [1, 4])
def test_any_number_of_drivers_plays_the_same(drivers: int) -> None:
    assert_played_by_any_number_of_drivers(a_plan(), drivers)


def test_a_quarter_of_a_million_takes_25_days_and_500_owners() -> None:
    days = a_plan(250_000, 150_000).as_json("group_overage", {})["days"]

    assert [day.get("admitted") for day in days[:2]] == [
        {"import": [500, 500], "create_group": [10_050, 10_050], "destroy_group": [50, 50]},
        {"create_group": [10_050, 10_050], "destroy_group": [50, 50]},
    ]
    assert days[24]["codes"] == {"0": 10_100, "10006": 10, "10037": 10}
    assert [day["admitted"] for day in days[25:]] == [{"destroy_group": [25_000, 25_000]}] * 6


def test_an_owner_on_ultimate_may_have_twice_as_many() -> None:
    assert a_plan(20_000, 0, "ultimate").phases[0].size == 20


def test_types_are_mixed_and_none_is_live() -> None:
    assert {a_plan().group_type(group) for group in range(9)} == {"Public", "Private", "ChatRoom"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"groups": 5, "destroy": 6}, "--destroy 6: there are only 5"),
        ({"groups": 310_000, "destroy": 1}, "at most 300,000 in this month"),
        ({"groups": 270_001, "destroy": 1, "month": "2027-02"}, "at most 270,000"),
    ],
)
def test_what_a_month_cannot_hold_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(WrongInputError, match=said):
        a_plan(**changed)  # type: ignore[arg-type]


def test_a_full_month_can_be_left_as_it_is() -> None:
    assert a_plan(310_000, 0).as_json("group_overage", {})["days"][30]["codes"]["0"] == 10_100

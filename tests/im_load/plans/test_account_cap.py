"""A trial's accounts: what the plan expects is what the rules give, in whatever order the racers come."""

import numpy as np
import pytest

from im_load.daily_dau import WrongInputError
from im_load.plans.account_cap import AccountCapOptions, AccountCapPlan
from tests.im_load.plans.judging import (
    Outcome,
    assert_as_expected,
    assert_played_by_any_number_of_drivers,
    assert_sound,
    raced,
)


def a_plan(attempts: int = 600, app_plan: str = "trial") -> AccountCapPlan:
    return AccountCapPlan(AccountCapOptions(seed=7, month="2026-10", app_plan=app_plan, attempts=attempts))


class Trial:
    """100 accounts, 100 users a day."""

    def __init__(self) -> None:
        self.accounts: set[int] = set()
        self.active: dict[int, set[int]] = {}

    def code(self, verb: str, user: int, day: int) -> int:
        active = self.active.setdefault(day, set())
        if verb == "delete":
            if user not in self.accounts:
                return 70107
            self.accounts.remove(user)
            return 0
        if user not in self.accounts and len(self.accounts) == 100:
            return 70398
        if verb == "login":
            if user not in active and len(active) == 100:
                return 72000
            active.add(user)
        self.accounts.add(user)
        return 0


@pytest.mark.parametrize("chance", range(5))
@pytest.mark.parametrize("attempts", [500, 501, 4_003])
def test_the_rules_give_what_the_plan_expects(chance: int, attempts: int) -> None:
    plan, app, rng = a_plan(attempts), Trial(), np.random.default_rng(chance)
    for index, phase in enumerate(plan.phases):
        outcome = Outcome()
        for verb, user, _ in raced(phase.make(), rng):
            outcome.note(verb, app.code(verb, user, phase.day))
        assert_as_expected(plan, index, outcome)
    for day, active in app.active.items():
        low, high = plan.dau(day)
        assert low <= len(active) <= high


def test_the_parts_fit() -> None:
    assert_sound(a_plan())


@pytest.mark.parametrize("drivers", [1, 3, 8])
def test_any_number_of_drivers_plays_the_same(drivers: int) -> None:
    assert_played_by_any_number_of_drivers(a_plan(), drivers)


def test_a_race_has_imports_and_first_logins_of_as_many_users() -> None:
    plan = a_plan(4_000).as_json("account_cap", {})

    assert plan["days"][0]["codes"] == {"0": 100, "70398": 1_900}
    assert plan["days"][0]["admitted"] == {"import": [0, 100], "login": [0, 100]}
    assert plan["quotas"] == [
        {"name": "accounts", "limit": 100, "refusal": 70398},
        {"name": "dau", "limit": 100, "refusal": 72000},
    ]


def test_the_dau_quota_refuses_newcomers_for_whom_there_is_a_place() -> None:
    days = a_plan(4_000).as_json("account_cap", {})["days"]

    assert days[3]["codes"]["72000"] == 40
    assert (days[3]["dau_min"], days[3]["dau_max"]) == (100, 100)


def test_only_a_trial_has_such_a_cap() -> None:
    with pytest.raises(WrongInputError, match="only a trial"):
        a_plan(app_plan="pro")

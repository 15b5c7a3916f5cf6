"""Live groups: what the plan expects is what the net count gives, in whatever order the creates come."""

import numpy as np
import pytest

from im_load.daily_dau import WrongInputError
from im_load.plans.live_group_cap import LiveGroupCapOptions, LiveGroupCapPlan
from tests.im_load.plans.judging import (
    Outcome,
    assert_as_expected,
    assert_played_by_any_number_of_drivers,
    assert_sound,
    raced,
)


def a_plan(attempts: int = 4_000, owners: int = 20, rounds: int = 3, app_plan: str = "pro") -> LiveGroupCapPlan:
    options = LiveGroupCapOptions(
        seed=7, month="2026-10", app_plan=app_plan, attempts=attempts, owners=owners, rounds=rounds
    )
    return LiveGroupCapPlan(options)


class Rooms:
    """A net count of rooms with a cap; nobody but the owner destroys, unless it is the app's backend."""

    def __init__(self, cap: int, refusal: int) -> None:
        self.cap, self.refusal = cap, refusal
        self.owner_of: dict[int, int] = {}
        self.most = 0

    def code(self, verb: str, user: int, group: int) -> int:
        if verb == "create_group":
            assert group not in self.owner_of, "a GroupId is tried once"
            if len(self.owner_of) == self.cap:
                return self.refusal
            self.owner_of[group] = user
            self.most = max(self.most, len(self.owner_of))
        elif verb != "login" and group not in self.owner_of:
            return 10010
        elif verb == "destroy_group":
            assert self.owner_of.pop(group) == user
        return 0


@pytest.mark.parametrize(
    ("app_plan", "cap", "refusal", "attempts", "chance"),
    [
        *(("pro", 50, 10036, 4_000, chance) for chance in range(5)),
        *(("trial", 10, 10036, 1_003, chance) for chance in range(5)),
        ("ultimate", 10_000, 10006, 90_000, 0),
    ],
)
def test_the_net_count_gives_what_the_plan_expects(
    app_plan: str, cap: int, refusal: int, attempts: int, chance: int
) -> None:
    plan, rooms = a_plan(attempts, app_plan=app_plan), Rooms(cap, refusal)
    rng = np.random.default_rng(chance)
    for index, phase in enumerate(plan.phases):
        outcome = Outcome()
        for verb, user, group in raced(phase.make(), rng):
            outcome.note(verb, rooms.code(verb, user, group))
        assert_as_expected(plan, index, outcome)
    assert plan.totals() == {"peak_groups": [rooms.most, rooms.most]} == {"peak_groups": [cap, cap]}


@pytest.mark.parametrize(("attempts", "owners"), [(4_000, 20), (8, 1), (100, 7), (1_001, 100)])
def test_the_parts_fit(attempts: int, owners: int) -> None:
    assert_sound(a_plan(attempts, owners))


@pytest.mark.parametrize("drivers", [1, 3, 8])
def test_any_number_of_drivers_plays_the_same(drivers: int) -> None:
    assert_played_by_any_number_of_drivers(a_plan(), drivers)


def test_all_attempts_are_creates_that_race() -> None:
    plan = a_plan(20_001)
    races = [phase.make() for phase in plan.phases]
    creates = sum(
        int(np.count_nonzero(race.verbs == 3))
        for race in races
        if race.kind_names[0] in {"race", "churn", "full", "refill"}
    )

    assert creates == 20_001


def test_an_owner_destroys_its_three_before_it_tries_the_next() -> None:
    churn = a_plan(owners=2).phases[4].make()
    own = churn.users == 1

    assert churn.kind_names == ("churn",)
    assert churn.verbs[own][:12].tolist() == [3, 3, 3, 4, 4, 4] * 2
    assert churn.groups[own][:3].tolist() == churn.groups[own][3:6].tolist()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"attempts": 7}, "--attempts 7: 8 races need one each"),
        ({"rounds": 30}, "--rounds 30: 2026-10 has room for 29"),
        ({"app_plan": "trial", "owners": 101}, "--owners 101: a trial app has 100 accounts"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(WrongInputError, match=said):
        a_plan(**changed)  # type: ignore[arg-type]

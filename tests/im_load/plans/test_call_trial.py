"""Calls under the trial: allowed for sixty days to the second, and as long as planned."""

from collections import Counter

import pytest

from im_load.plans.arrivals import DAY_MS
from im_load.plans.call_trial import PARTICIPANTS_MAX, TIERS, CallTrialOptions, CallTrialPlan
from tests.im_load.plans.judging import Outcome, assert_as_expected, assert_sound, rows

SIXTY_DAYS_MS = 60 * DAY_MS
MONTH_MS = 31 * DAY_MS


def a_plan(calls: int = 20, month: str = "2026-10") -> CallTrialPlan:
    return CallTrialPlan(CallTrialOptions(seed=7, month=month, app_plan="pro", calls=calls, callers=100))


def test_the_rules_give_what_the_plan_expects() -> None:
    """Two trials of sixty days, one after the other; seconds by tier, cut at the month's end."""
    plan = a_plan()
    opened: list[int] = []
    began: dict[int, int] = {}
    seconds: Counter[str] = Counter()
    for index, phase in enumerate(plan.phases):
        now_ms = phase.day * DAY_MS + phase.from_ms
        is_open = bool(opened) and now_ms < opened[-1] + SIXTY_DAYS_MS
        outcome = Outcome()
        for _, _, time_ms, _, verb, call, *_ in rows(phase.make()):
            assert phase.day * DAY_MS + time_ms == now_ms, "the clock stands still"
            if verb == 7:
                code = -1002 if is_open or len(opened) == 2 else 0
                opened += [] if code else [now_ms]
                is_open = is_open or not code
                outcome.note("open_call_trial", code)
            elif verb == 8:
                code = 0 if is_open else -1002 if opened else -1001
                if not code:
                    began[call] = now_ms
                outcome.note("start_call", code)
            else:
                start_ms = began.pop(call)
                inside_ms = max(0, min(now_ms, MONTH_MS) - start_ms)
                for _, tier in plan.participants(call):
                    seconds[tier] += inside_ms // 1_000
                outcome.note("end_call", 0)
        assert_as_expected(plan, index, outcome)

    assert not began, "every call ends"
    assert plan.totals() == {"call_seconds": dict(sorted(seconds.items(), key=lambda item: TIERS.index(item[0])))}


def test_the_parts_fit() -> None:
    assert_sound(a_plan())


@pytest.mark.parametrize("month", ["2027-02", "2026-12", "2028-02"])
def test_any_month_will_do(month: str) -> None:
    assert_sound(a_plan(calls=1, month=month))


def test_a_call_has_two_to_nine_different_participants() -> None:
    plan = a_plan()
    sizes = set()
    for call in range(500):
        users = [user for user, _ in plan.participants(call)]
        assert len(set(users)) == len(users)
        assert max(users) < 100
        sizes.add(len(users))

    assert sizes == set(range(2, PARTICIPANTS_MAX + 1))


def test_days_beside_the_month_are_listed() -> None:
    days = [day["day"] for day in a_plan().as_json("call_trial", {})["days"]]

    assert days[31:] == ["2026-11-01", "2026-11-30", "2027-01-29"]
    assert days == sorted(days)


def test_minutes_of_other_months_are_not_in_this_ones_bill() -> None:
    assert a_plan(calls=1).totals()["call_seconds"]
    assert sum(a_plan(calls=1).totals()["call_seconds"].values()) < sum(a_plan().totals()["call_seconds"].values())

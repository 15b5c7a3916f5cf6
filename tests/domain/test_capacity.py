"""Shares of users by capacity: Envoy's published numbers, and who belongs to a share."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain.capacity import NUMBERS, ROUNDS_MAX, Health, State, bands, shares, turns, user_number

USERS = [f"user_{number:07d}" for number in range(20_000)]
capacities = st.lists(st.integers(0, 100), min_size=1, max_size=8)


def scores_of(percents: list[int]) -> list[int]:
    return [Health(capacity_percent=percent).score for percent in percents]


def envoy_loads(scores: list[int]) -> list[float]:
    """The pseudo-code of Envoy's page on priority levels, in real numbers."""
    total = min(100, sum(scores))
    loads: list[float] = []
    for score in scores:
        loads.append(min(100 - sum(loads), score * 100 / total))
    return loads


@pytest.mark.parametrize(
    ("healthy", "traffic"),
    [
        # The three tables of the page, row by row.
        ([100, 100], [100, 0]),
        ([72, 100], [100, 0]),
        ([71, 100], [99, 1]),
        ([50, 100], [70, 30]),
        ([25, 100], [35, 65]),
        ([0, 100], [0, 100]),
        ([72, 72], [100, 0]),
        ([71, 71], [99, 1]),
        ([50, 50], [70, 30]),
        ([25, 25], [50, 50]),
        ([100, 100, 100], [100, 0, 0]),
        ([72, 72, 100], [100, 0, 0]),
        ([71, 71, 100], [99, 1, 0]),
        ([50, 50, 100], [70, 30, 0]),
        ([25, 100, 100], [35, 65, 0]),
        ([25, 25, 100], [35, 35, 30]),
        ([25, 25, 20], [36, 36, 28]),
    ],
)
def test_shares_are_the_traffic_in_envoys_tables(healthy: list[int], traffic: list[int]) -> None:
    assert shares(bands(scores_of(healthy))) == traffic


def test_scores_below_a_hundred_in_all_are_scaled_up_as_in_envoys_example() -> None:
    assert shares(bands([20, 30])) == [40, 60]


def test_a_percent_that_rounding_leaves_over_is_the_first_points() -> None:
    assert shares(bands([0, 20, 20, 20])) == [0, 34, 33, 33]


@given(capacities)
def test_shares_are_envoys_for_any_capacities(percents: list[int]) -> None:
    scores = scores_of(percents)
    found = shares(bands(scores))
    if not any(scores):
        assert found == scores
        return
    assert sum(found) == 100
    # Rounding moves each by half a percent, and the first makes up for all others.
    for share, load in zip(found, envoy_loads(scores), strict=True):
        assert share == pytest.approx(load, abs=len(scores) / 2 + 1)


@given(capacities)
def test_a_band_is_as_large_as_the_score(percents: list[int]) -> None:
    scores = scores_of(percents)
    for band, score in zip(bands(scores), scores, strict=True):
        held = [number for number in range(NUMBERS) if band.holds(number)]
        assert len(held) == band.percent == score
        assert band.bits == sum(1 << number for number in held)


@given(capacities, st.text(max_size=8))
def test_a_turn_is_the_first_in_which_the_band_holds_the_users_number(percents: list[int], user_id: str) -> None:
    made = bands(scores_of(percents))
    for band, turn in zip(made, turns(made, user_id), strict=True):
        numbers = [user_number(user_id, earlier) for earlier in range(ROUNDS_MAX)]
        held = [earlier for earlier, number in enumerate(numbers) if band.holds(number)]
        assert turn == (held[0] if held else ROUNDS_MAX)


@pytest.mark.parametrize("healthy", [[50, 100], [25, 25, 100], [50, 50, 50], [25, 25], [10, 5, 10]])
def test_users_fall_to_points_as_the_shares_say(healthy: list[int]) -> None:
    made = bands(scores_of(healthy))
    served: Counter[int] = Counter()
    for user_id in USERS:
        found = turns(made, user_id)
        served[found.index(min(found))] += 1
    for index, share in enumerate(shares(made)):
        # 3.5 standard deviations of 20,000 draws are at most 1.3 %.
        assert served[index] / len(USERS) * 100 == pytest.approx(share, abs=1.8)


def test_numbers_of_users_are_even_and_differ_by_turn() -> None:
    drawn = Counter(user_number(user_id) for user_id in USERS)
    assert set(drawn) == set(range(NUMBERS))
    assert max(drawn.values()) < 1.4 * len(USERS) / NUMBERS
    repeated = sum(user_number(user_id) == user_number(user_id, 1) for user_id in USERS)
    assert repeated / len(USERS) == pytest.approx(0.01, abs=0.004)


def test_only_a_point_that_is_up_is_up() -> None:
    assert [Health(state).is_up for state in State] == [True, False, False]

"""The call trial at its edges, and seconds that add up however a call is cut."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server import catalogue
from mock_im_server.domain import calls
from mock_im_server.domain.billing import TIERS
from mock_im_server.domain.calendar import DAY_MS
from mock_im_server.domain.calls import Call

TRIAL = catalogue.load().call_trial
SIXTY_DAYS_MS = 5_184_000_000


def test_the_trial_is_as_the_vendor_describes_it() -> None:
    assert (TRIAL.days, TRIAL.trials_max) == (60, 2)
    assert TRIAL.ends_ms(0) == SIXTY_DAYS_MS
    assert "December 2022" in TRIAL.notice.text
    assert (TRIAL.notice.said_on, TRIAL.notice.dropped_on) == (date(2022, 10, 20), date(2022, 11, 22))
    assert "1047/34421" in TRIAL.notice.source


@pytest.mark.parametrize(
    ("opened_ms", "now_ms", "code"),
    [
        ([], 0, -1001),
        ([0], 0, 0),
        ([0], SIXTY_DAYS_MS - 1, 0),
        ([0], SIXTY_DAYS_MS, -1002),
        ([0, SIXTY_DAYS_MS], SIXTY_DAYS_MS, 0),
        ([0, SIXTY_DAYS_MS], 2 * SIXTY_DAYS_MS, -1002),
    ],
)
def test_calls_start_only_while_a_trial_runs(opened_ms: list[int], now_ms: int, code: int) -> None:
    assert TRIAL.refusal_to_call(opened_ms, now_ms) == code
    assert TRIAL.is_open(opened_ms, now_ms) == (code == 0)


@pytest.mark.parametrize(
    ("opened_ms", "now_ms", "code"),
    [
        ([], 0, 0),
        ([0], SIXTY_DAYS_MS - 1, -1002),
        ([0], SIXTY_DAYS_MS, 0),
        ([0, SIXTY_DAYS_MS], 9 * SIXTY_DAYS_MS, -1002),
    ],
)
def test_a_trial_opens_twice_at_most_and_not_while_one_runs(opened_ms: list[int], now_ms: int, code: int) -> None:
    assert TRIAL.refusal_to_open(opened_ms, now_ms) == code


@pytest.mark.parametrize(
    ("participants", "code"),
    [
        ([("a", "audio")], 0),
        ([("a", "audio"), ("b", "4k")], 0),
        ([], -1202),
        ([("a", "8k")], -1202),
        ([("a", "hd"), ("a", "audio")], -1202),
    ],
)
def test_a_call_has_participants_each_once_with_a_tier(participants: list[tuple[str, str]], code: int) -> None:
    assert calls.refusal_of_participants(participants) == code


def a_call() -> Call:
    """Two in it from second 0; the second leaves at 30, a third comes at 10 and goes from audio to HD at 20."""
    call = calls.started("1", [("a", "hd"), ("b", "hd")], 0)
    call = calls.joined(call, "c", "audio", 10_000)
    call = calls.joined(call, "c", "hd", 20_000)
    return calls.left(call, "b", 30_000)


def test_each_participant_uses_the_seconds_of_each_tier() -> None:
    call = calls.ended(a_call(), 60_000)
    assert call.has_ended
    assert calls.seconds_by_participant(call, 0, 10**6) == {
        ("a", "hd"): 60,
        ("b", "hd"): 30,
        ("c", "audio"): 10,
        ("c", "hd"): 40,
    }
    assert calls.seconds_by_tier([call, call], 0, 10**6) == {"audio": 20, "hd": 260}


def test_one_who_is_not_in_cannot_leave() -> None:
    assert calls.left(a_call(), "nobody", 40_000) == a_call()


def test_a_call_that_runs_on_is_split_at_the_months_boundary() -> None:
    boundary = DAY_MS
    call = calls.started("1", [("a", "2k")], boundary - 61_500)
    assert calls.seconds_by_tier([call], 0, boundary) == {"2k": 62}
    over = calls.ended(call, boundary + 1_999)
    assert calls.seconds_by_tier([over], 0, boundary) == {"2k": 62}
    assert calls.seconds_by_tier([over], boundary, 2 * boundary) == {"2k": 1}


def test_what_ended_and_what_runs_is_added_in_order() -> None:
    assert calls.added({"4k": 1, "hd": 2}, {"audio": 3, "hd": 4}) == {"audio": 3, "hd": 6, "4k": 1}


instants = st.integers(0, 10**8)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(TIERS), instants)), instants, instants, instants)
def test_cutting_time_anywhere_loses_no_second(
    steps: list[tuple[str, str, int]], end_ms: int, cut_ms: int, until_ms: int
) -> None:
    call = calls.started("1", [("a", "audio")], 0)
    for user_id, tier, time_ms in sorted(steps, key=lambda step: step[2]):
        call = calls.joined(call, user_id, tier, min(time_ms, end_ms))
    call = calls.ended(call, end_ms)
    whole = calls.seconds_by_tier([call], 0, max(cut_ms, until_ms))
    parts = [calls.seconds_by_tier([call], 0, cut_ms), calls.seconds_by_tier([call], cut_ms, max(cut_ms, until_ms))]
    assert calls.added(*parts) == whole
    assert sum(calls.seconds_by_tier([call], 0, end_ms + 1).values()) <= 3 * (end_ms // 1_000)

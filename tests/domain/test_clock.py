"""The clock of an app: forward only."""

import pytest

from mock_im_server.domain.clock import LATEST_MS, Clock, ClockRefusedError


def test_a_fixed_clock_stands_still() -> None:
    assert Clock(fixed_ms=5).now_ms(real_ms=1_000) == 5


def test_a_clock_without_a_fixed_time_follows_real_time() -> None:
    assert Clock().now_ms(real_ms=1_000) == 1_000


def test_real_time_that_is_set_back_does_not_carry_an_app_into_its_past() -> None:
    clock = Clock()
    clock.now_ms(real_ms=1_000)

    assert clock.now_ms(real_ms=900) == 1_000


def test_a_clock_moves_forward_and_counts_its_moves() -> None:
    clock = Clock(fixed_ms=5)
    clock.move_to(7, real_ms=0)

    assert (clock.now_ms(real_ms=0), clock.epoch) == (7, 1)


@pytest.mark.parametrize("time_ms", [4, LATEST_MS + 1])
def test_a_clock_goes_neither_back_nor_beyond_its_end(time_ms: int) -> None:
    clock = Clock(fixed_ms=5)

    with pytest.raises(ClockRefusedError):
        clock.move_to(time_ms, real_ms=0)
    assert (clock.now_ms(real_ms=0), clock.epoch) == (5, 0)


def test_a_clock_ahead_of_real_time_cannot_follow_it() -> None:
    clock = Clock(fixed_ms=2_000)

    with pytest.raises(ClockRefusedError):
        clock.release(real_ms=1_999)
    clock.release(real_ms=2_000)
    assert clock.now_ms(real_ms=2_001) == 2_001

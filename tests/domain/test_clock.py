"""An app's clock: real or set by hand, forward only."""

import pytest

from mock_im_server.domain.clock import LATEST_MS, Clock, ClockRefusedError


def test_a_fixed_clock_stands_still_while_real_time_runs() -> None:
    clock = Clock(fixed_ms=1_000)
    assert [clock.now_ms(real_ms) for real_ms in (5_000, 6_000)] == [1_000, 1_000]


def test_a_real_clock_follows_real_time() -> None:
    clock = Clock()
    assert [clock.now_ms(real_ms) for real_ms in (5_000, 6_000)] == [5_000, 6_000]


def test_a_real_clock_waits_when_the_machine_is_set_back() -> None:
    clock = Clock()
    assert [clock.now_ms(real_ms) for real_ms in (5_000, 4_000, 5_001)] == [5_000, 5_000, 5_001]


def test_a_clock_stands_where_it_was_moved() -> None:
    clock = Clock(fixed_ms=1_000)
    clock.move(2_000, fixed_ms=2_000, epoch=1)
    assert clock.now_ms(5_000) == 2_000


def test_a_move_that_another_one_overtook_is_left_out() -> None:
    clock = Clock(fixed_ms=1_000)
    clock.move(3_000, fixed_ms=3_000, epoch=2)
    clock.move(2_000, fixed_ms=2_000, epoch=1)
    assert (clock.now_ms(0), clock.epoch) == (3_000, 2)


@pytest.mark.parametrize("fixed_ms", [1_000, None])
def test_a_clock_shows_no_time_before_what_was_settled(fixed_ms: int | None) -> None:
    clock = Clock(fixed_ms=fixed_ms)
    clock.reach(2_000)
    clock.reach(1_500)
    assert clock.now_ms(0) == 2_000


def test_a_clock_never_goes_back() -> None:
    clock = Clock(fixed_ms=1_000)
    with pytest.raises(ClockRefusedError, match="only moves forward"):
        clock.check_move(999, real_ms=0)


@pytest.mark.parametrize(("time_ms", "is_allowed"), [(LATEST_MS, True), (LATEST_MS + 1, False)])
def test_a_clock_ends_with_the_year_2199(time_ms: int, *, is_allowed: bool) -> None:
    clock = Clock(fixed_ms=0)
    if is_allowed:
        clock.check_move(time_ms, real_ms=0)
    else:
        with pytest.raises(ClockRefusedError, match="ends at"):
            clock.check_move(time_ms, real_ms=0)


def test_a_released_clock_follows_real_time_again() -> None:
    clock = Clock(fixed_ms=1_000)
    clock.check_release(real_ms=3_000)
    clock.move(3_000, fixed_ms=None, epoch=1)
    assert (clock.now_ms(3_500), clock.fixed_ms) == (3_500, None)


def test_a_clock_ahead_of_real_time_cannot_be_released() -> None:
    clock = Clock(fixed_ms=1_000)
    with pytest.raises(ClockRefusedError, match="ahead of real time"):
        clock.check_release(real_ms=999)

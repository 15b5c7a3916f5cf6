"""When a UserID is barred for failed UserSig checks."""

from mock_im_server.domain.attempts import FAILURES_MAX, PERIOD_S, USERS_MAX, FailedChecks


def failed(checks: FailedChecks, user_id: str, *, at_s: int, times: int = FAILURES_MAX) -> None:
    for _ in range(times):
        checks.note(user_id, at_s)


def test_one_failure_less_than_too_many_bars_nobody() -> None:
    checks = FailedChecks()
    failed(checks, "alice", at_s=100, times=FAILURES_MAX - 1)
    assert not checks.is_barred("alice", 100)


def test_failures_that_are_further_apart_do_not_add_up() -> None:
    checks = FailedChecks()
    failed(checks, "alice", at_s=100, times=FAILURES_MAX - 1)
    checks.note("alice", 100 + PERIOD_S)
    assert not checks.is_barred("alice", 100 + PERIOD_S)


def test_another_user_is_not_barred() -> None:
    checks = FailedChecks()
    failed(checks, "alice", at_s=100)
    assert checks.is_barred("alice", 100)
    assert not checks.is_barred("bob", 100)


def test_only_so_many_users_are_watched_and_the_one_that_failed_longest_ago_is_forgotten() -> None:
    checks = FailedChecks()
    failed(checks, "alice", at_s=100)
    failed(checks, "bob", at_s=101)
    for number in range(USERS_MAX - 1):
        checks.note(f"user{number}", 102)
    assert not checks.is_barred("alice", 102)
    assert checks.is_barred("bob", 102)

"""Guessing costs time: after too many failed UserSig checks of one UserID, its next ones fail for a minute (70050).

The vendor names the code and the minute (1047/34348), not how many are too many: 10 within a minute are assumed.
"""

from typing import Final

FAILURES_MAX: Final = 10
PERIOD_S: Final = 60
USERS_MAX: Final = 10_000
"""UserIDs that are watched at once; beyond, the one that failed longest ago is forgotten."""


class FailedChecks:
    """Failed checks by UserID, in real time."""

    def __init__(self) -> None:
        # Tuples: ten thousand guessers would take nine megabytes of deques.
        self._failed_s: dict[str, tuple[int, ...]] = {}
        """The latest failures; who failed last stands last."""

    def is_barred(self, user_id: str, now_s: int) -> bool:
        """Whether the UserID has failed too often in the minute before now.

        >>> checks = FailedChecks()
        >>> for _ in range(FAILURES_MAX):
        ...     checks.note("alice", 100)
        >>> [checks.is_barred("alice", now_s) for now_s in (100, 159, 160)]
        [True, True, False]
        """
        failed_s = self._failed_s.get(user_id)
        return failed_s is not None and len(failed_s) == FAILURES_MAX and now_s - failed_s[0] < PERIOD_S

    def note(self, user_id: str, now_s: int) -> None:
        """Keep a failure. One while the UserID is barred does not bar it for longer: do not note it."""
        failed_s = self._failed_s.pop(user_id, ())
        if len(self._failed_s) >= USERS_MAX:
            del self._failed_s[next(iter(self._failed_s))]
        self._failed_s[user_id] = (*failed_s[1 - FAILURES_MAX :], now_s)

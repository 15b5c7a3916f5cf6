"""The clock of an app: real or set by hand, forward only.

Does not read the time itself: the real time is passed in, so that a month passes in a test within microseconds.
"""

from dataclasses import dataclass
from typing import Final

EARLIEST_MS: Final = 0
LATEST_MS: Final = 7_258_118_400_000
"""2200-01-01T00:00Z. A clock that jumps closes every month on its way: the jump needs an end."""


class ClockRefusedError(ValueError):
    """Raised when a clock is asked to go back, or to do what its mode cannot."""


@dataclass(slots=True)
class Clock:
    """An app's time.

    `epoch` counts the moves, by the store's count. An action says under which epoch it was built; the store refuses it
    when the clock has moved since, so that nothing slips past a month's close.
    """

    fixed_ms: int | None = None
    """The time of a clock that stands still until it is moved; None: real time."""
    epoch: int = 0
    reached_ms: int = EARLIEST_MS
    """What this clock has shown: a machine whose own clock is set back does not carry an app into its past."""

    def now_ms(self, real_ms: int) -> int:
        if self.fixed_ms is not None:
            return self.fixed_ms
        self.reached_ms = max(self.reached_ms, real_ms)
        return self.reached_ms

    def check_move(self, time_ms: int, *, real_ms: int) -> None:
        """Raises ClockRefusedError when `time_ms` lies in the app's past or beyond what a clock can show."""
        now_ms = self.now_ms(real_ms)
        if time_ms < now_ms:
            message = f"the clock stands at {now_ms} ms and only moves forward, not to {time_ms} ms"
            raise ClockRefusedError(message)
        if time_ms > LATEST_MS:
            message = f"the clock ends at {LATEST_MS} ms, the year 2200; {time_ms} ms lies beyond"
            raise ClockRefusedError(message)

    def move_to(self, time_ms: int, *, real_ms: int) -> None:
        """Stand still at `time_ms`. Raises ClockRefusedError like `check_move`."""
        self.check_move(time_ms, real_ms=real_ms)
        self.fixed_ms = time_ms

    def check_release(self, *, real_ms: int) -> None:
        """Raises ClockRefusedError when real time lies in the app's past."""
        now_ms = self.now_ms(real_ms)
        if real_ms < now_ms:
            message = f"the clock stands at {now_ms} ms, ahead of real time ({real_ms} ms)"
            raise ClockRefusedError(message)

    def release(self, *, real_ms: int) -> None:
        """Follow real time from now on. Raises ClockRefusedError like `check_release`."""
        self.check_release(real_ms=real_ms)
        now_ms = self.now_ms(real_ms)
        self.fixed_ms, self.reached_ms = None, now_ms

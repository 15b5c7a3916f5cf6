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

    def check_release(self, *, real_ms: int) -> None:
        """Raises ClockRefusedError when real time lies in the app's past."""
        now_ms = self.now_ms(real_ms)
        if real_ms < now_ms:
            message = f"the clock stands at {now_ms} ms, ahead of real time ({real_ms} ms)"
            raise ClockRefusedError(message)

    def move(self, time_ms: int, fixed_ms: int | None, epoch: int) -> None:
        """Go on at `time_ms`, standing still there or running. What was overtaken by a later move is left out."""
        if epoch >= self.epoch:
            self.fixed_ms, self.reached_ms, self.epoch = fixed_ms, time_ms, epoch

    def reach(self, time_ms: int) -> None:
        """Show no time before `time_ms`: a month was settled then, by a move that may never end."""
        self.reached_ms = max(self.reached_ms, time_ms)
        if self.fixed_ms is not None:
            self.fixed_ms = max(self.fixed_ms, time_ms)

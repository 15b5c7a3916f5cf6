"""The clock of an app: real or set by hand, forward only.

Does not read the time itself: the real time is passed in, so that a month passes in a test within microseconds.
"""

from dataclasses import dataclass


class ClockRefusedError(ValueError):
    """Raised when a clock is asked to go back, or to do what its mode cannot."""


@dataclass(slots=True)
class Clock:
    """An app's time.

    `epoch` counts the moves. An action says under which epoch it was built; the store refuses it when
    the clock has moved since, so that nothing slips past a month's close.
    """

    fixed_ms: int | None = None
    """The time of a clock that stands still until it is moved; None: real time."""
    epoch: int = 0

    def now_ms(self, real_ms: int) -> int:
        return real_ms if self.fixed_ms is None else self.fixed_ms

    def move_to(self, time_ms: int, *, real_ms: int) -> None:
        """Stand still at `time_ms`. Raises ClockRefusedError when that lies in the app's past."""
        now_ms = self.now_ms(real_ms)
        if time_ms < now_ms:
            message = f"the clock stands at {now_ms} ms and only moves forward, not to {time_ms} ms"
            raise ClockRefusedError(message)
        self.fixed_ms = time_ms
        self.epoch += 1

    def release(self, *, real_ms: int) -> None:
        """Follow real time from now on. Raises ClockRefusedError when real time lies in the app's past."""
        now_ms = self.now_ms(real_ms)
        if real_ms < now_ms:
            message = f"the clock stands at {now_ms} ms, ahead of real time ({real_ms} ms)"
            raise ClockRefusedError(message)
        self.fixed_ms = None
        self.epoch += 1

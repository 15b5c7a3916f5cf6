"""Says what is being done once that takes a while, on a terminal only."""

import sys
import time
from typing import Final

AFTER_S: Final = 2.0


class Progress:
    """A line on standard error that the next step writes over."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shows = sys.stderr.isatty()
        self._has_shown = False

    def __call__(self, step: str) -> None:
        elapsed = time.monotonic() - self._started
        if self._shows and elapsed > AFTER_S:
            sys.stderr.write(f"\r\033[K{elapsed:4.1f} s  {step} …")
            sys.stderr.flush()
            self._has_shown = True

    def end(self) -> None:
        """Take the line away."""
        if self._has_shown:
            sys.stderr.write("\r\033[K")

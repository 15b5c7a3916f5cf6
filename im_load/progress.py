"""The line that says how a run is going, on standard error."""

import sys
from dataclasses import dataclass
from typing import Final, TextIO

INTERVAL_S: Final = 0.5
QUIET_INTERVAL_S: Final = 10.0
"""Where standard error is no terminal: a log should show life, not a film."""
RATE_WINDOW_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What a progress line tells."""

    at_s: float
    day: str
    answered: int
    arrivals: int
    asks_for: str
    """What is counted: logins, requests."""
    watched: str
    """What the run is about, like "DAU 380,112"; may be empty."""
    bill_cents: int
    currency: str
    left_s: float


class Progress:
    """Writes moments as lines: over each other on a terminal, seldom elsewhere."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._shown_s = 0.0
        self._window: list[tuple[float, int]] = []

    def show(self, moment: Moment) -> None:
        text = line(moment, self._rate(moment))
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
        elif moment.at_s - self._shown_s >= QUIET_INTERVAL_S:
            self._shown_s = moment.at_s
            print(text, file=self._stream, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        start = "\r\x1b[K" if self._is_terminal else ""
        print(f"{start}{text}", file=self._stream, flush=True)

    def end(self) -> None:
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _rate(self, moment: Moment) -> float | None:
        """None at the first moment: nothing has been seen to happen yet, which is no standstill."""
        self._window = [seen for seen in self._window if moment.at_s - seen[0] <= RATE_WINDOW_S]
        self._window.append((moment.at_s, moment.answered))
        first_s, first = self._window[0]
        if len(self._window) == 1:
            return None
        return (moment.answered - first) / max(moment.at_s - first_s, INTERVAL_S)


def line(moment: Moment, rate: float | None) -> str:
    """One moment in words.

    >>> line(
    ...     Moment(3.0, "2026-10-16", 412_000, 1_394_294, "logins", "DAU 380,112", 569_962, "USD", 31.4), 31_004.2
    ... )
    '2026-10-16 · 412,000 of 1,394,294 logins · 31,004/s · DAU 380,112 · bill 5,699.62 USD · 0:31 left'
    """
    minutes, seconds = divmod(round(moment.left_s), 60)
    parts = (
        moment.day,
        f"{moment.answered:,} of {moment.arrivals:,} {moment.asks_for}",
        "" if rate is None else f"{rate:,.0f}/s",
        moment.watched,
        f"bill {moment.bill_cents / 100:,.2f} {moment.currency}",
        f"{minutes}:{seconds:02} left",
    )
    return " · ".join(part for part in parts if part)

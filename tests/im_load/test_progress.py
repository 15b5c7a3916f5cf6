"""The line that says how a run is going: a film on a terminal, seldom a line elsewhere."""

import io
from dataclasses import replace

from im_load.progress import Moment, Progress

AT_100_S = Moment(100.0, "2026-10-16", 40_000, 100_000, "logins", "DAU 38,000", 44_997, "USD", 62.4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *moments: Moment) -> str:
    progress = Progress(stream)
    for moment in moments:
        progress.show(moment)
    return stream.getvalue()


def later(seconds: float, answered: int) -> Moment:
    return replace(AT_100_S, at_s=AT_100_S.at_s + seconds, answered=answered)


def test_a_terminal_shows_every_moment_on_one_line() -> None:
    text = shown(Terminal(), AT_100_S, later(0.5, 52_000))

    assert text.count("\r\x1b[K") == 2
    assert "\n" not in text


def test_a_log_shows_a_line_in_ten_seconds() -> None:
    text = shown(io.StringIO(), AT_100_S, later(0.5, 41_000), later(9.9, 42_000), later(10.0, 43_000))

    assert [line.split(" of ")[0] for line in text.splitlines()] == ["2026-10-16 · 40,000", "2026-10-16 · 43,000"]


def test_the_rate_is_that_of_the_last_three_seconds() -> None:
    text = shown(Terminal(), AT_100_S, later(10.0, 50_000), later(12.0, 90_000))

    assert text.split("\r\x1b[K")[-1].split(" · ")[2] == "20,000/s"


def test_the_first_moment_has_no_rate_and_a_standstill_has() -> None:
    text = shown(Terminal(), AT_100_S, later(0.5, 40_000))

    assert ["/s" in moment for moment in text.split("\r\x1b[K")[1:]] == [False, True]


def test_what_is_said_stays_on_a_line_of_its_own() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.show(AT_100_S)

    progress.say("auditing …")

    assert stream.getvalue().endswith("\r\x1b[Kauditing …\n")


def test_nothing_is_left_of_the_film_at_the_end() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.show(AT_100_S)

    progress.end()

    assert stream.getvalue().endswith("\r\x1b[K")

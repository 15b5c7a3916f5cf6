"""Calls and their trial, in both directions."""

from pathlib import Path

import pytest

from tests.analysis.judging import codes, judged
from tests.analysis.plays import FIRST_DAY, Play

DAYS = 60


def after(play: Play, days: int, second: int = 0) -> Play:
    """Move to so many days after the first, in the middle of other months too."""
    play.day, play.second = FIRST_DAY + days, second
    return play


def a_trial() -> Play:
    """Everything that is allowed, and everything that is not, by the rules: the last day is beside the month."""
    play = Play("trial")
    play.refuse_call("early", -1001)
    play.open_trial()
    play.open_trial(-1002)
    play.start_call("call", {"user_0": "audio"})
    play.wait(10)
    play.end_call("call")
    return play


def test_an_honest_trial_of_calls_passes(tmp_path: Path) -> None:
    assert judged(a_trial().written(tmp_path)).findings == []


@pytest.mark.parametrize(
    ("days", "second", "what", "expected"),
    [
        (DAYS - 1, 86_399, "start", set()),
        (DAYS, 0, "start", {"cap_exceeded"}),
        (DAYS, 0, "refuse", set()),
        (DAYS - 1, 86_399, "refuse", {"cap_refused_below"}),
        (DAYS, 0, "refuse_as_never_opened", {"cap_code_wrong"}),
        (DAYS, 0, "open", set()),
        (DAYS - 1, 86_399, "open", {"cap_exceeded"}),
        (DAYS, 0, "refuse_to_open", {"cap_refused_below"}),
        (DAYS, 0, "open_twice", set()),
        (DAYS, 0, "open_thrice", {"cap_exceeded"}),
    ],
)
def test_the_sixtieth_day_ends_to_the_second(
    tmp_path: Path, days: int, second: int, what: str, expected: set[str]
) -> None:
    play = Play("trial")
    play.open_trial()
    after(play, days, second)
    if what == "start":
        play.start_call("call", {"user_0": "audio"})
    elif what.startswith("refuse"):
        {
            "refuse": lambda: play.refuse_call("call", -1002),
            "refuse_as_never_opened": lambda: play.refuse_call("call", -1001),
            "refuse_to_open": lambda: play.open_trial(-1002),
        }[what]()
    else:
        play.open_trial()
        if what == "open_twice":
            play.open_trial(-1002)
        if what == "open_thrice":
            after(play, 2 * days).open_trial()
    found = codes(judged(play.written(tmp_path)))
    assert {code for code in found if code.startswith("cap_")} == expected

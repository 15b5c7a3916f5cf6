"""A script of trouble: read from TOML, in order of time, and refused in one line."""

from datetime import date
from pathlib import Path

import pytest

from im_load.daily_dau import WrongInputError
from im_load.plans.arrivals import HOUR_MS
from im_load.plans.trouble import Change, from_toml

FIRST = date(2026, 10, 1)
CHANGE = '[[change]]\nat = 2026-10-02T20:30:00\naccess_point = "in"\n'
FLAPPING = '[[flapping]]\naccess_point = "jp"\nfrom = 2026-10-01T10:00:00\nuntil = 2026-10-01T11:00:00\n'


def script(folder: Path, text: str) -> tuple[Change, ...]:
    path = folder / "trouble.toml"
    path.write_text(text)
    return from_toml(path, FIRST, 3)


def test_changes_stand_in_order_of_time(tmp_path: Path) -> None:
    text = f'{CHANGE}state = "down"\n[[change]]\nat = 2026-10-01T06:00:00\naccess_point = "jp"\ncapacity = 0.5\n'

    assert script(tmp_path, text) == (
        Change(0, 6 * HOUR_MS, "jp", None, 0.5),
        Change(1, 20 * HOUR_MS + HOUR_MS // 2, "in", "down", None),
    )


@pytest.mark.parametrize(
    ("minutes", "states"), [(20, "down up down up"), (30, "down up"), (40, "down up"), (90, "down up")]
)
def test_flapping_ends_up(tmp_path: Path, minutes: int, states: str) -> None:
    changes = script(tmp_path, f"{FLAPPING}minutes = {minutes}\n")

    assert [change.state for change in changes] == states.split()
    assert changes[-1].at_ms <= 11 * HOUR_MS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHANGE, "says neither state nor capacity"),
        (f'{CHANGE}state = "tired"', "choose one of up, draining, down"),
        (f"{CHANGE}capacity = 2", "from 0 to 1"),
        (f'{CHANGE}state = "up"\ncolour = 1', "unknown colour"),
        (CHANGE.replace("10-02", "10-04") + 'state = "up"', "the run's days are 2026-10-01 to 2026-10-03"),
        ('[[change]]\nat = "noon"\naccess_point = "in"\nstate = "up"', "a time of the billing day is needed"),
        ('[[change]]\nat = 2026-10-02T20:30:00\nstate = "up"', "name an access_point"),
        (f"{FLAPPING}minutes = 0", "minutes 0"),
        ("change = [1]", "are tables"),
        ("[[change", "--trouble"),
    ],
)
def test_what_is_no_script_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(WrongInputError, match=said) as caught:
        script(tmp_path, text)

    assert "trouble.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match=r"nowhere\.toml"):
        from_toml(tmp_path / "nowhere.toml", FIRST, 3)

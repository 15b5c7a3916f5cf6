"""Trouble with access points as a timed script: when which point goes down, drains, or has less room.

A file is TOML. Times are those of the billing day, and lie within the run's month:

    [[change]]
    at = 2026-10-01T20:30:00
    access_point = "in"        # or "busiest"
    state = "down"             # up, draining or down
    capacity = 0.5             # a part of 1; either may be left out

    [[flapping]]
    access_point = "jp"
    from = 2026-10-01T10:00:00
    until = 2026-10-01T12:00:00
    minutes = 10               # down for so long, then up for so long
"""

import tomllib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from im_load.daily_dau import WrongInputError

BUSIEST: Final = "busiest"
"""In place of a code: the access point where most of the world's users come in."""
STATES: Final = ("up", "draining", "down")
UP, DRAINING, DOWN = STATES
CHANGES_MAX: Final = 1_000
_CHANGE_KEYS: Final = {"at", "access_point", "state", "capacity"}
_FLAPPING_KEYS: Final = {"access_point", "from", "until", "minutes"}


class Change(NamedTuple):
    """What becomes of an access point; None stays as it is."""

    day: int
    """Days after the month's first."""
    at_ms: int
    """Within the day."""
    code: str
    state: str | None = None
    capacity: float | None = None


def from_toml(path: Path, first_day: date, days: int) -> tuple[Change, ...]:
    """Read a script. Raises WrongInputError with one line that names the file and what is wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongInputError(f"--trouble {path}: {error}") from error
    try:
        changes = sorted(_read(content, first_day, days), key=lambda change: change[:2])
    except ValueError as error:
        raise WrongInputError(f"--trouble {path}: {error}") from error
    if len(changes) > CHANGES_MAX:
        raise WrongInputError(f"--trouble {path}: {len(changes):,} changes are more than {CHANGES_MAX:,}")
    return tuple(changes)


def _read(content: dict[str, Any], first_day: date, days: int) -> Iterator[Change]:
    _check_keys(content, {"change", "flapping"})
    for row in content.get("change", []):
        _check_keys(row, _CHANGE_KEYS)
        day, at_ms = _when(row.get("at"), first_day, days)
        state, capacity = row.get("state"), row.get("capacity")
        if state is None and capacity is None:
            raise ValueError(f"the change of {row.get('at')} says neither state nor capacity")
        if state is not None and state not in STATES:
            raise ValueError(f"state {state!r}: choose one of {', '.join(STATES)}")
        if capacity is not None and not (isinstance(capacity, int | float) and 0 <= capacity <= 1):
            raise ValueError(f"capacity {capacity!r}: a number from 0 to 1 is needed")
        yield Change(day, at_ms, _code(row), state, capacity)
    for row in content.get("flapping", []):
        _check_keys(row, _FLAPPING_KEYS)
        yield from _flapping(row, first_day, days)


def _flapping(row: dict[str, Any], first_day: date, days: int) -> Iterator[Change]:
    minutes = row.get("minutes")
    if not (isinstance(minutes, int) and minutes > 0):
        raise ValueError(f"minutes {minutes!r}: a whole number above 0 is needed")
    at, until, state = row.get("from"), row.get("until"), DOWN
    _when(at, first_day, days)
    _when(until, first_day, days)
    assert isinstance(at, datetime), "it has been looked at"
    assert isinstance(until, datetime), "this one too"
    while at < until:
        yield Change(*_when(at, first_day, days), _code(row), state)
        at, state = at + timedelta(minutes=minutes), UP if state == DOWN else DOWN
    if state == UP:
        yield Change(*_when(until, first_day, days), _code(row), UP)


def _when(at: object, first_day: date, days: int) -> tuple[int, int]:
    if not isinstance(at, datetime) or at.tzinfo is not None:
        raise ValueError(f"{at!r}: a time of the billing day is needed, like {first_day}T20:30:00")
    day = (at.date() - first_day).days
    if not 0 <= day < days:
        raise ValueError(f"{at}: the run's days are {first_day} to {first_day + timedelta(days=days - 1)}")
    return day, int((at - datetime.combine(at.date(), datetime.min.time())).total_seconds() * 1_000)


def _code(row: dict[str, Any]) -> str:
    code = row.get("access_point")
    if not isinstance(code, str) or not code:
        raise ValueError("name an access_point")
    return code


def _check_keys(row: object, known: set[str]) -> None:
    if not isinstance(row, dict):
        raise ValueError("[[change]] and [[flapping]] are tables")  # noqa: TRY004 -- of input, as all the others
    if unknown := sorted(row.keys() - known):
        raise ValueError(f"unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}")

"""Several runs side by side: what each came to by its verdict, its times, and the settings in which they differ."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final

import msgspec

from analysis import baselines, run_files
from analysis.baselines import BaselineError, Measurement, Side
from analysis.bills import ABSENT, money
from analysis.comparison import Comparison

LEAST: Final = 2
"""One run is nothing to set side by side."""
UNKNOWN: Final = "not audited"
NO_VERDICT: Final = "of a baseline"


class StatedCap(msgspec.Struct, frozen=True):
    """A cap as a verdict has it."""

    name: str
    limit: str
    reached: str
    admitted: int
    refused: int
    over: int
    refused_below: int


class Stated(msgspec.Struct, frozen=True):
    """What is shown of a `verdict.json`."""

    outcome: str
    peak_dau: int | None = None
    peak_day: str | None = None
    dau_units: int | None = None
    total_cents: int | None = None
    currency: str | None = None
    peak_groups: int | None = None
    caps: list[StatedCap] = []


@dataclass(frozen=True, slots=True)
class Row:
    """A run; `group` is its side, or its own letter where there are no sides."""

    group: str
    run: Measurement
    settings: Mapping[str, Any]
    outcome: str
    stated: Stated | None

    @property
    def figures(self) -> dict[str, str]:
        """What has to be the same to the last user and cent where the load is the same."""
        if self.stated is None:
            return dict.fromkeys(_FIGURES, ABSENT)
        return {name: write(self.stated) for name, write in _FIGURES.items()}

    @property
    def line(self) -> str:
        """Say it in one line, as for the terminal."""
        said = [f"{name} {figure}" for name, figure in self.figures.items() if figure != ABSENT]
        return f"{self.group}  {self.outcome:11}  {self.run.id}" + (f" · {' · '.join(said)}" if said else "")


def _counted(value: int | None) -> str:
    return ABSENT if value is None else f"{value:,}"


def _total(stated: Stated) -> str:
    return ABSENT if stated.total_cents is None else f"{money(stated.total_cents)} {stated.currency}"


_FIGURES: Final[Mapping[str, Callable[[Stated], str]]] = {
    "peak DAU": lambda stated: _counted(stated.peak_dau),
    "peak day": lambda stated: stated.peak_day or ABSENT,
    "units": lambda stated: _counted(stated.dau_units),
    "groups": lambda stated: _counted(stated.peak_groups or None),
    "total": _total,
}


def read(paths: Sequence[Path], metrics: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Read runs of any settings, and name what was skipped.

    Raises BaselineError for what `baselines.parts` refuses, and when there are fewer than two runs.
    """
    sides = list(baselines.parts(paths, metrics))
    rows: list[Row] = []
    for side in sides:
        for run in side.runs:
            rows.append(_row(_letter(len(rows)), run, side))
    if len(rows) < LEAST:
        raise BaselineError("one run is nothing to set side by side: name at least two")
    return rows, [name for side in sides for name in side.skipped]


def of_comparison(compared: Comparison) -> list[Row]:
    """Return the runs of both sides. Raises BaselineError for a verdict that cannot be read."""
    sides = {"base": compared.base, "candidate": compared.candidate}
    return [_row(name, run, side) for name, side in sides.items() for run in side.runs]


def differing(rows: Sequence[Row]) -> dict[str, str]:
    """Name the settings in which the rows differ: each value with the groups that have it."""
    names = sorted({name for row in rows for name in row.settings})
    return {name: _by_value(rows, name) for name in names if len({_shown(row, name) for row in rows}) > 1}


def common(rows: Sequence[Row]) -> dict[str, str]:
    """Return the settings that are the same in all rows."""
    differ = differing(rows)
    return {name: _shown(rows[0], name) or ABSENT for name in rows[0].settings if name not in differ}


def agreement(rows: Sequence[Row]) -> str:
    """Say whether all runs that have a verdict came to the same; times may differ, counts and cents may not."""
    judged = [row for row in rows if row.stated]
    if len(judged) < LEAST:
        return "fewer than two of the runs have a verdict"
    values = {name: {row.figures[name] for row in judged} for name in _FIGURES}
    values = {"verdict": {row.outcome for row in judged}, **values}
    apart = [name for name, found in values.items() if len(found) > 1]
    who = f"all {len(judged)} runs" if len(judged) == len(rows) else f"the {len(judged)} runs with a verdict"
    if apart:
        return f"{', '.join(apart)}: not the same in {who}"
    told = [f"{name} {found.pop()}" for name, found in values.items() if name != "verdict" and found != {ABSENT}]
    return f"{who} come to the same: {', '.join(told)}"


def text(rows: Sequence[Row]) -> str:
    """Return it for people: a line for each run, then whether they came to the same, then the settings that differ."""
    lines = [row.line for row in rows]
    lines += [f"{name}: {values}" for name, values in differing(rows).items()]
    return "\n".join([*lines, agreement(rows)])


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """Return it for scripts."""
    return {
        "runs": [
            {
                "id": row.run.id,
                "outcome": row.outcome,
                "verdict": msgspec.to_builtins(row.stated),
                "metrics": row.run.metrics,
            }
            for row in rows
        ],
        "settings_that_differ": {name: [row.settings.get(name) for row in rows] for name in differing(rows)},
    }


def _row(group: str, run: Measurement, side: Side) -> Row:
    folder = side.folders.get(run.id)
    stated = None if folder is None else _verdict(folder / run_files.VERDICT)
    unknown = NO_VERDICT if folder is None else UNKNOWN
    return Row(group, run, side.settings, stated.outcome if stated else unknown, stated)


def _verdict(path: Path) -> Stated | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stated)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as broken:
        raise BaselineError(f"{path}: {broken}") from broken


def _letter(at: int) -> str:
    """Name the runs A to Z, then A1 to Z1, and so on.

    >>> _letter(0), _letter(25), _letter(26)
    ('A', 'Z', 'A1')
    """
    around, letter = divmod(at, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(around) if around else "")


def _shown(row: Row, name: str) -> str | None:
    """Return None for what a run has no setting of."""
    if name not in row.settings:
        return None
    value = row.settings[name]
    return (value if isinstance(value, str) else json.dumps(value)) or ABSENT


def _by_value(rows: Sequence[Row], name: str) -> str:
    groups: dict[str, dict[str, None]] = {}
    for row in rows:
        if (value := _shown(row, name)) is not None:
            groups.setdefault(value, {})[row.group] = None
    return " · ".join(f"{value} ({', '.join(who)})" for value, who in groups.items())

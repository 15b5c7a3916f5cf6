"""Selections: which requests of a run a metric is taken of, by label and by window.

A window is a billing day, an hour of the billing day, or a part of the run's own time, always by the planned instant:
a late request belongs to the window in which it was due.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.billing_days import DAY_MS, day_number

SPIKE: Final = "spike"
"""The day for which the plan has the most arrivals."""
PEAK: Final = "peak"
"""The day with the month's highest DAU."""

LABELS: Final = ("verb", "kind", "platform", "country", "access_point")
KEYS: Final = (*LABELS, "code", "day", "hour", "from_s", "to_s")

_HOUR_MS: Final = 3_600_000
_HOURS: Final = 24
_US_PER_S: Final = 1_000_000
_NAMED: Final = re.compile(r"(?P<metric>[\w.]+)(?:\{(?P<where>[^{}]*)\})?")

Where = Mapping[str, tuple[str | int | float, ...]]

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Selection:
    """Requests that have one of the values at each key; without a key all of them."""

    where: Where

    @property
    def text(self) -> str:
        """Write it as people read it and `parse` takes it.

        >>> Selection({"country": ("BR", "SG"), "day": ("spike",)}).text
        '{country=BR|SG, day=spike}'
        """
        parts = [f"{key}={'|'.join(map(str, values))}" for key, values in self.where.items()]
        return f"{{{', '.join(parts)}}}" if parts else ""

    def document(self) -> dict[str, list[str | int | float]]:
        """Return it for `verdict.json`."""
        return {key: list(values) for key, values in self.where.items()}

    def needs(self, *keys: str) -> bool:
        """Tell whether one of the keys is used."""
        return any(key in self.where for key in keys)

    def rows(self, requests: pd.DataFrame, days: Mapping[str, int], offset_ms: int) -> Flags:
        """Tell which rows of a ledger's frame are chosen; `days` resolves `spike` and `peak`."""
        chosen: Flags = np.ones(len(requests), bool)
        for key, values in self.where.items():
            if key in (*LABELS, "code"):
                chosen &= requests[key].isin(values).to_numpy()
            elif key == "day":
                wanted = [days[day] if day in days else day_number(str(day)) for day in map(str, values)]
                chosen &= ((requests["planned_app_ms"] + offset_ms) // DAY_MS).isin(wanted).to_numpy()
            elif key == "hour":
                of_day = (requests["planned_app_ms"] + offset_ms) % DAY_MS
                chosen &= (of_day // _HOUR_MS).isin(values).to_numpy()
            else:
                edge_us = float(values[0]) * _US_PER_S
                planned_us = requests["planned_us"].to_numpy()
                chosen &= planned_us >= edge_us if key == "from_s" else planned_us < edge_us
        return chosen


EVERYTHING: Final = Selection({})


def problems(table: object) -> Iterator[str]:
    """Say what is wrong with a table of a gate file."""
    if not isinstance(table, Mapping):
        yield "where is a table of labels and windows"
        return
    for key, value in table.items():
        if key not in KEYS:
            yield f"where knows no {key!r}; known: {', '.join(KEYS)}"
            continue
        values = value if isinstance(value, list) else [value]
        wrong = [each for each in values if not _fits(key, each)]
        if wrong or not values:
            yield f"where: {key} cannot be {value!r}"
        elif len(values) > 1 and key in ("from_s", "to_s"):
            yield f"where: {key} is one number"


def read(table: Mapping[str, Any]) -> Selection:
    """Take a table without problems."""
    return Selection({key: tuple(value) if isinstance(value, list) else (value,) for key, value in table.items()})


def parse(text: str) -> tuple[str, Selection]:
    """Read a metric's name with its selection, as on a command line. Raises ValueError with one sentence.

    >>> name, selection = parse("latency.service_p99_ms{country=BR|SG, hour=20}")
    >>> name, dict(selection.where)
    ('latency.service_p99_ms', {'country': ('BR', 'SG'), 'hour': (20,)})
    """
    found = _NAMED.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no metric; write it like latency.service_p99_ms{{verb=login}}")
    table: dict[str, list[str | int | float]] = {}
    for part in filter(str.strip, (found["where"] or "").split(",")):
        key, _, values = (piece.strip() for piece in part.partition("="))
        table[key] = [_number(key, value) for value in values.split("|")]
    if wrong := list(problems(table)):
        raise ValueError(f"{text!r}: {'; '.join(wrong)}")
    return found["metric"], read(table)


def _number(key: str, value: str) -> str | int | float:
    if key in ("code", "hour", "from_s", "to_s"):
        try:
            return float(value) if key.endswith("_s") else int(value)
        except ValueError:
            return value
    return value


def _fits(key: str, value: object) -> bool:
    if key in LABELS:
        return isinstance(value, str)
    if key == "day":
        return isinstance(value, str) and (value in (SPIKE, PEAK) or _is_date(value))
    if isinstance(value, bool):
        return False
    if key == "hour":
        return isinstance(value, int) and 0 <= value < _HOURS
    return isinstance(value, int if key == "code" else int | float)


def _is_date(text: str) -> bool:
    try:
        day_number(text)
    except ValueError:
        return False
    return True

"""Findings: what an audit holds against a run, one sentence each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["invalid", "error", "warning"]

EXAMPLES_MAX: Final = 3
"""A finding names this many cases and counts the rest."""


NOWHERE: Final = 2**63 - 1
"""The first row of none."""


@dataclass(frozen=True, slots=True)
class Case:
    """How many rows are wrong, and the first of them."""

    count: int = 0
    first: int = NOWHERE

    def __add__(self, other: "Case") -> "Case":
        return Case(self.count + other.count, min(self.first, other.first))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    `invalid`: the run cannot prove anything; `error`: it proves that something is wrong; `warning`: something
    remains unproven.
    """

    code: str
    severity: Severity
    text: str


def invalid(code: str, text: str) -> Finding:
    return Finding(code, "invalid", text)


def error(code: str, text: str) -> Finding:
    return Finding(code, "error", text)


def warning(code: str, text: str) -> Finding:
    return Finding(code, "warning", text)


def listed(cases: Iterable[str]) -> str:
    """Join the first cases and count the others.

    >>> listed(["a", "b", "c", "d", "e"])
    'a; b; c; and 2 more'
    """
    shown = list(cases)
    rest = len(shown) - EXAMPLES_MAX
    return "; ".join(shown[:EXAMPLES_MAX] + ([f"and {rest:,} more"] if rest > 0 else []))


def rows(count: int) -> str:
    """Count rows in words.

    >>> rows(1), rows(1_400)
    ('1 row', '1,400 rows')
    """
    return f"{count:,} row" + ("" if count == 1 else "s")

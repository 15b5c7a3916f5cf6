"""What is known of all rows of a big run together, where nobody holds them in memory: see `big_runs`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.counts import Count
from analysis.findings import Case, Finding
from analysis.latencies import Latencies


@dataclass(frozen=True, slots=True)
class RowNumbers:
    """The ledger's row numbers: how many there are, lie inside the plan, and are different ones of it."""

    rows: int
    inside: int
    found: int
    first_missing: int
    repeated_beside: int
    """Beyond the plan, those that are there already."""


@dataclass(frozen=True, slots=True)
class SeqNumbers:
    """The journal's sequence numbers: where the first gap lies, and how many there are."""

    rows: int
    last: int
    gaps: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Whole:
    """Counts and comparisons over all rows, each the same as the ordinary audit's."""

    numbers: RowNumbers
    answers: int
    of_plan: int
    sent_of_plan: int
    arrivals: Mapping[int, int]
    """By planned day."""
    ledger: Count
    journal: Count
    resumed: Count | None
    """The ledger's, if a resume counted as a login; None where there was none."""
    utc: Count
    """The ledger's, by days in UTC."""
    second_ledger: Count
    second_journal: Count
    possible_dau: Callable[[NDArray[np.int64], pa.Array], Mapping[int, int]]
    """The DAU if these users had logged in too, each on its day."""
    clock: Mapping[str, Case]
    new_users: Mapping[int, Mapping[int, int]]
    """By day and hour, the users whose first login of the day lies in it."""
    latencies: Latencies
    digests: Mapping[str, str]
    sequence: SeqNumbers
    compared: Mapping[str, Sequence[Finding]]
    """The checks row by row."""
    registered: Sequence[Finding]
    """Whether accounts are made once."""

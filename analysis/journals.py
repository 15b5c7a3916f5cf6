"""The journal: what the server did, as far as its hash chain holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import chain, schemas
from analysis.findings import Finding, invalid
from analysis.run_files import JOURNAL_FOLDER, JOURNAL_KINDS

CONNECTED: Final = JOURNAL_KINDS.index("connected")
LOGGED_IN: Final = JOURNAL_KINDS.index("logged_in")
LOGIN_REFUSED: Final = JOURNAL_KINDS.index("login_refused")
RESUMED: Final = JOURNAL_KINDS.index("resumed")
RESUME_REFUSED: Final = JOURNAL_KINDS.index("resume_refused")
IMPORTED: Final = JOURNAL_KINDS.index("imported")
MONTH_CLOSED: Final = JOURNAL_KINDS.index("month_closed")
CHARGED: Final = JOURNAL_KINDS.index("charged")

NOT_COUNTED: Final = -1
_NUMBERS: Final = (
    "seq", "time_ms", "kind", "user", "connection", "request_seq", "counted_day", "code",
)  # fmt: skip


@dataclass(frozen=True)
class Journal:
    """The rows as an Arrow table and, without their strings, as a pandas frame in the same order."""

    table: pa.Table
    frame: pd.DataFrame
    head: str
    findings: tuple[Finding, ...]

    @cached_property
    def requests(self) -> pd.DataFrame:
        """The rows that answer a login or a resume."""
        return self.frame[self.frame["kind"].between(LOGGED_IN, RESUME_REFUSED)]

    @cached_property
    def logins(self) -> pd.DataFrame:
        """The admitted logins: their time and user."""
        return self.requests.loc[self.requests["kind"] == LOGGED_IN, ["time_ms", "user"]]

    def strings(self, column: str, *kinds: int) -> tuple[NDArray[np.int64], pa.Array]:
        """Return positions in the frame, and strings, of the rows of some kinds that have one."""
        wanted = np.isin(self.frame["kind"].to_numpy(), kinds)
        wanted &= pc.is_valid(self.table[column]).to_numpy()
        return np.flatnonzero(wanted), self.table[column].filter(pa.array(wanted)).combine_chunks()

    def notes(self, kind: int) -> list[Mapping[str, Any]]:
        """Return the JSON texts of a kind; what is no JSON object is left out and so proves nothing."""
        _, texts = self.strings("text", kind)
        return [note for text in texts.to_pylist() if (note := _json_object(text))]


def read(folder: Path) -> Journal:
    """Read the segments in the order of their names."""
    links = chain.read(sorted((folder / JOURNAL_FOLDER).glob("*.arrow")))
    findings = [invalid("journal_chain_broken", links.damage)] if links.damage else []
    table = links.table
    frame = table.select(_NUMBERS).to_pandas(split_blocks=True)
    bad, broken = schemas.violations(frame, schemas.JOURNAL, "journal")
    if len(bad):
        keep = ~frame.index.isin(bad)
        frame, table = frame[keep].reset_index(drop=True), table.filter(pa.array(keep))
    return Journal(table, frame, links.head, (*findings, *broken))


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None

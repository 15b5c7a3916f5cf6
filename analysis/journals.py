"""The journal: what the server did, as far as its hash chain holds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import chain, notes, schemas
from analysis.findings import Finding, invalid
from analysis.notes import Notes
from analysis.run_files import JOURNAL_FOLDER, JOURNAL_KINDS

CONNECTED: Final = JOURNAL_KINDS.index("connected")
LOGGED_IN: Final = JOURNAL_KINDS.index("logged_in")
LOGIN_REFUSED: Final = JOURNAL_KINDS.index("login_refused")
RESUMED: Final = JOURNAL_KINDS.index("resumed")
RESUME_REFUSED: Final = JOURNAL_KINDS.index("resume_refused")
IMPORTED: Final = JOURNAL_KINDS.index("imported")
IMPORT_REFUSED: Final = JOURNAL_KINDS.index("import_refused")
MONTH_CLOSED: Final = JOURNAL_KINDS.index("month_closed")
CHARGED: Final = JOURNAL_KINDS.index("charged")
DELETED: Final = JOURNAL_KINDS.index("deleted")
DELETE_REFUSED: Final = JOURNAL_KINDS.index("delete_refused")
GROUP_CREATED: Final = JOURNAL_KINDS.index("group_created")
CREATE_REFUSED: Final = JOURNAL_KINDS.index("create_refused")
GROUP_DESTROYED: Final = JOURNAL_KINDS.index("group_destroyed")
DESTROY_REFUSED: Final = JOURNAL_KINDS.index("destroy_refused")
JOINED: Final = JOURNAL_KINDS.index("joined")
JOIN_REFUSED: Final = JOURNAL_KINDS.index("join_refused")
LEFT: Final = JOURNAL_KINDS.index("left")
GROUP_CHANGED: Final = JOURNAL_KINDS.index("group_changed")
PLAN_CHANGED: Final = JOURNAL_KINDS.index("plan_changed")
TRIAL_OPENED: Final = JOURNAL_KINDS.index("trial_opened")
TRIAL_REFUSED: Final = JOURNAL_KINDS.index("trial_refused")
CALL_STARTED: Final = JOURNAL_KINDS.index("call_started")
CALL_REFUSED: Final = JOURNAL_KINDS.index("call_refused")
CALL_ENDED: Final = JOURNAL_KINDS.index("call_ended")
CALL_CHANGED: Final = JOURNAL_KINDS.index("call_changed")
FAULT_MET: Final = JOURNAL_KINDS.index("fault_met")
ACCESS_CHANGED: Final = JOURNAL_KINDS.index("access_changed")
ROUTING_CHANGED: Final = JOURNAL_KINDS.index("routing_changed")
UNANSWERED: Final = JOURNAL_KINDS.index("unanswered")
APP_OPENED: Final = JOURNAL_KINDS.index("app_opened")

VERBS: Final[Mapping[int, tuple[str, ...]]] = {
    LOGGED_IN: ("login",),
    LOGIN_REFUSED: ("login",),
    RESUMED: ("resume",),
    RESUME_REFUSED: ("resume",),
    IMPORTED: ("import",),
    IMPORT_REFUSED: ("import",),
    DELETED: ("delete",),
    DELETE_REFUSED: ("delete",),
    GROUP_CREATED: ("create_group",),
    CREATE_REFUSED: ("create_group",),
    GROUP_DESTROYED: ("destroy_group",),
    DESTROY_REFUSED: ("destroy_group",),
    JOINED: ("join_group",),
    JOIN_REFUSED: ("join_group",),
    LEFT: ("quit_group",),
    TRIAL_OPENED: ("open_call_trial",),
    TRIAL_REFUSED: ("open_call_trial",),
    CALL_STARTED: ("start_call",),
    CALL_REFUSED: ("start_call", "end_call"),
    CALL_ENDED: ("end_call",),
    FAULT_MET: (
        "login",
        "resume",
        "import",
        "delete",
        "create_group",
        "destroy_group",
        "join_group",
        "quit_group",
    ),
}
"""What a ledger's row may have asked for, by the kind of the journal's row that answers it."""
REFUSALS: Final = (
    LOGIN_REFUSED, RESUME_REFUSED, IMPORT_REFUSED, DELETE_REFUSED, CREATE_REFUSED, DESTROY_REFUSED, JOIN_REFUSED,
    TRIAL_REFUSED, CALL_REFUSED, FAULT_MET,
)  # fmt: skip
PREPARATIONS: Final = (IMPORTED, IMPORT_REFUSED, DELETED, DELETE_REFUSED, TRIAL_OPENED, TRIAL_REFUSED)
"""Kinds that a run may cause without a row in its ledger, by calls that carry no request id."""

_LOGIN_API: Final = "im_open_status/wslogin"
_NOTED: Final = (*range(GROUP_CREATED, GROUP_CHANGED + 1), CALL_STARTED, CALL_REFUSED, CALL_ENDED, CALL_CHANGED)
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
        """The rows that answer a request which a ledger must know."""
        kind = self.frame["kind"]
        prepared = kind.isin(PREPARATIONS) & (self.frame["connection"] == 0)
        return self.frame[kind.isin(tuple(VERBS)) & ~prepared]

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """The rows that answer a login or a resume."""
        kind = self.frame["kind"]
        answers = kind.between(LOGGED_IN, RESUME_REFUSED)
        at, apis = self.strings("text", FAULT_MET)
        answers.iloc[at[pc.equal(apis, _LOGIN_API).to_numpy(zero_copy_only=False)]] = True
        return self.frame[answers]

    @cached_property
    def logins(self) -> pd.DataFrame:
        """The admitted logins: their time and user."""
        return self.sessions.loc[self.sessions["kind"] == LOGGED_IN, ["time_ms", "user"]]

    @cached_property
    def notes(self) -> Notes:
        """What the texts say of groups and calls."""
        wanted = self.frame["kind"].isin(_NOTED).to_numpy()
        return notes.read(np.flatnonzero(wanted), self.table["text"].filter(pa.array(wanted)))

    def strings(self, column: str, *kinds: int) -> tuple[NDArray[np.int64], pa.Array]:
        """Return positions in the frame, and strings, of the rows of some kinds that have one."""
        wanted = np.isin(self.frame["kind"].to_numpy(), kinds)
        wanted &= pc.is_valid(self.table[column]).to_numpy()
        return np.flatnonzero(wanted), self.table[column].filter(pa.array(wanted)).combine_chunks()

    def documents(self, kind: int) -> list[Mapping[str, Any]]:
        """Return the JSON texts of a kind; what is no JSON object is left out and so proves nothing."""
        _, texts = self.strings("text", kind)
        return [note for text in texts.to_pylist() if (note := _json_object(text))]


def read(folder: Path) -> Journal:
    """Read the segments in the order of their names."""
    links = chain.read(sorted((folder / JOURNAL_FOLDER).glob("*.arrow")))
    findings = [invalid("journal_chain_broken", links.damage)] if links.damage else []
    return of_table(links.table, links.head, findings)


def of_table(table: pa.Table, head: str = "", findings: Iterable[Finding] = ()) -> Journal:
    """Take the rows of all segments, without those whose values cannot be."""
    # A server that writes after each tick leaves hundreds of thousands of batches: every later look would visit each.
    table = table.combine_chunks()
    frame = table.select(_NUMBERS).to_pandas(split_blocks=True)
    bad, broken = schemas.violations(frame, schemas.JOURNAL, "journal")
    if len(bad):
        keep = ~frame.index.isin(bad)
        frame, table = frame[keep].reset_index(drop=True), table.filter(pa.array(keep))
    return Journal(table, frame, head, (*findings, *broken))


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None

"""Calls are allowed while a call trial runs, and only then: judged in both directions, by the journal.

A trial belongs to one SDKAppID and lasts whole days from its opening, to the millisecond; its end is outside. A call
that runs at the end goes on. How many trials there may be, and which code says what, are readings
(`docs/open-points.md`).
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from analysis import journals
from analysis.billing_days import DAY_MS
from analysis.findings import Finding, error, rows
from analysis.journals import Journal
from analysis.plans import plans

NOT_OPENED: Final = -1001
"""No trial has ever been opened."""
NOT_RUNNING: Final = -1002
"""The trial is over; also said where no further one may be opened, or one still runs."""

_KINDS: Final = (journals.TRIAL_OPENED, journals.TRIAL_REFUSED, journals.CALL_STARTED, journals.CALL_REFUSED)
_TEXTS: Final = {
    "cap_exceeded": "begin a call without a running call trial, or open one too many",
    "cap_refused_below": "refuse a call under a running call trial, or a trial that may be opened",
    "cap_code_wrong": "refuse a call rightly but with a wrong code",
}


@dataclass(slots=True)
class _Trials:
    """The trials that were opened so far."""

    opened_ms: list[int] = field(default_factory=list)

    def judge(self, kind: int, code: int, time_ms: int) -> str:
        """Return what is wrong with a row, if anything; an opening counts from then on, right or not."""
        terms = plans().call_trial
        runs = bool(self.opened_ms) and time_ms < self.opened_ms[-1] + terms.days * DAY_MS
        may_open = not runs and len(self.opened_ms) < terms.trials
        if kind == journals.TRIAL_OPENED:
            self.opened_ms.append(time_ms)
            return "" if may_open else "cap_exceeded"
        if kind == journals.TRIAL_REFUSED:
            return "cap_refused_below" if may_open else ""
        if kind == journals.CALL_STARTED:
            return "" if runs else "cap_exceeded"
        if code not in (NOT_OPENED, NOT_RUNNING):
            return ""
        due = NOT_RUNNING if self.opened_ms else NOT_OPENED
        return "cap_refused_below" if runs else "" if code == due else "cap_code_wrong"


def findings(journal: Journal) -> list[Finding]:
    """Follow trials and calls in the journal's order."""
    frame = journal.frame
    asked = frame[np.isin(frame["kind"], _KINDS)]
    trials, wrong = _Trials(), dict[str, list[int]]()
    for seq, kind, code, time_ms in asked[["seq", "kind", "code", "time_ms"]].itertuples(index=False, name=None):
        if found := trials.judge(kind, code, time_ms):
            wrong.setdefault(found, []).append(seq)
    return [
        error(code, f"{rows(len(seqs))} of the journal {_TEXTS[code]}: the first, seq {seqs[0]:,}")
        for code, seqs in sorted(wrong.items())
    ]

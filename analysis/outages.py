"""Outages: who was online at an access point when it was lost or drained, and how soon they were online again.

Times are of the run, in microseconds since its zero. A session (a user on a device) is online where its last success
came in, until its next one, the loss of the point, or the end of the billing day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.billing_days import DAY_MS
from analysis.documents import Access, AccessChange
from analysis.findings import Finding, error, listed, rows, warning
from analysis.places import AccessPoints
from analysis.visits import UNKNOWN, UP, Ints, Visits

RECOVERED_SHARE: Final = 0.99
"""Of the lost sessions: a user whose phone is in a tunnel must not decide."""
STORM_US: Final = 1_000_000
"""The storm's peak is the most reconnects within any second."""
SLICES: Final = 160
"""Of the run's time, for the load over time."""
DOWN: Final = "down"

_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Outage:
    """An access point that was lost (`down`) or drained (`draining`), and what followed."""

    code: str
    state: str
    app_ms: int
    day: int
    """The billing day."""
    lost_us: int
    """Before the call that lost it; it is counted from here."""
    until_us: int | None
    """When the point's state changed again; None: never."""
    sessions: int
    """Online there when it was lost."""
    users: int
    online_again: int
    """Of the sessions, on the same day."""
    recovery_us: int | None
    """Until RECOVERED_SHARE of them were; None where there were none, or not so many."""
    reconnects: int
    """Resumes and repeated logins that were sent while it lasted, and until all who were lost were online again."""
    storm_per_second: int
    resumes_refused: int

    @property
    def recovery_s(self) -> float | None:
        return None if self.recovery_us is None else self.recovery_us / 1e6


@dataclass(frozen=True, slots=True)
class Online:
    """Sessions online by access point, at the end of each slice of the run's time and when a point was cut."""

    at_s: NDArray[np.float64]
    by_code: dict[str, Ints]
    """The busiest point first, without those where nobody was."""


@dataclass(frozen=True, slots=True)
class _Sessions:
    """Successes in the order of session, day and time, with the time of the session's next one on the same day."""

    since_us: Ints
    next_us: Ints
    point: Ints
    day: Ints
    user: Ints


def of(access: Access, come: Visits, points: AccessPoints, offset_ms: int) -> tuple[list[Outage], Online]:
    """Judge each change that took a point out of service, in their order, and follow who was online where."""
    sessions = _sessions(come)
    gone_us = sessions.next_us.copy()
    found = []
    state_of: dict[str, str] = {}
    for number, change in enumerate(access.changes):
        before, state_of[change.code] = state_of.get(change.code, UP), change.state
        if change.state in {UP, before}:
            continue
        point, day = points.number_of.get(change.code, UNKNOWN), (change.app_ms + offset_ms) // DAY_MS
        lost = _lost(change, sessions, gone_us, point, day)
        if change.state == DOWN:
            # Nobody is gone before he has come, though he may have come while the call was under way.
            gone_us[lost] = np.maximum(np.minimum(gone_us[lost], change.before_us), sessions.since_us[lost])
        found.append(_outage(access.changes[number:], day, come, sessions, lost))
    cut_us = [change.before_us for change in access.changes if change.state == DOWN]
    return found, _online(sessions, np.minimum(gone_us, _ends_of_days(sessions)), points, cut_us)


def findings(found: Sequence[Outage], come: Visits) -> list[Finding]:
    """Hold refused resumes against the server, and say who was not online again."""
    problems = []
    refused = np.flatnonzero(come.is_resume & (come.code > 0))
    if len(refused):
        codes = ", ".join(str(code) for code in np.unique(come.code[refused]).tolist())
        text = f"{rows(len(refused))} of the ledger are resumes that were refused, with {codes}: all could be served"
        problems.append(error("resume_refused", text))
    away = [
        f"{outage.sessions - outage.online_again:,} of {outage.sessions:,} at {outage.code}"
        for outage in found
        if outage.state == DOWN and outage.sessions > outage.online_again
    ]
    if away:
        text = f"sessions were not online again on the day on which their access point was lost: {listed(away)}"
        problems.append(warning("session_not_online_again", text))
    return problems


def _sessions(come: Visits) -> _Sessions:
    admitted = np.flatnonzero(come.is_admitted & (come.point != UNKNOWN))
    by_time = admitted[np.argsort(come.answered_us[admitted], kind="stable")]
    first_day = int(come.day[by_time].min(initial=0)) if len(by_time) else 0
    days = int(come.day[by_time].max(initial=0)) - first_day + 1
    key = come.session[by_time] * days + come.day[by_time] - first_day
    order = np.argsort(key, kind="stable")
    at, key = by_time[order], key[order]
    since_us = come.answered_us[at]
    next_us = np.full(len(at), _NEVER)
    again = key[1:] == key[:-1]
    next_us[:-1][again] = since_us[1:][again]
    return _Sessions(since_us, next_us, come.point[at], come.day[at], come.user[at])


def _ends_of_days(sessions: _Sessions) -> Ints:
    """For each success the last one of its day: then everybody goes offline."""
    days, number = np.unique(sessions.day, return_inverse=True)
    ends = np.zeros(len(days), np.int64)
    np.maximum.at(ends, number, sessions.since_us)
    return ends[number]


def _lost(change: AccessChange, sessions: _Sessions, gone_us: Ints, point: int, day: int) -> Ints:
    """Return who was online at a point when it changed: came in before it had, and nowhere else until then.

    Whoever comes in while the call is under way is cut off as well where the point goes down, and may have missed the
    push that asks to move where it is drained.
    """
    there = np.flatnonzero((sessions.point == point) & (sessions.day == day))
    had_come = sessions.since_us[there] <= (change.after_us if change.state == DOWN else change.before_us)
    return there[had_come & (gone_us[there] > change.before_us)]


def _outage(changes: Sequence[AccessChange], day: int, come: Visits, sessions: _Sessions, lost: Ints) -> Outage:
    """Describe the first change, which the others follow."""
    change = changes[0]
    until_us = next((one.before_us for one in changes if one.code == change.code and one.state != change.state), None)
    again_us = np.sort(sessions.next_us[lost])
    again_us = again_us[again_us != _NEVER]
    end_us = _NEVER if until_us is None else max([until_us, *again_us[-1:].tolist()])
    is_meanwhile = (come.sent_us >= change.before_us) & (come.sent_us < end_us)
    needed = int(np.ceil(RECOVERED_SHARE * len(lost)))
    return Outage(
        code=change.code,
        state=change.state,
        app_ms=change.app_ms,
        day=day,
        lost_us=change.before_us,
        until_us=until_us,
        sessions=len(lost),
        users=len(np.unique(sessions.user[lost])),
        online_again=len(again_us),
        recovery_us=int(again_us[needed - 1]) - change.before_us if 0 < needed <= len(again_us) else None,
        reconnects=int((come.is_beside & is_meanwhile).sum()),
        storm_per_second=_most_within(np.sort(come.sent_us[come.is_beside & is_meanwhile]), STORM_US),
        resumes_refused=int((come.is_resume & (come.code > 0) & is_meanwhile).sum()),
    )


def _most_within(sorted_us: Ints, span_us: int) -> int:
    """Return the most events within any half-open span of this length.

    >>> _most_within(np.array([0, 400, 900, 1_000, 1_300]), 1_000)
    4
    """
    ends = np.searchsorted(sorted_us, sorted_us + span_us, side="left")
    return int((ends - np.arange(len(sorted_us))).max(initial=0))


def _online(sessions: _Sessions, until_us: Ints, points: AccessPoints, cut_us: Sequence[int]) -> Online:
    """Count at the end of each slice, and when a point is cut, who has come and has not gone."""
    since_us = sessions.since_us
    first_us, last_us = int(since_us.min(initial=0)), int(since_us.max(initial=0))
    within_us = [instant for instant in cut_us if first_us < instant < last_us]
    edges = np.unique([*np.linspace(first_us, last_us, SLICES + 1)[1:], *within_us])
    count, slices = len(points.points), len(edges) + 1
    table = np.zeros((count, slices), np.int64)
    for times_us, step, side in ((since_us, 1, "left"), (until_us, -1, "right")):
        at = np.searchsorted(edges, times_us, side=side)  # type: ignore[call-overload]
        table += step * np.bincount(sessions.point * slices + at, minlength=table.size).reshape(table.shape)
    online = np.cumsum(table[:, :-1], axis=1)
    busiest = np.argsort(-online.max(axis=1, initial=0), kind="stable")
    used = [number for number in busiest.tolist() if online[number].any()]
    return Online(edges / 1e6, {points.points[number].code: online[number] for number in used})

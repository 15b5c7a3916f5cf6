"""The journal as second witness of access points: who came in where, and whether the point was there at all."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from analysis.documents import Access
from analysis.findings import Finding, error, listed, rows
from analysis.journals import ACCESS_CHANGED, CONNECTED, LOGGED_IN, RESUMED, ROUTING_CHANGED, Journal
from analysis.ledgers import Ledger
from analysis.matching import Matches
from analysis.places import AccessPoints
from analysis.visits import UNKNOWN, UP, Ints, Visits

DOWN: Final = "down"
_INSTANCE_ID_LENGTH: Final = 32
_NEVER: Final = np.iinfo(np.int64).max


def findings(  # noqa: PLR0913, PLR0917 -- two witnesses, and what joins them
    ledger: Ledger, journal: Journal, access: Access, points: AccessPoints, come: Visits, matches: Matches
) -> list[Finding]:
    """Compare what the server wrote down of access points with what the clients saw."""
    at, instances, point = _connected(journal, points)
    return [
        *_points_differ(ledger, instances, point, come),
        *_changes_differ(journal, access),
        *_out_of_order(journal, access, matches),
        *_at_lost_points(journal, points, at, point, come, matches),
    ]


def unproven(journal: Journal | None, access: Access) -> list[str]:
    """Say what this journal cannot show."""
    if not access.changes or (journal and _knows_changes(journal)):
        return []
    return ["that nobody was let in at a lost access point: no journal says when it was lost"]


def _knows_changes(journal: Journal) -> bool:
    """Whether the server writes down what becomes of access points."""
    return bool((journal.frame["kind"] == ACCESS_CHANGED).any())


def _connected(journal: Journal, points: AccessPoints) -> tuple[Ints, Any, Ints]:
    """Return of each connection its position in the journal, its `instanceid`, and its access point."""
    at, texts = journal.strings("text", CONNECTED)
    instances = pc.utf8_slice_codeunits(texts, 0, _INSTANCE_ID_LENGTH)
    codes = pc.utf8_slice_codeunits(texts, _INSTANCE_ID_LENGTH + 1).to_pylist()
    return at, instances, np.array([points.number_of.get(code, UNKNOWN) for code in codes], np.int64)


def _points_differ(ledger: Ledger, instances: Any, point: Ints, come: Visits) -> list[Finding]:  # noqa: ANN401 -- an Arrow array
    known = pc.fill_null(pc.index_in(instances, value_set=ledger.connection_ids), UNKNOWN)
    number = known.to_numpy(zero_copy_only=False)
    said = np.full(len(ledger.connection_ids) + 1, UNKNOWN, np.int64)
    said[number] = point
    said[UNKNOWN] = UNKNOWN
    journals = said[come.connection]
    differs = (journals != UNKNOWN) & (journals != come.point)
    if not differs.any():
        return []
    text = (
        f"{rows(int(differs.sum()))} of the ledger came in at another access point, says the journal: "
        f"the first is row {int(come.row[differs].min()):,}"
    )
    return [error("access_point_differs", text)]


def _changes_differ(journal: Journal, access: Access) -> list[Finding]:
    """Hold the server's changes of states, and its choice for the app, against what the harness asked for."""
    found = []
    if _knows_changes(journal):
        asked = [(one.version, one.code, one.state, one.capacity) for one in access.changes]
        noted = [_change(note) for note in journal.documents(ACCESS_CHANGED)]
        made = [change for change in noted if change[0] > access.start_version]
        # What changes nothing is answered with the version that there was, and not written down.
        asked = [change for number, change in enumerate(asked) if change not in asked[:number]]
        if extra := [f"{code} {state} at version {version}" for version, code, state, _ in set(made) - set(asked)]:
            text = f"the journal has changes of access points that the run did not ask for: {listed(sorted(extra))}"
            found.append(error("access_change_unasked", text))
        if lacking := [f"{code} {state} at version {version}" for version, code, state, _ in set(asked) - set(made)]:
            text = f"changes of access points are not in the journal: {listed(sorted(lacking))}"
            found.append(error("access_change_missing", text))
    chosen = [note for note in journal.documents(ROUTING_CHANGED) if note.get("version", 0) <= access.start_version]
    if chosen and (chosen[-1].get("policy"), sorted(chosen[-1].get("pin", []))) != (access.policy, sorted(access.pin)):
        text = f"the server routes by {chosen[-1].get('policy')}, says its journal, and the run by {access.policy}"
        found.append(error("routing_differs", text))
    return found


def _out_of_order(journal: Journal, access: Access, matches: Matches) -> list[Finding]:
    """Check that the journal has each change between what was answered before and what was sent after its call."""
    at, _ = journal.strings("text", ACCESS_CHANGED)
    notes = [_change(note) for note in journal.documents(ACCESS_CHANGED)]
    if len(notes) != len(at) or not notes or not len(matches.ledger):
        return []
    seq_of = dict(zip((version for version, *_ in notes), journal.frame["seq"].to_numpy()[at].tolist(), strict=True))
    seq, sent_us, answered_us = (
        column.to_numpy()
        for column in (matches.journal["seq"], matches.ledger["sent_us"], matches.ledger["answered_us"])
    )
    by_answer, by_send = np.argsort(answered_us, kind="stable"), np.argsort(sent_us, kind="stable")
    last_before = np.concatenate([[0], np.maximum.accumulate(seq[by_answer])])
    first_after = np.concatenate([np.minimum.accumulate(seq[by_send][::-1])[::-1], [_NEVER]])
    wrong = []
    for change in access.changes:
        before = int(last_before[np.searchsorted(answered_us[by_answer], change.before_us, side="left")])
        after = int(first_after[np.searchsorted(sent_us[by_send], change.after_us, side="right")])
        if not before < seq_of.get(change.version, before + 1) < after:
            wrong.append(f"{change.code} {change.state} at version {change.version}")
    if not wrong:
        return []
    text = f"changes of access points stand in the journal where they cannot have happened: {listed(wrong)}"
    return [error("access_change_out_of_order", text)]


def _change(note: Mapping[str, Any]) -> tuple[int, str, str, float]:
    return int(note.get("version", 0)), str(note.get("code")), str(note.get("state")), float(note.get("capacity", 1.0))


def _at_lost_points(  # noqa: PLR0913, PLR0917 -- what both witnesses know of it
    journal: Journal, points: AccessPoints, connected_at: Ints, point: Ints, come: Visits, matches: Matches
) -> list[Finding]:
    """Check by the journal's order that nobody was let in at a point that was down, or came new to a draining one.

    What was under way when the point was cut may still be written down, as long as nobody has read an answer to it.
    """
    changed_at, _ = journal.strings("text", ACCESS_CHANGED)
    notes = [_change(note) for note in journal.documents(ACCESS_CHANGED)]
    if len(notes) != len(changed_at):
        return []
    numbers, kind = journal.frame["connection"].to_numpy(), journal.frame["kind"].to_numpy()
    point_of = np.full(int(numbers.max(initial=0)) + 1, UNKNOWN, np.int64)
    point_of[numbers[connected_at]] = point
    admitted_at = np.flatnonzero((kind == LOGGED_IN) | (kind == RESUMED))
    admitted_point = point_of[numbers[admitted_at]]
    is_read = np.zeros(len(kind), bool)
    is_read[np.searchsorted(journal.frame["seq"].to_numpy(), matches.journal["seq"].to_numpy())] = True
    let_in = unread = came = 0
    for number, (_, code, state, _) in enumerate(notes):
        if state == UP:
            continue
        later = (int(changed_at[after]) for after in range(number + 1, len(notes)) if notes[after][1] == code)
        begin, end = int(changed_at[number]), next(later, len(kind))
        of_point = points.number_of.get(code, UNKNOWN - 1)
        came += len(_between(connected_at[point == of_point], begin, end))
        if state == DOWN:
            admitted = _between(admitted_at[admitted_point == of_point], begin, end)
            let_in += int(is_read[admitted].sum())
            unread += len(admitted) - int(is_read[admitted].sum())
    found = []
    # Each that nobody read an answer to is one that the ledger knows to have been lost.
    lost = int(((come.answered_us == UNKNOWN) & np.isin(come.point, list(_numbers_of(notes, points)))).sum())
    let_in += max(0, unread - lost)
    if let_in:
        text = f"{rows(let_in)} of the journal admit a user at an access point that was down"
        found.append(error("login_at_lost_point", text))
    if came:
        text = f"{rows(came)} of the journal are connections to an access point that took none"
        found.append(error("connected_to_lost_point", text))
    return found


def _numbers_of(notes: Sequence[tuple[int, str, str, float]], points: AccessPoints) -> set[int]:
    """Return the points that went down."""
    return {points.number_of[code] for _, code, state, _ in notes if state == DOWN and code in points.number_of}


def _between(at: Ints, begin: int, end: int) -> Ints:
    return at[(at > begin) & (at < end)]

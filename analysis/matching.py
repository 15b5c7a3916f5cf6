"""Row by row: every answer that a client read has exactly one row in the journal, and says the same.

Request ids join the two: (`connection`, `request_seq`), the journal's `connected` rows naming each connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import journals, recount, silence
from analysis.billing_days import iso
from analysis.findings import NOWHERE, Case, Finding, error, rows
from analysis.journals import CONNECTED, IMPORTED, LOGGED_IN, REFUSALS, VERBS, Journal
from analysis.ledgers import Ledger
from analysis.schemas import REQUEST_SEQ_BITS

NOBODY: Final = -1
STRANGER: Final = -2
"""A UserID that the ledger does not know."""
INSTANCE_ID_LENGTH: Final = 32
_COMPARED: Final = ("seq", "time_ms", "kind", "code")
OF_USER: Final = (
    LOGGED_IN, journals.RESUMED, IMPORTED, journals.DELETED, journals.GROUP_CREATED, journals.JOINED, journals.LEFT,
)  # fmt: skip
"""Kinds whose `user` is the one that the ledger names."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Registrations:
    """The rows that gave a user its number: the numbers, and the UserIDs as the ledger numbers them."""

    number: Ints
    name: Ints
    user_id: pa.Array


@dataclass(frozen=True, slots=True)
class Matches:
    """Answered ledger rows beside their journal rows (same length and order), and what has no partner.

    `silent` answers changed nothing, so that no row is due for them.
    """

    ledger: pd.DataFrame
    journal: pd.DataFrame
    only_ledger: int
    silent: int
    only_journal: pd.DataFrame
    repeated: int


def registrations(ledger: Ledger, journal: Journal) -> Registrations:
    at, user_ids = journal.strings("user_id", LOGGED_IN, IMPORTED)
    number = journal.frame["user"].to_numpy()[at]
    return Registrations(number, _positions(user_ids, ledger.user_ids), user_ids)


def match(ledger: Ledger, journal: Journal, registered: Registrations) -> Matches:
    """Join the two by request id; rows beyond the first of an id are counted, not joined."""
    requests = journal.requests[list(_COMPARED)]
    requests = requests.assign(name=_names(ledger, journal, registered), group=_groups(ledger, journal))
    journal_ids = pd.Index(_ids(_connections(ledger, journal), journal.requests["request_seq"]))
    answered_ids = pd.Index(_ids(ledger.answered["connection"], ledger.answered["request_seq"]))
    unanswered = pd.concat([ledger.open, ledger.settled])
    open_ids = _ids(unanswered["connection"], unanswered["request_seq"])
    repeated = int(answered_ids.duplicated().sum())
    if not journal_ids.is_unique:
        again = journal_ids.duplicated()
        repeated += int(again.sum())
        requests, journal_ids = requests[~again], journal_ids[~again]
    at = journal_ids.get_indexer(answered_ids)
    found = at >= 0
    unclaimed = np.ones(len(requests), bool)
    unclaimed[at[found]] = False
    unclaimed &= ~journal_ids.isin(open_ids)
    matched = ledger.answered if found.all() else ledger.answered[found]
    partners = requests.take(at[found])
    alone = ledger.answered[~found]
    silent = silence.explained(alone, matched, partners, _prepared(journal, registered))
    return Matches(
        ledger=matched,
        journal=partners,
        only_ledger=len(alone) - silent,
        silent=silent,
        only_journal=requests[unclaimed],
        repeated=repeated,
    )


def pairs(matches: Matches) -> list[Finding]:
    """Check that nobody speaks of a request that the other does not know."""
    extra = matches.only_journal
    unasked = Case(len(extra), int(extra["seq"].iloc[0]) if len(extra) else 0)
    return pairs_said(matches.repeated, matches.only_ledger, unasked)


def pairs_said(repeated: int, only_ledger: int, unasked: Case) -> list[Finding]:
    """Say what has no partner; the first row of the journal by its seq."""
    findings = []
    if repeated:
        text = f"{rows(repeated)} repeat the request id of another"
        findings.append(error("request_id_repeated", text))
    if only_ledger:
        text = f"{rows(only_ledger)} of the ledger were answered and are not in the journal"
        findings.append(error("journal_row_missing", text))
    if unasked.count:
        text = f"{rows(unasked.count)} of the journal, the first with seq {unasked.first:,}, are not in the ledger"
        findings.append(error("journal_row_unasked", text))
    return findings


def contents(matches: Matches) -> list[Finding]:
    """Check user, group, verb, code and time of each pair."""
    ledger = matches.ledger
    journal = matches.journal.set_axis(ledger.index)
    before, after = ledger["app_before_ms"], ledger["app_after_ms"]
    wrong = {
        "user_differs": (journal["name"] != ledger["user"]) & (journal["name"] != NOBODY),
        "group_differs": (journal["group"] != ledger["group"]) & (journal["group"] != NOBODY),
        "verb_differs": _verb_differs(journal["kind"], ledger["verb"]),
        "code_differs": journal["code"] != ledger["code"],
        "time_differs": (journal["time_ms"] < before) | (journal["time_ms"] > after),
        # A refusal with code 0, or an admission with another, would count one way and read the other.
        "kind_contradicts_code": (journal["code"] == 0) == journal["kind"].isin(REFUSALS),
    }
    return contents_said({code: _case(ledger, mask) for code, mask in wrong.items()})


def contents_said(wrong: Mapping[str, Case]) -> list[Finding]:
    """Say in what pairs differ, each with the first row of the ledger."""
    texts = {
        "user_differs": "name another user in the journal than in the ledger",
        "group_differs": "name another group or call in the journal than in the ledger",
        "verb_differs": "are of another kind in the journal than what the ledger asked for",
        "code_differs": "have another code in the journal than in the ledger",
        "time_differs": "happened, says the journal, at a time outside what the client knew of the app's clock",
        "kind_contradicts_code": "of the journal are of a kind that contradicts their code",
    }
    return [
        error(code, f"{rows(wrong[code].count)} {text}: the first is row {wrong[code].first:,}")
        for code, text in texts.items()
        if wrong[code].count
    ]


def order(matches: Matches) -> list[Finding]:
    """Check that what was answered before something else was sent comes before it in the journal."""
    seq = matches.journal["seq"].to_numpy()
    sent = matches.ledger["sent_us"].to_numpy()
    answered = matches.ledger["answered_us"].to_numpy()
    by_answer = np.argsort(answered, kind="stable")
    latest_seq = np.maximum.accumulate(np.concatenate([[0], seq[by_answer]]))
    answers_before = np.searchsorted(answered[by_answer], sent, side="left")
    late = latest_seq[answers_before] > seq
    return order_said(_case(matches.ledger, late))


def order_said(late: Case) -> list[Finding]:
    """Say how many rows come too early, with the first row of the ledger."""
    if not late.count:
        return []
    text = (
        f"{rows(late.count)} of the journal come before something that was already answered when they were "
        f"sent: the first is row {late.first:,}"
    )
    return [error("order_violated", text)]


def registration(journal: Journal, registered: Registrations) -> list[Finding]:
    """Check that a number belongs to one UserID and a UserID to one number, and that every login has a number."""
    nameless = ~journal.logins["user"].isin(pd.Index(registered.number))
    return registration_said(registered, int(nameless.sum()))


def registration_said(registered: Registrations, nameless: int) -> list[Finding]:
    """Say which numbers and UserIDs contradict each other, and how many logins have a number without a name."""
    findings = []
    # A deleted UserID that comes again keeps its number: the same pair twice is no contradiction.
    names = registered.name.copy()
    strangers = registered.user_id.filter(pa.array(names == STRANGER)).dictionary_encode()
    names[names == STRANGER] = STRANGER - 1 - strangers.indices.to_numpy(zero_copy_only=False)
    known = pd.DataFrame({"number": registered.number, "name": names}).drop_duplicates()
    for code, repeated, what in (
        ("user_number_repeated", int(known["number"].duplicated().sum()), "user numbers have more than one UserID"),
        ("user_id_repeated", int(known["name"].duplicated().sum()), "UserIDs have more than one user number"),
    ):
        if repeated:
            findings.append(error(code, f"{repeated:,} {what}"))
    if nameless:
        text = f"{rows(nameless)} log in a user whom no row registered"
        findings.append(error("user_unregistered", text))
    return findings


def counted_days(journal: Journal, offset_ms: int) -> list[Finding]:
    """Check the server's own claim: a user's first admitted login of a day, and no other row, counts for that day."""
    claimed = journal.frame["counted_day"]
    due = recount.counted_days(journal.logins, offset_ms)
    due = due.reindex(journal.frame.index, fill_value=journals.NOT_COUNTED)
    wrong = claimed != due
    if not wrong.any():
        return []
    seq, said, right = (int(column[wrong].iloc[0]) for column in (journal.frame["seq"], claimed, due))
    return counted_days_said(Case(int(wrong.sum()), seq), said, right)


def counted_days_said(wrong: Case, said: int, right: int) -> list[Finding]:
    """Say how many rows count for a wrong day, and of the first, which and which instead."""
    if not wrong.count:
        return []
    text = (
        f"{rows(wrong.count)} of the journal count for a wrong day: the first, seq {wrong.first:,}, "
        f"counts {_day(said)}, not {_day(right)}"
    )
    return [error("counted_day_wrong", text)]


def _ids(connection: pd.Series, request_seq: pd.Series) -> Ints:
    return (connection.to_numpy().astype(np.int64) << REQUEST_SEQ_BITS) | request_seq.to_numpy().astype(np.int64)


def _connections(ledger: Ledger, journal: Journal) -> pd.Series:
    """Translate the journal's connection numbers into the ledger's; unknown ones keep a number of their own."""
    at, texts = journal.strings("text", CONNECTED)
    instances = pc.utf8_slice_codeunits(texts, 0, INSTANCE_ID_LENGTH)
    known = _positions(instances, ledger.connection_ids)
    asked = journal.requests["connection"]
    translated = _translated(asked, journal.frame["connection"].to_numpy()[at], known)
    return translated.where(translated != STRANGER, STRANGER - 1 - asked)


def _names(ledger: Ledger, journal: Journal, registered: Registrations) -> pd.Series:
    """Tell each request's user as the ledger numbers users: by the row's own UserID, or by its registration."""
    users = journal.requests["user"]
    names = _translated(users, registered.number, registered.name)
    names[(users == 0) | ~journal.requests["kind"].isin(OF_USER)] = NOBODY
    at, user_ids = journal.strings("user_id", *REFUSALS)
    asked = journal.frame.index[at].intersection(names.index)
    positions = pd.Series(_positions(user_ids, ledger.user_ids), index=journal.frame.index[at])
    names[asked] = positions[asked]
    return names


def _groups(ledger: Ledger, journal: Journal) -> pd.Series:
    """Tell the group or call of each request as the ledger numbers them; nobody's where the row is about none."""
    notes = journal.notes
    known = np.append(_positions(notes.names, ledger.group_ids), NOBODY)
    groups = np.full(len(journal.frame), NOBODY)
    groups[notes.at] = known[notes.name]
    return pd.Series(groups[journal.requests.index], index=journal.requests.index)


def _prepared(journal: Journal, registered: Registrations) -> Ints:
    """Name the users whose accounts were made by calls without a request id, as the ledger numbers users."""
    at, _ = journal.strings("user_id", LOGGED_IN, IMPORTED)
    return np.asarray(registered.name[journal.frame["connection"].to_numpy()[at] == 0])


def _verb_differs(kind: pd.Series, verb: pd.Series) -> pd.Series:
    differs = pd.Series(data=True, index=kind.index)
    for one in kind.unique():
        differs &= (kind != one) | ~verb.isin(VERBS[one])
    return differs


def _positions(strings: pa.Array, known: pa.Array) -> Ints:
    found = pc.index_in(strings, value_set=known)
    return np.asarray(pc.fill_null(found, STRANGER).to_numpy(zero_copy_only=False), np.int64)


def _translated(values: pd.Series, numbers: Ints, meanings: Ints) -> pd.Series:
    table = np.full(max(int(values.max()) if len(values) else 0, int(numbers.max(initial=0))) + 1, STRANGER)
    table[numbers] = meanings
    return pd.Series(table[values.to_numpy()], index=values.index)


def _case(ledger: pd.DataFrame, mask: pd.Series | NDArray[np.bool_]) -> Case:
    numbers = ledger["row"].to_numpy()[np.asarray(mask)]
    return Case(len(numbers), int(numbers.min(initial=NOWHERE)))


def _day(day: int) -> str:
    return "nowhere" if day == journals.NOT_COUNTED else f"for {iso(day)}"

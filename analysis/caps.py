"""The cap audit by the journal: replayed in its order, was every place given that was free, and none that was not?

Both directions: nothing admitted beyond a cap, nothing refused below it. What the server says of its own counts is not
looked at; limits are those of `plans.toml`. Explained in `docs/cap-audit.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import journals
from analysis.billing_days import DAY_MS
from analysis.findings import NOWHERE, Case, Finding, error, rows
from analysis.journals import Journal
from analysis.memberships import Memberships
from analysis.notes import NO_LIMIT, NOBODY
from analysis.occupancy import before, last_before
from analysis.plans import plans
from analysis.quotas import (
    ACCOUNTS,
    COMMUNITY,
    DAU,
    GROUP_FULL,
    GROUPS_PER_USER,
    LIVE,
    LIVE_GROUPS,
    MEMBERS_PER_GROUP,
    NET_NEW_GROUPS,
    OTHER_GROUPS,
    QUOTA_OF_CODE,
    QUOTAS,
    Quota,
)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_REGISTERING: Final = (journals.LOGGED_IN, journals.IMPORTED)
_APP: Final = 0
"""The scope of what is counted once for the whole app."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Requests for places under one quota, as positions in the journal; several where a request needs several counts.

    `asked` is 0 for who holds a place already, `limit` what the plan of the moment allows, `is_own` tells that it is
    the group's own, below the plan's.
    """

    row: Ints
    before: Ints
    asked: Ints
    limit: Ints
    is_own: Flags

    @property
    def lacks_room(self) -> Flags:
        """Those that must be refused."""
        return (self.asked > 0) & (self.before + self.asked > self.limit)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the replay of one quota shows; positions are those of the journal's rows."""

    quota: Quota
    limits: tuple[int | None, ...]
    """Of the plans that the app had, in their order; None: no limit."""
    reached: int
    """The most places that were taken at one time, of one user, group or day where there are several counts."""
    admitted: int
    refused: int
    over: Ints
    below: Ints
    wrong_code: Ints
    attempts: Attempts

    @property
    def is_exact(self) -> bool:
        """Whether the cap held in both directions, with the right codes."""
        return not (len(self.over) or len(self.below) or len(self.wrong_code))


def tallies(journal: Journal, plan: str, offset_ms: int) -> list[Tally]:
    """Replay a journal, quota by quota, without those that bear on nothing.

    `plan` is the app's first one where the journal does not name it.
    """
    return list(_Replay(journal, plan, offset_ms).tallies())


def findings(journal: Journal, found: Sequence[Tally]) -> list[Finding]:
    """Say where a cap did not hold, with the first row of each kind."""
    seq = journal.frame["seq"].to_numpy()
    result: list[Finding] = [*journal.notes.findings]
    for tally in found:
        words = tally.quota.words
        if len(tally.over):
            text = f"{rows(len(tally.over))} of the journal admit more {words} than the plan allows: the first, "
            result.append(error("cap_exceeded", text + _case(tally, tally.over, seq)))
        if len(tally.below):
            codes = " or ".join(map(str, tally.quota.codes))
            text = f"{rows(len(tally.below))} of the journal refuse with {codes} although there was room: the first, "
            result.append(error("cap_refused_below", text + _case(tally, tally.below, seq)))
        if len(tally.wrong_code):
            text = f"{rows(len(tally.wrong_code))} of the journal refuse rightly but with a wrong code: the first, "
            at = int(tally.wrong_code[0])
            code = int(journal.frame["code"].to_numpy()[at])
            result.append(error("cap_code_wrong", f"{text}seq {int(seq[at]):,}, says {code}"))
    return result


def lifetimes(journal: Journal) -> list[Finding]:
    """Check that a group is made once before it is destroyed once, and joined or left only while it exists."""
    found = _lifetime_errors(journal)
    if not len(found):
        return []
    seq = journal.frame["seq"].to_numpy()
    text = (
        f"{rows(len(found))} of the journal make a group that exists, or destroy, join or leave one that does not: "
        f"the first, seq {int(seq[found[0]]):,}"
    )
    return [error("group_lifetime_wrong", text)]


def registrations(journal: Journal) -> list[Finding]:
    """Check that a row names its UserID exactly when it makes an account: never seen before, or deleted since."""
    registered, at = _accounts_made(journal)
    named = pc.is_valid(journal.table["user_id"]).to_numpy()[at]
    wrong = journal.frame["seq"].to_numpy()[at[registered != named]]
    return registrations_said(Case(len(wrong), int(wrong[0]) if len(wrong) else NOWHERE))


def registrations_said(wrong: Case) -> list[Finding]:
    """Say how many rows are wrong about an account, with the first by its seq."""
    if not wrong.count:
        return []
    what = "name a UserID that has an account, or none for a new one"
    text = f"{rows(wrong.count)} of the journal {what}: the first, seq {wrong.first:,}"
    return [error("registration_wrong", text)]


def _case(tally: Tally, wrong: Ints, seq: Ints) -> str:
    """Name the first of these rows, and how many places were taken there."""
    tried = tally.attempts
    entries = np.flatnonzero(tried.row == wrong[0])
    where = f"seq {int(seq[wrong[0]]):,}"
    if not len(entries):
        return f"{where}, where this quota has no say"
    entry = entries[np.argmax(tried.lacks_room[entries])]
    limit = int(tried.limit[entry])
    cap = "no limit" if limit == NO_LIMIT else f"{limit:,}"
    held = "" if tried.asked[entry] else ", one of them held already"
    return f"{where}, when {int(tried.before[entry]):,} of {cap} were taken{held}"


class _Replay:
    """The journal's columns, and what several quotas need of them."""

    def __init__(self, journal: Journal, plan: str, offset_ms: int) -> None:
        frame = journal.frame
        self.journal = journal
        self.span = len(frame) + 1
        self.kind = frame["kind"].to_numpy()
        self.code = frame["code"].to_numpy()
        self.day = (frame["time_ms"].to_numpy() + offset_ms) // DAY_MS
        self.user = _users(journal)
        self.plans = _plans(journal, plan)

    def tallies(self) -> Iterator[Tally]:
        """Judge each quota that has a limit or a refusal."""
        attempts = {name: found for name in QUOTAS if (found := self._attempts(name)) is not None}
        lacking = {name: self._flags(found.row[found.lacks_room]) for name, found in attempts.items()}
        codes = np.isin(self.code, list(QUOTA_OF_CODE))
        for name, quota in QUOTAS.items():
            refused = np.flatnonzero(codes & np.isin(self.code, quota.codes))
            if name in attempts or len(refused):
                yield self._tally(quota, attempts.get(name, _NONE), refused, lacking)

    def _tally(self, quota: Quota, tried: Attempts, refused: Ints, lacking: Mapping[str, Flags]) -> Tally:
        nowhere = self._flags(np.empty(0, np.int64))
        lacks = lacking.get(quota.name, nowhere)
        elsewhere = np.logical_or.reduce([nowhere, *(flags for name, flags in lacking.items() if name != quota.name)])
        earlier = np.logical_or.reduce([nowhere, *(lacking[name] for name in quota.after if name in lacking)])
        entered = (self.code[tried.row] == 0) & (tried.asked > 0)
        wrong = (~lacks & elsewhere) | (lacks & earlier)
        if quota.name == MEMBERS_PER_GROUP:
            own = self._flags(tried.row[tried.lacks_room & tried.is_own])
            wrong |= lacks & (own != (self.code == GROUP_FULL))
        after = tried.before[entered] + tried.asked[entered]
        return Tally(
            quota=quota,
            limits=tuple(plans().limit(plan, quota.name) for plan in dict.fromkeys(self.plans[1])),
            reached=int(after.max(initial=0)),
            admitted=int(np.count_nonzero(self._flags(tried.row[entered]))),
            refused=len(refused),
            over=np.flatnonzero(lacks & (self.code == 0)),
            below=refused[~lacks[refused] & ~elsewhere[refused]],
            wrong_code=refused[wrong[refused]],
            attempts=tried,
        )

    def _attempts(self, name: str) -> Attempts | None:
        """Find who asked for a place; None where no plan has such a limit."""
        if all(plans().limit(plan, name) is None for plan in self.plans[1]) and name != MEMBERS_PER_GROUP:
            return None
        found: Attempts = {
            ACCOUNTS: self._accounts,
            DAU: self._dau,
            LIVE_GROUPS: lambda: self._groups(LIVE_GROUPS, is_live=True),
            OTHER_GROUPS: lambda: self._groups(OTHER_GROUPS, is_live=False),
            GROUPS_PER_USER: self._groups_of_users,
            MEMBERS_PER_GROUP: self._members_of_groups,
            NET_NEW_GROUPS: self._net_new_groups,
        }[name]()
        return found if len(found.row) else None

    def _accounts(self) -> Attempts:
        """Imports and logins; the app's admins take no places."""
        made, at = _accounts_made(self.journal)
        deleted = np.flatnonzero(self.kind == journals.DELETED)
        is_new = np.concatenate([made, np.zeros(len(deleted), bool)])
        rows_of = np.concatenate([at, deleted])
        user = self.user[rows_of]
        taken = at[made & ~self._is_admin(self.user[at])]
        # A deletion frees a place if the last that happened to the account was not a deletion.
        previous = last_before(user, rows_of, (self.user[deleted], deleted), self.span)
        freed = deleted[(previous >= 0) & (previous < len(at)) & ~self._is_admin(self.user[deleted])]
        refused = np.flatnonzero(
            np.isin(self.kind, (journals.LOGIN_REFUSED, journals.IMPORT_REFUSED))
            & np.isin(self.code, (*QUOTAS[ACCOUNTS].codes, *QUOTAS[DAU].codes))
        )
        last = last_before(user, rows_of, (self.user[refused], refused), self.span)
        has_account = (last >= 0) & (last < len(at))
        row = np.concatenate([at, refused])
        asked = np.concatenate([is_new[: len(at)], ~has_account]) & ~self._is_admin(self.user[row])
        events = _changes((taken, 1), (freed, -1))
        return self._of_app(ACCOUNTS, row, asked.astype(np.int64), events)

    def _dau(self) -> Attempts:
        """Logins; a user takes one place a day, deleted since or not."""
        logins = np.flatnonzero(self.kind == journals.LOGGED_IN)
        refused = np.flatnonzero(
            (self.kind == journals.LOGIN_REFUSED) & np.isin(self.code, (*QUOTAS[ACCOUNTS].codes, *QUOTAS[DAU].codes))
        )
        row = np.concatenate([logins, refused])
        pair = (self.day[row] - self.day.min()) * (self.user.max(initial=0) + 2) + self.user[row] + 1
        counted_before = last_before(pair[: len(logins)], logins, (pair, row), self.span) >= 0
        asked = (~counted_before | (self.user[row] == NOBODY)).astype(np.int64)
        taken = row[: len(logins)][asked[: len(logins)] > 0]
        return self._of_day(DAU, row, asked, (taken, np.ones(len(taken), np.int64)))

    def _groups(self, name: str, *, is_live: bool) -> Attempts:
        """Creations of live groups, or of all others; a group counts until it is destroyed, empty or not."""
        kinds = self.kind[self.journal.notes.at]
        live = self._is_live
        made = self.journal.notes.at[(kinds == journals.GROUP_CREATED) & (live == is_live)]
        gone = self.journal.notes.at[(kinds == journals.GROUP_DESTROYED) & (live == is_live)]
        refused = self.journal.notes.at[(kinds == journals.CREATE_REFUSED) & (live == is_live)]
        refused = refused[np.isin(self.code[refused], list(QUOTA_OF_CODE))]
        row = np.concatenate([made, refused])
        return self._of_app(name, row, np.ones(len(row), np.int64), _changes((made, 1), (gone, -1)))

    def _net_new_groups(self) -> Attempts:
        """Creations of any type; a destruction gives a place of its own day back."""
        made, gone = (np.flatnonzero(self.kind == kind) for kind in (journals.GROUP_CREATED, journals.GROUP_DESTROYED))
        refused = np.flatnonzero((self.kind == journals.CREATE_REFUSED) & np.isin(self.code, list(QUOTA_OF_CODE)))
        row = np.concatenate([made, refused])
        return self._of_day(NET_NEW_GROUPS, row, np.ones(len(row), np.int64), _changes((made, 1), (gone, -1)))

    def _groups_of_users(self) -> Attempts:
        """Owners and members of groups that are no live groups."""
        found = self._memberships
        counts = ~self._is_live[found.entry]
        entered = found.is_new & counts
        ended = entered & (found.end < self.span)
        events = (
            np.concatenate([found.user[entered], found.user[ended]]),
            np.concatenate([found.row[entered], found.end[ended]]),
            np.repeat([1, -1], [np.count_nonzero(entered), np.count_nonzero(ended)]),
        )
        refused, group, user = self._refused_members()
        room = ~self._is_live[np.searchsorted(self.journal.notes.at, refused)] & (user != NOBODY)
        refused, group, user = refused[room], group[room], user[room]
        row = np.concatenate([found.row[counts], refused])
        who = np.concatenate([found.user[counts], user])
        asked = np.concatenate([found.is_new[counts], ~found.holds(group, user, refused)]).astype(np.int64)
        return self._attempted(row, before(events, (who, row), self.span), asked, self._limit(GROUPS_PER_USER, row))

    def _members_of_groups(self) -> Attempts:
        """Members of groups that are no live groups: by the plan's limit, or the group's own where that is lower."""
        found = self._memberships
        counts = ~self._is_live[found.entry]
        entered = found.is_new & counts
        ended = entered & (found.end < self.span)
        events = (
            np.concatenate([found.group[entered], found.group[ended]]),
            np.concatenate([found.row[entered], found.end[ended]]),
            np.repeat([1, -1], [np.count_nonzero(entered), np.count_nonzero(ended)]),
        )
        refused, group, user = self._refused_members()
        is_group = ~self._is_live[np.searchsorted(self.journal.notes.at, refused)]
        refused, group, user = refused[is_group], group[is_group], user[is_group]
        asked = np.concatenate([found.is_new[counts], ~found.holds(group, user, refused)]).astype(np.int64)
        row = np.concatenate([found.row[counts], refused])
        group = np.concatenate([found.group[counts], group])
        # A creation asks for all its members at once.
        row, first, at = np.unique(row, return_index=True, return_inverse=True)
        group, asked = group[first], np.bincount(at, asked, len(row)).astype(np.int64)
        taken = np.where(self.kind[row] == journals.CREATE_REFUSED, 0, before(events, (group, row), self.span))
        limit = self._limit(MEMBERS_PER_GROUP, row)
        of_row = np.searchsorted(self.journal.notes.at, row)
        community = self.journal.notes.type[of_row] == self.journal.notes.type_number(COMMUNITY)
        limit = np.where(community, plans().community_members_per_group, limit)
        # A group that did not come into being has no number from an earlier life of its GroupId.
        said = self.journal.notes.max_members[of_row]
        own = np.where(self.kind[row] == journals.CREATE_REFUSED, said, self._own_limit(group, row))
        return self._attempted(row, taken, asked, np.minimum(own, limit), own < limit)

    # --- what several of them need --------------------------------------------------------------------

    @cached_property
    def _memberships(self) -> Memberships:
        return Memberships.of(self.journal.notes, self.kind, self.user, self.span)

    @cached_property
    def _is_live(self) -> Flags:
        """By the notes' entries: a creation says it, refused or not; for the rest the group's last creation does."""
        found = self.journal.notes
        kinds = self.kind[found.at]
        by_text = found.type == found.type_number(LIVE)
        made = kinds == journals.GROUP_CREATED
        last = last_before(found.name[made], found.at[made], (found.name, found.at), self.span)
        own = made | (kinds == journals.CREATE_REFUSED)
        return np.asarray(np.where(own, by_text, np.append(by_text[made], False)[last]))

    def _refused_members(self) -> tuple[Ints, Ints, Ints]:
        """Row, group and user of each refused creation or join; a creation that names no members is its owner's."""
        found = self.journal.notes
        kinds, codes = self.kind[found.at], self.code[found.at]
        wanted = np.isin(kinds, (journals.CREATE_REFUSED, journals.JOIN_REFUSED)) & np.isin(codes, list(QUOTA_OF_CODE))
        entries, users = found.members
        named = wanted[entries]
        entries, users = entries[named], users[named]
        alone = np.flatnonzero(wanted)[~np.isin(np.flatnonzero(wanted), entries)]
        entry = np.concatenate([alone, entries])
        return found.at[entry], found.name[entry], np.concatenate([self.user[found.at[alone]], users])

    def _own_limit(self, group: Ints, row: Ints) -> Ints:
        """The last number of members that a group was given, at or before each row."""
        found = self.journal.notes
        kinds = self.kind[found.at]
        made = kinds == journals.GROUP_CREATED
        says = made | ((kinds == journals.GROUP_CHANGED) & (found.max_members != NO_LIMIT))
        at = last_before(found.name[says], found.at[says], (group, row + 1), self.span)
        return np.asarray(np.append(found.max_members[says], NO_LIMIT)[at])

    def _is_admin(self, user: Ints) -> Flags:
        at, names = self.journal.strings("user_id", *_REGISTERING)
        admin = pc.is_in(names, value_set=pa.array(plans().admins)).to_numpy(zero_copy_only=False)
        return np.isin(user, self.user[at[admin]])

    def _limit(self, name: str, row: Ints) -> Ints:
        """What the plan of each row allows."""
        since, names = self.plans
        limits = np.array([NO_LIMIT if (most := plans().limit(plan, name)) is None else most for plan in names])
        return np.asarray(limits[np.maximum(np.searchsorted(since, row, side="right") - 1, 0)])

    def _of_app(self, name: str, row: Ints, asked: Ints, changes: tuple[Ints, Ints]) -> Attempts:
        at, change = changes
        events = (np.full(len(at), _APP), at, change)
        return self._attempted(
            row, before(events, (np.full(len(row), _APP), row), self.span), asked, self._limit(name, row)
        )

    def _of_day(self, name: str, row: Ints, asked: Ints, changes: tuple[Ints, Ints]) -> Attempts:
        at, change = changes
        taken = before((self.day[at], at, change), (self.day[row], row), self.span)
        return self._attempted(row, taken, asked, self._limit(name, row))

    @staticmethod
    def _attempted(row: Ints, taken: Ints, asked: Ints, limit: Ints, is_own: Flags | None = None) -> Attempts:
        return Attempts(row, taken, asked, limit, np.zeros(len(row), bool) if is_own is None else is_own)

    def _flags(self, at: Ints) -> Flags:
        flags = np.zeros(self.span - 1, bool)
        flags[at] = True
        return flags


_NOTHING: Final = np.empty(0, np.int64)
_NONE: Final = Attempts(_NOTHING, _NOTHING, _NOTHING, _NOTHING, np.empty(0, bool))


def _changes(*parts: tuple[Ints, int]) -> tuple[Ints, Ints]:
    """Join positions with the change that each brings."""
    at = np.concatenate([rows_of for rows_of, _ in parts])
    return at, np.repeat([change for _, change in parts], [len(rows_of) for rows_of, _ in parts])


def _users(journal: Journal) -> Ints:
    """Tell each row's user; of a refusal by its UserID, whatever number the row has. -1 for nobody, or nobody known."""
    users = journal.frame["user"].to_numpy().astype(np.int64)
    at, names = journal.strings("user_id", *_REGISTERING)
    refused, asked = journal.strings("user_id", *journals.REFUSALS)
    numbers = users[at]
    users = np.where(np.isin(journal.frame["kind"].to_numpy(), journals.REFUSALS), NOBODY, users)
    if len(refused):
        found = pc.fill_null(pc.index_in(asked, value_set=names), NOBODY).to_numpy(zero_copy_only=False)
        users[refused] = np.append(numbers, NOBODY)[found]
    return np.asarray(np.where(users == 0, NOBODY, users))


def _accounts_made(journal: Journal) -> tuple[Flags, Ints]:
    """Tell which of the admitted imports and logins make an account; also their positions."""
    kind, users = (journal.frame[column].to_numpy() for column in ("kind", "user"))
    at = np.flatnonzero(np.isin(kind, (*_REGISTERING, journals.DELETED)))
    order = np.argsort(users[at], kind="stable")
    user, is_deletion = users[at][order], kind[at][order] == journals.DELETED
    follows = np.concatenate([[False], user[1:] == user[:-1]])
    made = np.empty(len(at), bool)
    made[order] = ~is_deletion & (~follows | np.concatenate([[True], is_deletion[:-1]]))
    registering = kind[at] != journals.DELETED
    return made[registering], at[registering]


def _plans(journal: Journal, first: str) -> tuple[Ints, list[str]]:
    """Return since which position the app has had which plan."""
    kind = journal.frame["kind"].to_numpy()
    since, names = [0], [first]
    for note in journal.documents(journals.APP_OPENED)[:1]:
        names = [str(note.get("plan", first))]
    changes = np.flatnonzero(kind == journals.PLAN_CHANGED)
    for at, note in zip(changes.tolist(), journal.documents(journals.PLAN_CHANGED), strict=False):
        since.append(at)
        names.append(str(note.get("plan")))
    return np.array(since), names


def _lifetime_errors(journal: Journal) -> Ints:
    found = journal.notes
    kind = journal.frame["kind"].to_numpy()[found.at]
    made, gone = kind == journals.GROUP_CREATED, kind == journals.GROUP_DESTROYED
    ends = made | gone
    asked = made | gone | np.isin(kind, (journals.JOINED, journals.LEFT))
    last = last_before(found.name[ends], found.at[ends], (found.name[asked], found.at[asked]), len(journal.frame) + 1)
    exists = (last >= 0) & np.append(made[ends], False)[last]
    return np.asarray(found.at[asked][exists == made[asked]])

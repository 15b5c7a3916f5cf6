"""The state of an app, folded from its journal.

Each row carries its effect (who was registered, on which day a user was counted), so that the fold applies no rule and
a journal outlives a change of rules. Connections, and with them sessions, do not outlive a process.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap

from mock_im_server import journal as log
from mock_im_server.domain import billing, groups, plans
from mock_im_server.domain.apps import CONNECTIONS
from mock_im_server.domain.calendar import DAY_MS
from mock_im_server.domain.faults import FaultRule
from mock_im_server.domain.groups import MEMBER, OWNER, Group, Member
from mock_im_server.domain.plans import ACCOUNTS, ADMIN, ADMINS, active_users

DELETED_IN_DAY: Final = "DeletedUserNum"
"""A figure of our own among the vendor's, from which earlier totals follow."""

_STATISTICS: Final = {
    log.LOGGED_IN: "LoginTimes",
    log.DELETED: DELETED_IN_DAY,
    log.GROUP_CREATED: "GroupNewGroupNum",
    log.GROUP_DESTROYED: "GroupDestroyGroupNum",
    log.JOINED: "GroupJoinGroupTimes",
    log.LEFT: "GroupQuitGroupTimes",
}


_DTYPES: Final = {pa.int8(): np.int8, pa.int16(): np.int16, pa.int32(): np.int32, pa.int64(): np.int64}
_EVENTS: Final = (
    log.APP_OPENED, log.CLOCK_MOVED, log.MONTH_CLOSED, log.CHARGED, log.PLAN_CHANGED, log.FAULTS_CHANGED,
    log.ACCESS_CHANGED, log.ROUTING_CHANGED,
)  # fmt: skip


@dataclass(slots=True)
class FoundRouting:
    """The last that a journal says of each access point, and of the app's choice: texts of its rows."""

    access: dict[str, dict[str, Any]] = field(default_factory=dict)
    choice: dict[str, Any] | None = None


@dataclass(slots=True)
class Folded:
    """What a journal says; satisfies `stores.base.Snapshot`."""

    last_seq: int = 0
    names: pa.LargeStringArray = field(default_factory=lambda: _texts([]))
    """Members of sets in the order of their numbers; a column, as twenty million strings would take gigabytes."""
    sets: dict[str, BitMap] = field(default_factory=dict)
    logins: int = 0
    now_ms: int = 0
    is_clock_fixed: bool = False
    epoch: int = 0
    statements: dict[str, dict[str, Any]] = field(default_factory=dict)
    opened_ms: int = 0
    billing_offset_ms: int = 0
    ticket_salt: str = ""
    plan: str = ""
    plan_changed_month: str = ""
    counters: Counter[str] = field(default_factory=Counter)
    groups: dict[str, Group] = field(default_factory=dict)
    groups_made: int = 0
    clients: dict[str, int] = field(default_factory=dict)
    """REST clients by the name they give themselves."""
    generations: Counter[int] = field(default_factory=Counter)
    kicked_s: dict[str, int] = field(default_factory=dict)
    statistics: dict[tuple[int, str], int] = field(default_factory=dict)
    """By billing day and field."""
    faults: list[FaultRule] = field(default_factory=list)
    routing: FoundRouting = field(default_factory=FoundRouting)
    calls: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    """Kind, app's time and text of each row about calls."""

    @property
    def members(self) -> list[str]:
        members: list[str] = self.names.to_pylist()
        return members


def fold(batches: Sequence[pa.RecordBatch], onto: Folded | None = None) -> Folded:
    """Read a journal, column by column: a million rows take about a second.

    `onto` is what the rows before these came to, and is changed; None: there were none before.
    """
    state = Folded() if onto is None else onto
    if not batches:
        return state
    table = pa.Table.from_batches(batches, log.SCHEMA)
    state.last_seq = table["seq"][-1].as_py()
    state.now_ms = table["time_ms"][-1].as_py()
    kinds = _numbers(table, "kind")
    users = _numbers(table, "user")
    state.counters[CONNECTIONS] = max(state.counters[CONNECTIONS], int(_numbers(table, "connection").max()))
    state.logins += int(np.count_nonzero(kinds == log.LOGGED_IN))
    _fold_accounts(state, table, kinds, users)
    _fold_days(state, _numbers(table, "counted_day"), users)
    _fold_events(state, table, kinds)
    _fold_clients(state, table, kinds)
    _fold_kicks(state, table, kinds)
    _fold_statistics(state, table, kinds)
    _fold_calls(state, table, kinds)
    _Groups(state).fold(table, kinds)
    return state


def _fold_accounts(state: Folded, table: pa.Table, kinds: np.ndarray, users: np.ndarray) -> None:
    registered = _registrations(table, kinds)
    names = table["user_id"].filter(_mask(registered)).combine_chunks()
    _name(state, table, kinds, users[registered], names)
    admins = users[registered][_flags(pc.equal(names, ADMIN))]
    state.sets.setdefault(ADMINS, BitMap()).update(admins.tolist())
    deleted = kinds == log.DELETED
    state.generations.update(users[deleted].tolist())
    changed = np.flatnonzero(registered | deleted)[::-1]
    # Whatever came last of a user holds, and backwards that is the first.
    last, at = np.unique(users[changed], return_index=True)
    are_in = registered[changed][at]
    accounts = state.sets.setdefault(ACCOUNTS, BitMap())
    accounts |= _bitmap(last[are_in])
    accounts -= _bitmap(last[~are_in]) | state.sets[ADMINS]


def _name(state: Folded, table: pa.Table, kinds: np.ndarray, users: np.ndarray, user_ids: pa.StringArray) -> None:
    """Users and groups that were met for the first time, behind those that were known."""
    created = table.filter(_mask(kinds == log.GROUP_CREATED))["text"].to_pylist()
    made = [(text["group"], groups.key_of(text["group_id"])) for text in map(json.loads, created)]
    known = len(state.names)
    numbers = np.concatenate([users, np.array([number for number, _ in made], np.int64)])
    # Who is registered again after a deletion keeps its number, and so does a group that is made again.
    numbers, first = np.unique(numbers, return_index=True)
    first = first[numbers > known]
    met = pa.concat_arrays([user_ids.cast(pa.large_string()), _texts([key for _, key in made])])
    new = met.take(pa.Array.from_buffers(pa.int64(), len(first), [None, pa.py_buffer(first)]))
    state.names = pa.concat_arrays([state.names, new])
    assert not len(numbers) or len(state.names) == max(known, numbers[-1]), "numbers are given without a gap"


def _fold_days(state: Folded, days: np.ndarray, users: np.ndarray) -> None:
    counted = days != log.NOT_COUNTED
    days, users = days[counted], users[counted]
    for day in np.unique(days).tolist():
        active = state.sets.setdefault(active_users(day), BitMap())
        active |= _bitmap(users[days == day])


def _fold_events(state: Folded, table: pa.Table, kinds: np.ndarray) -> None:
    events = np.isin(kinds, _EVENTS)
    rows = table.filter(_mask(events)).select(["time_ms", "kind", "text"]).to_pylist()
    for row in rows:
        text: Mapping[str, Any] = json.loads(row["text"])
        if row["kind"] == log.APP_OPENED:
            state.opened_ms = row["time_ms"]
            state.is_clock_fixed = text["fixed_ms"] is not None
            state.ticket_salt = text["ticket_salt"]
            state.plan = text["plan"]
            state.billing_offset_ms = text["billing_offset_ms"]
        elif row["kind"] == log.FAULTS_CHANGED:
            state.faults = [FaultRule(**rule) for rule in text["rules"]]
        elif row["kind"] == log.ACCESS_CHANGED:
            state.routing.access[text["code"]] = dict(text)
        elif row["kind"] == log.ROUTING_CHANGED:
            state.routing.choice = dict(text)
        elif row["kind"] == log.PLAN_CHANGED:
            state.plan, state.plan_changed_month = text["plan"], text["month"]
        elif row["kind"] == log.CLOCK_MOVED:
            state.is_clock_fixed = text["fixed_ms"] is not None
            state.epoch = text["epoch"]
        elif row["kind"] == log.MONTH_CLOSED:
            state.statements[text["month"]] = dict(text)
        else:
            state.statements[text["month"]] |= text


def _fold_clients(state: Folded, table: pa.Table, kinds: np.ndarray) -> None:
    # Of WebSockets the rows name access points; these are gone with the process.
    rows = table.filter(_mask(kinds == log.CONNECTED)).select(["connection", "text"])
    named = rows.filter(pc.ends_with(rows["text"], log.REST_CLIENT_SUFFIX))
    texts = (text.removesuffix(log.REST_CLIENT_SUFFIX) for text in named["text"].to_pylist())
    state.clients.update(zip(texts, named["connection"].to_pylist(), strict=True))


def _fold_kicks(state: Folded, table: pa.Table, kinds: np.ndarray) -> None:
    rows = table.filter(_mask(kinds == log.KICKED)).select(["user", "user_id", "text"]).to_pylist()
    for row in rows:
        if row["user_id"] is not None:  # By REST; one that a login kicked keeps its UserSig.
            state.kicked_s[row["user_id"]] = json.loads(row["text"])["real_s"]
            state.generations[row["user"]] += 1


def _fold_calls(state: Folded, table: pa.Table, kinds: np.ndarray) -> None:
    rows = table.filter(_mask(np.isin(kinds, [log.TRIAL_OPENED, log.CALL_STARTED, log.CALL_CHANGED, log.CALL_ENDED])))
    columns = (rows[name].to_pylist() for name in ("kind", "time_ms", "text"))
    state.calls += [(kind, time_ms, json.loads(text)) for kind, time_ms, text in zip(*columns, strict=True)]


def _fold_statistics(state: Folded, table: pa.Table, kinds: np.ndarray) -> None:
    days = (_numbers(table, "time_ms") + state.billing_offset_ms) // DAY_MS
    chosen = {name: kinds == kind for kind, name in _STATISTICS.items()}
    chosen["RegistUserNumOneDay"] = _registrations(table, kinds)
    for name, rows in chosen.items():
        found, counts = np.unique(days[rows], return_counts=True)
        for day, count in zip(found.tolist(), counts.tolist(), strict=True):
            state.statistics[day, name] = state.statistics.get((day, name), 0) + count


def _registrations(table: pa.Table, kinds: np.ndarray) -> np.ndarray:
    """The rows that brought in a user, by import or by a first login."""
    named = _flags(pc.is_valid(table["user_id"]).combine_chunks())
    rows: np.ndarray = named & np.isin(kinds, (log.LOGGED_IN, log.IMPORTED, log.UNANSWERED))
    return rows


class _Groups:
    """Folds what happened to groups, row by row: they are few beside the logins."""

    def __init__(self, state: Folded) -> None:
        self._state = state
        self._fold_row: dict[int, Callable[[int, dict[str, Any]], None]] = {
            log.GROUP_CREATED: self._created,
            log.GROUP_DESTROYED: self._destroyed,
            log.JOINED: self._joined,
            log.LEFT: self._left,
            log.GROUP_CHANGED: self._changed,
            log.DELETED: self._deleted,
            log.MONTH_CLOSED: self._month_closed,
        }
        self._now_s = 0

    def fold(self, table: pa.Table, kinds: np.ndarray) -> None:
        rows = table.filter(_mask(np.isin(kinds, list(self._fold_row))))
        columns = (rows[name].to_pylist() for name in ("kind", "time_ms", "user", "text"))
        for kind, time_ms, user, text in zip(*columns, strict=True):
            self._now_s = time_ms // 1_000
            self._fold_row[kind](user, json.loads(text) if text else {})

    def _created(self, owner: int, text: dict[str, Any]) -> None:
        state = self._state
        group_id, number, members = text["group_id"], text["group"], text["members"]
        state.groups_made += 1
        names = [self._name(member) for member in members]
        group = Group(
            number=number,
            group_id=group_id,
            type=text["type"],
            owner=names[0] if owner else "",
            created_s=text["created_s"],
            max_members=text["max_members"],
            details=text["details"],
            members={name: Member(role, self._now_s) for name, role in zip(names, text["roles"], strict=True)},
            last_info_s=self._now_s,
        )
        state.groups[group_id] = group
        self._add(groups.GROUPS, number)
        self._add(self._of_type(group), number)
        if owner:
            self._add(plans.owned_groups(group.owner), number)
        for member, name in zip(members, names, strict=True):
            self._enter(group, member, name)
        state.counters[groups.net_new_groups(text["day"])] += 1
        self._reach_peak(text["month"])

    def _destroyed(self, _user: int, text: dict[str, Any]) -> None:
        group = self._state.groups.pop(text["group_id"])
        self._discard(groups.GROUPS, group.number)
        self._discard(self._of_type(group), group.number)
        self._discard(plans.owned_groups(group.owner), group.number)
        self._state.sets.pop(self._members(group), None)
        for name in group.members:
            self._discard(self._of_member(group, name), group.number)
        self._state.counters[groups.net_new_groups(text["day"])] -= 1

    def _joined(self, user: int, text: dict[str, Any]) -> None:
        group, name = self._state.groups[text["group_id"]], self._name(user)
        group.members.setdefault(name, Member(text["role"], text.get("joined_s", self._now_s)))
        self._enter(group, user, name)

    def _left(self, user: int, text: dict[str, Any]) -> None:
        group = self._state.groups[text["group_id"]]
        self._go(group, user, self._name(user))

    def _changed(self, _user: int, text: dict[str, Any]) -> None:
        group = self._state.groups.get(text.get("group_id", ""))
        if group is None:
            return
        group.last_info_s = self._now_s
        if "owner" in text:
            new = text["owner"]
            self._discard(plans.owned_groups(group.owner), group.number)
            self._add(plans.owned_groups(new), group.number)
            if group.owner in group.members:
                group.members[group.owner].role = MEMBER
            group.owner = new
            group.members[new].role = OWNER
        else:
            group.max_members = text["max_members"]
            group.details |= text["details"]

    def _deleted(self, user: int, _text: dict[str, Any]) -> None:
        name = self._name(user)
        for group in [group for group in self._state.groups.values() if name in group.members]:
            self._go(group, user, name)
            if group.owner == name:
                group.owner = ""
        self._state.sets.pop(plans.owned_groups(name), None)

    def _month_closed(self, _user: int, text: dict[str, Any]) -> None:
        # Groups that live on are the next month's first count.
        self._reach_peak(billing.next_month(text["month"]))

    def _reach_peak(self, month: str) -> None:
        counter = groups.peak_groups(month)
        existing = len(self._state.sets.get(groups.GROUPS, ()))
        self._state.counters[counter] = max(self._state.counters[counter], existing)

    def _enter(self, group: Group, user: int, name: str) -> None:
        self._add(self._members(group), user)
        self._add(self._of_member(group, name), group.number)

    def _go(self, group: Group, user: int, name: str) -> None:
        del group.members[name]
        self._discard(self._members(group), user)
        self._discard(self._of_member(group, name), group.number)

    def _name(self, number: int) -> str:
        name: str = self._state.names[number - 1].as_py()
        return name

    def _add(self, name: str, number: int) -> None:
        self._state.sets.setdefault(name, BitMap()).add(number)

    def _discard(self, name: str, number: int) -> None:
        members = self._state.sets.get(name)
        if members is not None:
            members.discard(number)
            if not members:
                # There may have been millions of groups.
                del self._state.sets[name]

    @staticmethod
    def _of_type(group: Group) -> str:
        return groups.LIVE_GROUPS if group.type == groups.LIVE else groups.OTHER_GROUPS

    @staticmethod
    def _members(group: Group) -> str:
        return plans.MEMBERS + groups.key_of(group.group_id)

    @staticmethod
    def _of_member(group: Group, name: str) -> str:
        return plans.live_groups_of(name) if group.type == groups.LIVE else plans.joined_groups(name)


def _bitmap(numbers: np.ndarray) -> BitMap:
    return BitMap(numbers.astype(np.uint32))


# Made by hand, as `pa.array` and `to_numpy` import pandas: a second in which a server that comes back is away.


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column of integers without nulls."""
    column = table[name].combine_chunks()
    return np.frombuffer(column.buffers()[1], _DTYPES[column.type])[column.offset : column.offset + len(column)]


def _flags(column: pa.BooleanArray) -> np.ndarray:
    flags = np.unpackbits(np.frombuffer(column.buffers()[1], np.uint8), bitorder="little")
    return flags[column.offset : column.offset + len(column)].astype(np.bool_)


def _mask(chosen: np.ndarray) -> pa.BooleanArray:
    return pa.Array.from_buffers(pa.bool_(), len(chosen), [None, pa.py_buffer(np.packbits(chosen, bitorder="little"))])


def _texts(values: Sequence[str]) -> pa.LargeStringArray:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_string(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    )

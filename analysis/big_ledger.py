"""One pass over the ledgers of a big run: each row is compared with the journal's row of its request.

A plain row is an answered login or resume with values that can be. Every other row is kept as it is: the ordinary
audit looks at it, and what was answered after all is compared like the rest.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import ledgers, matching
from analysis.big_counts import Days, sizes
from analysis.big_journal import BigJournal, NotPlainError
from analysis.billing_days import DAY_MS
from analysis.counts import Count
from analysis.findings import NOWHERE, Case, Finding
from analysis.journals import REFUSALS, VERBS
from analysis.latencies import Counted, Latencies
from analysis.ledgers import OUTCOME, REPEATED_KINDS, Ledger
from analysis.matching import NOBODY, Matches
from analysis.run_files import JOURNAL_KINDS, LEDGER_SCHEMA
from analysis.schemas import DURATION_US_MAX, REQUEST_SEQ_BITS, TIME_MS_MAX
from analysis.wholes import RowNumbers

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_HOUR_MS: Final = 3_600_000
_LOGIN: Final = 1
_RESUME: Final = 2
_VERBS: Final = {"login": _LOGIN, "resume": _RESUME}
_BOUNDS: Final = {
    "row": (0, 2**62),
    "request_seq": (0, 2**REQUEST_SEQ_BITS - 1),
    "planned_app_ms": (0, TIME_MS_MAX),
    "planned_us": (-DURATION_US_MAX, DURATION_US_MAX),
    "sent_us": (-DURATION_US_MAX, DURATION_US_MAX),
    "answered_us": (-DURATION_US_MAX, DURATION_US_MAX),
    "app_before_ms": (0, TIME_MS_MAX),
    "app_after_ms": (0, TIME_MS_MAX),
}
"""Those of `schemas.LEDGER`, which speaks about the rows that are outside."""
_IDS: Final = pa.schema([("connection", pa.string()), ("request_seq", pa.int64())])
_ROWS_MAX: Final = 2**32
_STRANGERS_MAX: Final = 1 << 24
"""Users of the ledger whom the journal does not name."""
_TIMES_US: Final = range(-(1 << 20), 1 << 25)
"""Times that are counted; others are kept one by one."""

PLANNED: Final = ("day_uncertain", "day_missed")
COMPARED: Final = (
    "user_differs", "group_differs", "verb_differs", "code_differs", "time_differs", "kind_contradicts_code",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with what was found out about each without looking at other parts."""

    table: pa.Table
    columns: Mapping[str, NDArray[Any]]
    verb: NDArray[np.int8]
    position: Ints
    """In the journal; -1 where it has no such request."""
    user: Ints
    """The index into the journal's names; -1 for a UserID that was not looked up yet."""
    strangers: pa.Array
    """The UserIDs of those."""
    cases: Mapping[str, Case]
    alone: pa.Table
    """The request ids of those without a row in the journal."""
    rest: pa.Table


class BigLedger:
    """What the rows of the ledgers say together; `add` what `part` makes of each table, then `close`."""

    def __init__(self, journal: BigJournal, planned: int, offset_ms: int) -> None:
        self._journal = journal
        self.part_rows = journal.part_rows
        self._planned = planned
        self._offset_ms = offset_ms
        self._connection_of = pa.array(journal.instances)
        self._rest: list[pa.Table] = []
        self._strangers: dict[str, int] = {}
        users = len(journal.names) + _STRANGERS_MAX
        self._hours, self._resumes, self._utc = Days(users), Days(users), Days(users)
        self._codes: Counter[tuple[int, int]] = Counter()
        self._has_resumes = False
        self.arrivals: Counter[int] = Counter()
        self.cases: dict[str, Case] = dict.fromkeys((*PLANNED, *COMPARED), Case())
        self.rows = self.answers = self.of_plan = self.sent_of_plan = 0
        self._numbers = np.zeros(planned, bool)
        self._beside: list[Ints] = []
        self.claimed = np.zeros(journal.rows, bool)
        self._sent = np.empty(journal.rows, np.int64)
        self._answered = np.empty(journal.rows, np.int64)
        self._row = np.empty(journal.rows, np.uint32)
        self._twice: list[dict[str, NDArray[Any]]] = []
        """Requests of a row that another one has too."""
        self._alone: list[pa.Table] = []
        self._claims = self._inside = 0
        self._times = [_Times() for _ in range(3)]

    def part(self, table: pa.Table) -> Part:
        """Compare some rows; safe beside others of its kind. Raises NotPlainError."""
        table = table.unify_dictionaries().combine_chunks()
        plain = self._plain(table)
        rest = table.slice(0, 0)
        if plain is not None:
            rest, table = table.filter(pa.array(~plain)), table.filter(pa.array(plain))
        return self._compared(table, rest)

    def plain(self, table: pa.Table) -> pa.Table:
        """Return the plain rows."""
        table = table.unify_dictionaries().combine_chunks()
        plain = self._plain(table)
        return table if plain is None else table.filter(pa.array(plain))

    def add(self, part: Part) -> None:
        """Take a part into the sums."""
        if part.rest.num_rows:
            self._rest.append(part.rest)
        self._number(part.columns["row"], part.columns["planned_app_ms"])
        self.rows += len(part.verb)
        self.answers += len(part.verb)
        self.sent_of_plan += int((part.columns["row"] < self._planned).sum())
        for code, case in part.cases.items():
            self.cases[code] += case
        self._count(part)
        self._claim(part)
        sent, answered, planned = (part.columns[name] for name in ("sent_us", "answered_us", "planned_us"))
        for times, values in zip(self._times, (answered - sent, answered - planned, sent - planned), strict=True):
            times.add(values)

    def close(self, findings: list[Finding], rows_of: dict[str, int]) -> Ledger:
        """Look at the rows that are not plain; return them as a ledger."""
        rest = pa.concat_tables([LEDGER_SCHEMA.empty_table(), *self._rest])
        self._rest = []
        ledger = ledgers.of_table(rest, findings, rows_of)
        if set(ledger.table["verb"].unique().to_pylist()) - set(_VERBS):
            raise NotPlainError("its ledger asks for more than logins and resumes")
        is_answered = _is_whole(ledger.table)
        if is_answered.any():
            table = ledger.table.filter(pa.array(is_answered)).unify_dictionaries().combine_chunks()
            self.add(self._compared(table, rest.slice(0, 0)))
        table = ledger.table.filter(pa.array(~is_answered))
        if table.num_rows:
            self._number(table["row"].to_numpy(), table["planned_app_ms"].to_numpy())
            self.rows += table.num_rows
            self.answers += table.num_rows - table["code"].null_count
            of_plan = table.filter(pc.less(table["row"], self._planned))
            self.sent_of_plan += of_plan.num_rows - of_plan["sent_us"].null_count
        self.compared = {
            "the journal keeps real-time order": self._order(),
            "each answer has one journal row": self._pair(ledger),
            "both sides say the same of it": matching.contents_said(self.cases),
        }
        return ledger

    @property
    def numbers(self) -> RowNumbers:
        found = int(np.count_nonzero(self._numbers))
        beside = np.concatenate([np.empty(0, np.int64), *self._beside])
        first = int(np.argmin(self._numbers)) if found < self._planned else self._planned
        return RowNumbers(self.rows, self._inside, found, first, len(beside) - len(np.unique(beside)))

    def count(self) -> Count:
        """Count as the plan reads."""
        return Count(self._hours.count(), dict(self._codes), self._hours.monthly())

    def resumed(self) -> Count | None:
        """Count resumes as logins; None where there was none."""
        if not self._has_resumes:
            return None
        days = self._hours.union(self._resumes)
        return Count(days.count(), dict(self._codes), days.monthly())

    def utc(self) -> Count:
        """Count by days in UTC."""
        return Count(self._utc.count(), {}, self._utc.monthly())

    def new_users(self) -> dict[int, dict[int, int]]:
        """Count by day and hour the users whose first login of the day lies in it."""
        return {
            day: dict(sorted((24 - value, n) for value, n in self._hours.values(day).items())) for day in self._hours
        }

    def possible_dau(self, day: Ints, user_ids: pa.Array) -> dict[int, int]:
        """Count the DAU as if these users had logged in too."""
        user = self._users(np.full(len(user_ids), -1, np.int64), user_ids)
        more = {
            (one, who) for one, who in zip(day.tolist(), user.tolist(), strict=True) if not self._hours.of(one)[who]
        }
        return dict(Counter(self._hours.count()) + Counter(one for one, _ in more))

    def latencies(self) -> Latencies:
        """Return service and response times and lateness."""
        return Latencies(*(times.counted() for times in self._times))

    # --- parts of `part` ------------------------------------------------------------------------------

    def _plain(self, table: pa.Table) -> Flags | None:
        """Tell the plain rows; None where all are."""
        verbs, kinds = (table[name].chunk(0).dictionary.to_pylist() if len(table) else [] for name in ("verb", "kind"))
        is_simple = (
            not any(table[name].null_count for name in OUTCOME)
            and not any(table[field.name].null_count for field in LEDGER_SCHEMA if not field.nullable)
            and not set(verbs) - set(_VERBS)
            and not set(kinds) & set(REPEATED_KINDS)
        )
        if is_simple:
            columns = {name: table[name].to_numpy() for name in _BOUNDS}
            plain = _can_be(columns)
            return None if plain.all() else plain
        plain = np.ones(table.num_rows, bool)
        for field in LEDGER_SCHEMA:
            if not field.nullable or field.name in OUTCOME:
                plain &= pc.is_valid(table[field.name]).to_numpy()
        columns = {name: pc.fill_null(table[name], -1).to_numpy() for name in _BOUNDS}
        plain &= _can_be(columns)
        for name, wanted in (("verb", set(_VERBS)), ("kind", set(kinds) - set(REPEATED_KINDS))):
            values = pa.array(sorted(wanted), pa.string())
            plain &= pc.is_in(table[name].cast(pa.string()), value_set=values).to_numpy()
        return plain

    def _compared(self, table: pa.Table, rest: pa.Table) -> Part:
        columns = {name: table[name].to_numpy() for name in (*_BOUNDS, "code")}
        verb, connection = self._verb(table), self._connections(table)
        position = self._journal.find(connection, columns["request_seq"])
        user, strangers = self._claimed_users(table, position)
        cases = self._clock(columns) | self._contents(columns, verb, position, user)
        alone = table.select(_IDS.names).filter(pa.array(position < 0)).cast(_IDS)
        return Part(table, columns, verb, position, user, strangers, cases, alone, rest)

    def _verb(self, table: pa.Table) -> NDArray[np.int8]:
        if not table.num_rows:
            return np.empty(0, np.int8)
        encoded = table["verb"].chunk(0)
        bits = np.array([_VERBS.get(name, 0) for name in encoded.dictionary.to_pylist()], np.int8)
        return np.asarray(bits[encoded.indices.to_numpy(zero_copy_only=False)])

    def _connections(self, table: pa.Table) -> Ints:
        """Name connections as the journal does; -1 for one that it does not know."""
        if not table.num_rows:
            return np.empty(0, np.int64)
        encoded = table["connection"].chunk(0)
        known = pc.fill_null(pc.index_in(encoded.dictionary, value_set=self._connection_of), -1)
        return np.asarray(known.to_numpy(zero_copy_only=False)[encoded.indices.to_numpy()], np.int64)

    def _claimed_users(self, table: pa.Table, position: Ints) -> tuple[Ints, pa.Array]:
        """Take each user from the journal's row where both name the same; return the other UserIDs for a look-up."""
        said = np.where(position >= 0, self._journal.name[position], NOBODY).astype(np.int64)
        user_ids = table["user_id"].combine_chunks() if table.num_rows else pa.array([], pa.string())
        if isinstance(user_ids, pa.ChunkedArray):
            user_ids = pa.concat_arrays(user_ids.chunks)
        names = self._journal.names.take(pa.array(np.maximum(said, 0))) if len(self._journal.names) else user_ids
        is_same = pc.equal(names, user_ids).to_numpy(zero_copy_only=False).astype(bool) & (said >= 0)
        return np.where(is_same, said, -1), user_ids.filter(pa.array(~is_same))

    def _clock(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, Case]:
        planned, before, after = (
            (columns[name] + self._offset_ms) // DAY_MS for name in ("planned_app_ms", "app_before_ms", "app_after_ms")
        )
        numbers = columns["row"]
        return {"day_uncertain": _case(numbers, before != after), "day_missed": _case(numbers, planned != before)}

    def _contents(
        self,
        columns: Mapping[str, NDArray[Any]],
        verb: NDArray[np.int8],
        position: Ints,
        user: Ints,
    ) -> dict[str, Case]:
        """Hold each pair against the other, as `matching.contents` does."""
        journal = self._journal
        matched = position >= 0
        position = np.maximum(position, 0)
        kind, code = journal.kind[position], journal.code(position)
        time_ms = journal.time_ms(position)
        # Who is not the one whom the journal names was not looked up yet: only those can differ.
        differs = (user < 0) & (journal.name[position] != NOBODY)
        wrong = {
            "user_differs": differs,
            "group_differs": np.zeros(len(position), bool),
            "verb_differs": (_VERBS_OF_KIND[kind] & verb) == 0,
            "code_differs": code != columns["code"],
            "time_differs": (time_ms < columns["app_before_ms"]) | (time_ms > columns["app_after_ms"]),
            "kind_contradicts_code": (code == 0) == _IS_REFUSAL[kind],
        }
        return {name: _case(columns["row"], mask & matched) for name, mask in wrong.items()}

    # --- parts of `add` -------------------------------------------------------------------------------

    def _number(self, numbers: Ints, planned_app_ms: Ints) -> None:
        within = (numbers >= 0) & (numbers < self._planned)
        of_plan = numbers < self._planned
        if within.all():
            self._numbers[numbers] = True
            self._inside += len(numbers)
        else:
            self._numbers[numbers[within]] = True
            self._inside += int(within.sum())
            self._beside.append(numbers[numbers >= self._planned])
        self.of_plan += int(of_plan.sum())
        day = (planned_app_ms[of_plan] + self._offset_ms) // DAY_MS
        self.arrivals.update({one: n for (one, _), n in sizes(day, np.zeros(len(day), np.int64)).items()})

    def _count(self, part: Part) -> None:
        before, code = part.columns["app_before_ms"], part.columns["code"]
        user = self._users(part.user, part.strangers)
        for days in (self._hours, self._resumes, self._utc):
            days.most = max(days.most, int(user.max(initial=0)))
        local_ms = before + self._offset_ms
        day = local_ms // DAY_MS
        self._codes.update(sizes(day, code))
        admitted = (code == 0) & (part.verb == _LOGIN)
        # The hour counts down, so that a byte of 0 is left for who has not come, and the first hour is the most.
        hour = (24 - local_ms % DAY_MS // _HOUR_MS).astype(np.uint8)
        for one, at in self._hours.split(day, admitted):
            seen, who = self._hours.of(one), user[at]
            most = np.maximum(hour[at], seen[who])
            order = np.argsort(most, kind="stable")
            seen[who[order]] = most[order]
        for one, at in self._utc.split(before // DAY_MS, admitted):
            self._utc.of(one)[user[at]] = 1
        is_resume = part.verb == _RESUME
        self._has_resumes |= bool(is_resume.any())
        for one, at in self._resumes.split(day, is_resume & (code == 0)):
            self._resumes.of(one)[user[at]] = 1

    def _users(self, user: Ints, strangers: pa.Array) -> Ints:
        """Look up who was not found beside the journal's row; who is new to both gets a number of its own."""
        if not len(strangers):
            return user
        known = pc.fill_null(pc.index_in(strangers, value_set=self._journal.names), -1)
        found = known.to_numpy(zero_copy_only=False).astype(np.int64)
        for at in np.flatnonzero(found < 0).tolist():
            name = strangers[at].as_py()
            found[at] = len(self._journal.names) + self._strangers.setdefault(name, len(self._strangers))
        if len(self._strangers) > _STRANGERS_MAX:
            raise NotPlainError(f"its ledger names {len(self._strangers):,} users whom the journal does not know")
        filled = user.copy()
        filled[user < 0] = found
        return filled

    def _claim(self, part: Part) -> None:
        """Note whose rows of the journal these are; several requests of one row are kept beside."""
        columns = {name: part.columns[name] for name in ("sent_us", "answered_us", "row")}
        position = part.position
        if part.alone.num_rows:
            self._alone.append(part.alone)
            matched = position >= 0
            position = position[matched]
            columns = {name: values[matched] for name, values in columns.items()}
        if not len(position):
            return
        kept: dict[str, NDArray[Any]] = {"sent_us": self._sent, "answered_us": self._answered, "row": self._row}
        span = slice(int(position.min()), int(position.max()) + 1)
        free = span.stop - span.start - int(np.count_nonzero(self.claimed[span]))
        before = self.claimed[position]
        if before.any():
            again = np.unique(position[before])
            self._twice.append({"position": again, **{name: values[again] for name, values in kept.items()}})
        if columns["row"].max() >= _ROWS_MAX:
            raise NotPlainError(f"its ledger has rows with numbers from {_ROWS_MAX:,} upward")
        self.claimed[position] = True
        for name, values in kept.items():
            values[position] = columns[name]
        left = span.stop - span.start - int(np.count_nonzero(self.claimed[span]))
        if free - left < len(position):
            _, last = np.unique(position[::-1], return_index=True)
            lost = np.delete(np.arange(len(position)), len(position) - 1 - last)
            self._twice.append({"position": position[lost], **{name: columns[name][lost] for name in kept}})
        self._claims += len(position)

    # --- parts of `close` -----------------------------------------------------------------------------

    def _pair(self, ledger: Ledger) -> list[Finding]:
        alone = pa.concat_tables([_IDS.empty_table(), *self._alone])
        repeated = self._claims - int(np.count_nonzero(self.claimed)) + self._journal.repeated
        repeated += alone.num_rows - alone.group_by(_IDS.names).aggregate([]).num_rows
        for frame in (ledger.open, ledger.settled):
            names = ledger.connection_ids.take(pa.array(frame["connection"])).cast(pa.string())
            known = pc.fill_null(pc.index_in(names, value_set=self._connection_of), -1)
            position = self._journal.find(known.to_numpy(zero_copy_only=False), frame["request_seq"].to_numpy())
            # Whether the server has met a request without an answer is nothing that anybody must know.
            self.claimed[position[position >= 0]] = True
        return matching.pairs_said(repeated, alone.num_rows, self._journal.unclaimed(self.claimed))

    def _order(self) -> list[Finding]:
        """Find the rows that come before something that was already answered when they were sent."""
        if self._twice or not self._journal.is_ordered:
            return self._order_by_number()
        late, soonest = Case(), NOWHERE
        for end in range(self._journal.rows, 0, -self.part_rows):
            here = slice(max(0, end - self.part_rows), end)
            answered = np.where(self.claimed[here], self._answered[here], NOWHERE)
            least = np.minimum.accumulate(np.append(soonest, answered[::-1]))
            early = self.claimed[here] & (least[:-1][::-1] < self._sent[here])
            late += _case(self._row[here], early)
            soonest = int(least[-1])
        return matching.order_said(late)

    def _order_by_number(self) -> list[Finding]:
        """Do the same where positions in the journal do not tell the order, or are several requests'."""
        at = np.flatnonzero(self.claimed)
        columns: dict[str, NDArray[Any]]
        columns = {"position": at, "sent_us": self._sent[at], "answered_us": self._answered[at], "row": self._row[at]}
        whole = [columns, *self._twice]
        frame = pd.DataFrame({name: np.concatenate([part[name] for part in whole]) for name in columns})
        frame["row"] = frame["row"].astype("int64")
        frame["seq"] = self._journal.seq(frame["position"].to_numpy())
        return matching.order(Matches(frame, frame, 0, 0, frame.iloc[:0], 0))


class _Times:
    """How often each time occurs, in µs."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_TIMES_US), np.int64)
        self._most = 0
        self._others: list[Ints] = []

    def add(self, values: Ints) -> None:
        if not len(values):
            return
        least, most = int(values.min()), int(values.max())
        if least not in _TIMES_US or most not in _TIMES_US:
            within = (values >= _TIMES_US.start) & (values < _TIMES_US.stop)
            self._others.append(values[~within])
            values = values[within]
            if not len(values):
                return
            least = int(values.min())
        counts = np.bincount(values - least)
        at = least - _TIMES_US.start
        self._counts[at : at + len(counts)] += counts
        self._most = max(self._most, at + len(counts))

    def counted(self) -> Counted:
        """Return them in ascending order."""
        at = np.flatnonzero(self._counts[: self._most])
        values, counts = np.unique(np.concatenate([np.empty(0, np.int64), *self._others]), return_counts=True)
        values = np.concatenate([at + _TIMES_US.start, values])
        counts = np.concatenate([self._counts[at], counts])
        order = np.argsort(values)
        return Counted(values[order], counts[order])


def _is_whole(table: pa.Table) -> Flags:
    return np.asarray(np.logical_and.reduce([pc.is_valid(table[name]).to_numpy() for name in OUTCOME]))


def _can_be(columns: Mapping[str, NDArray[Any]]) -> Flags:
    count = len(columns["row"])
    found = np.ones(count, bool)
    for name, (least, most) in _BOUNDS.items():
        values = columns[name]
        if count and (values.min() < least or values.max() > most):
            found &= (values >= least) & (values <= most)
    found &= columns["answered_us"] >= columns["sent_us"]
    found &= columns["app_after_ms"] >= columns["app_before_ms"]
    return found


def _case(numbers: NDArray[Any], wrong: Flags) -> Case:
    count = int(np.count_nonzero(wrong))
    return Case(count, int(numbers[wrong].min())) if count else Case()


def _table_of_kinds() -> tuple[NDArray[np.int8], Flags]:
    verbs = np.zeros(len(JOURNAL_KINDS), np.int8)
    for kind, names in VERBS.items():
        verbs[kind] = sum(_VERBS.get(name, 0) for name in names)
    is_refusal = np.zeros(len(JOURNAL_KINDS), bool)
    is_refusal[list(REFUSALS)] = True
    return verbs, is_refusal


_VERBS_OF_KIND, _IS_REFUSAL = _table_of_kinds()

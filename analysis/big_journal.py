"""One pass over the journal of a big run: what it counts, and where the row of each request stands.

Of a plain row, a login or a resume and its answer, only its columns of numbers stay, the shortest that hold them. Every
other row is kept as it is, so that the ordinary checks can look at it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import journals, matching
from analysis.big_counts import Days, firsts, sizes
from analysis.billing_days import DAY_MS
from analysis.counts import Count
from analysis.findings import Case
from analysis.journals import LOGGED_IN, LOGIN_REFUSED, NOT_COUNTED, REFUSALS, RESUME_REFUSED, RESUMED, Journal
from analysis.matching import NOBODY, STRANGER, Registrations
from analysis.quotas import QUOTA_OF_CODE
from analysis.run_files import JOURNAL_KINDS, JOURNAL_SCHEMA
from analysis.schemas import DAY_MAX, NUMBER_MAX, REQUEST_SEQ_BITS, TIME_MS_MAX
from analysis.wholes import SeqNumbers

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

PART_ROWS: Final = 1 << 19
"""What is looked at together."""
SESSIONS: Final = (LOGGED_IN, LOGIN_REFUSED, RESUMED, RESUME_REFUSED)
_EXPECTED: Final = (
    *SESSIONS,
    *(
        JOURNAL_KINDS.index(name)
        for name in ("app_opened", "clock_moved", "connected", "disconnected", "logged_out", "month_closed", "charged")
    ),
)
_BOUNDS: Final = {
    "seq": (1, 2**62),
    "time_ms": (0, TIME_MS_MAX),
    "kind": (1, len(JOURNAL_KINDS) - 1),
    "user": (0, NUMBER_MAX),
    "connection": (0, NUMBER_MAX),
    "request_seq": (0, 2**REQUEST_SEQ_BITS - 1),
    "counted_day": (NOT_COUNTED, DAY_MAX),
}
"""Those of `schemas.JOURNAL`, which speaks about the rows that are outside."""
_ROW_BYTES_MIN: Final = 59
_SPAN_MS: Final = 2**32
_CODES_MAX: Final = 256
_SPARSE: Final = 1_024


class NotPlainError(Exception):
    """Raised with the reason why a run must be read the ordinary way."""


def parts(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Put batches together to tables of about so many rows."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.Table.from_batches(held, schema)
            held, count = [], 0
    if held:
        yield pa.Table.from_batches(held, schema)


class BigJournal:
    """The journal's rows by position; `add` all parts, then `close`."""

    def __init__(self, file_bytes: int, offset_ms: int, part_rows: int) -> None:
        # Pages that are never written take no memory.
        capacity = file_bytes // _ROW_BYTES_MIN + 1
        self.part_rows = part_rows
        self.rows = 0
        self.kind = np.zeros(capacity, np.int8)
        self._code = np.zeros(capacity, np.uint8)
        self._codes_met: dict[int, int] = {}
        """Each with its number in `_code`."""
        self.name = np.zeros(capacity, np.int32)
        """The user's number, and after `close` the index into `names`, or `NOBODY`, or `STRANGER`."""
        self._time = np.zeros(capacity, np.uint32)
        self._start_ms: int | None = None
        self._connection = np.zeros(capacity, np.int32)
        self._request_seq = np.zeros(capacity, np.uint32)
        self._offset_ms = offset_ms
        self._rest: list[pa.Table] = []
        self._gaps: list[Ints] = []
        self._shifts: list[Ints] = []
        self._steps: list[Ints] = []
        self._seq = 0
        self._before = self._after = 0
        self._days = Days(NUMBER_MAX + 1)
        self._codes: Counter[tuple[int, int]] = Counter()
        self._place = np.empty(NUMBER_MAX + 1, np.int32)
        self._ever = np.zeros(NUMBER_MAX + 1, bool)
        self.miscounted = Case()
        self._miscount = (NOT_COUNTED, NOT_COUNTED)
        self.misregistered = Case()
        self._registered: list[tuple[Ints, pa.Array]] = []
        self._refused: list[tuple[Ints, pa.Array]] = []

    def add(self, table: pa.Table) -> pa.Table:
        """Take the next rows; return those whose values can be. Raises NotPlainError."""
        table = table.combine_chunks()
        columns = {name: table[name].to_numpy() for name in (*_BOUNDS, "code")}
        keep = _inside(columns)
        kind, code = columns["kind"], columns["code"]
        plain = np.isin(kind, SESSIONS) & ~np.isin(code, list(QUOTA_OF_CODE))
        if keep is not None:
            plain &= keep
        if not plain.all():
            self._rest.append(table.filter(pa.array(~plain)))
        if keep is not None:
            table = table.filter(pa.array(keep))
            columns = {name: values[keep] for name, values in columns.items()}
            kind, code = columns["kind"], columns["code"]
        if not len(kind):
            return table
        if not np.isin(kind, _EXPECTED).all():
            odd = JOURNAL_KINDS[int(kind[~np.isin(kind, _EXPECTED)][0])]
            raise NotPlainError(f"its journal has a row of the kind {odd}")
        self._keep(columns)
        is_login = kind == LOGGED_IN
        day = (columns["time_ms"] + self._offset_ms) // DAY_MS
        self._count(columns, day, is_login)
        self._names(table, columns["user"], kind, is_login)
        is_session = np.isin(kind, SESSIONS)
        self._codes.update(sizes(day[is_session], code[is_session]))
        self.rows += len(kind)
        return table

    def close(self, head: str, damage: list[Any]) -> Journal:
        """Put names to users; return the rows that are not plain, as a journal."""
        rest = pa.concat_tables([JOURNAL_SCHEMA.empty_table(), *self._rest])
        self._rest = []
        self.journal = journals.of_table(rest, head, damage)
        self._place = self._ever = np.empty(0, bool)
        self.dau = self._days.count()
        self.count = Count(self.dau, dict(self._codes), self._days.monthly())
        del self._days
        self._name_users()
        self._find_requests()
        return self.journal

    @property
    def sequence(self) -> SeqNumbers:
        gaps = sum(len(part) for part in self._gaps)
        return SeqNumbers(self.rows, self._seq, gaps, self._before, self._after)

    @property
    def is_ordered(self) -> bool:
        """Whether sequence numbers rise throughout, so that positions tell the order."""
        return all((shift > 0).all() for shift in self._steps)

    def seq(self, position: Ints) -> Ints:
        """Return the sequence numbers of positions."""
        gaps = np.concatenate([np.zeros(1, np.int64), *self._gaps])
        shifts = np.concatenate([np.ones(1, np.int64), *self._shifts])
        return np.asarray(position + shifts[np.searchsorted(gaps, position, side="right") - 1])

    def code(self, position: NDArray[Any]) -> NDArray[np.int32]:
        return np.asarray(np.array([*self._codes_met, 0], np.int32)[self._code[position]])

    def time_ms(self, position: NDArray[Any]) -> Ints:
        return np.asarray(self._time[position] + np.int64(self._start_ms or 0))

    def miscounts(self) -> tuple[Case, int, int]:
        """Return the rows that count for a wrong day; of the first, which day it says and which is right."""
        return self.miscounted, *self._miscount

    def find(self, connection: Ints, request_seq: Ints) -> NDArray[np.int64]:
        """Return the position of each request's first row, -1 without one; connections by their index."""
        found = np.full(len(connection), -1, np.int64)
        if not len(self._bound):
            return found
        known = (connection >= 0) & (request_seq >= 0)
        within = known & (request_seq < self._bound[np.where(known, connection, 0)])
        all_within = within.all()
        at = slice(None) if all_within else within
        found[at] = self._where[self._base[connection[at]] + request_seq[at]].astype(np.int64) - 1
        beyond = known & ~within
        if not all_within and beyond.any() and len(self._far_ids):
            ids = (connection[beyond] << REQUEST_SEQ_BITS) | request_seq[beyond]
            near = np.minimum(np.searchsorted(self._far_ids, ids), len(self._far_ids) - 1)
            found[beyond] = np.where(self._far_ids[near] == ids, self._far_at[near], -1)
        return found

    def unclaimed(self, claimed: Flags) -> Case:
        """Count the rows of requests that nobody claims, without the repeated; the first by its seq."""
        count, first = 0, None
        for at in range(0, self.rows, self.part_rows):
            here = slice(at, min(at + self.part_rows, self.rows))
            free = np.isin(self.kind[here], SESSIONS) & ~claimed[here]
            if free.any():
                free &= ~np.isin(np.arange(here.start, here.stop), self._again)
                if (n := int(free.sum())) and first is None:
                    first = at + int(np.argmax(free))
                count += n
        return Case(count, int(self.seq(np.array([first]))[0])) if first is not None else Case()

    # --- parts of `add` -------------------------------------------------------------------------------

    def _keep(self, columns: dict[str, NDArray[Any]]) -> None:
        seq, count = columns["seq"], len(columns["seq"])
        if self.rows + count > len(self.kind):
            raise NotPlainError("its journal is compressed")
        here = slice(self.rows, self.rows + count)
        if self._start_ms is None:
            self._start_ms = max(0, int(columns["time_ms"][0]) - _SPAN_MS // 4)
        time = columns["time_ms"] - self._start_ms
        if time.min() < 0 or time.max() >= _SPAN_MS:
            raise NotPlainError("its journal spans more than a month")
        for kept, values in (
            (self.kind, columns["kind"]),
            (self._code, self._numbered(columns["code"])),
            (self.name, columns["user"]),
            (self._time, time),
            (self._connection, columns["connection"]),
            (self._request_seq, columns["request_seq"]),
        ):
            kept[here] = values
        steps = np.diff(seq, prepend=self._seq)
        breaks = np.flatnonzero(steps != 1)
        if len(breaks):
            if not self._gaps:
                at = int(breaks[0])
                self._before, self._after = (int(seq[at - 1]) if at else self._seq), int(seq[at])
            self._gaps.append(breaks + self.rows)
            self._shifts.append(seq[breaks] - breaks - self.rows)
            self._steps.append(steps[breaks])
        self._seq = int(seq[-1])

    def _numbered(self, code: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Number the different codes: there are few."""
        numbers = np.zeros(len(code), np.uint8)
        for one in [0, *np.unique(code[code != 0]).tolist()]:
            number = self._codes_met.setdefault(one, len(self._codes_met))
            if number >= _CODES_MAX:
                raise NotPlainError(f"its journal has more than {_CODES_MAX} different codes")
            if one:
                numbers[code == one] = number
        return numbers

    def _count(self, columns: dict[str, NDArray[Any]], day: Ints, is_login: Flags) -> None:
        """Hold the server's own claim against the rule: a user's first login of a day, and no other row."""
        due = np.full(len(day), NOT_COUNTED, np.int64)
        for one, at in self._days.split(day, is_login):
            user = columns["user"][at]
            self._days.most = max(self._days.most, int(user.max()))
            first = firsts(user, self._place)
            seen = self._days.of(one)
            first &= seen[user] == 0
            seen[user] = 1
            due[at[first]] = one
        said = columns["counted_day"]
        wrong = np.flatnonzero(said != due)
        if len(wrong):
            first_wrong = int(wrong[0])
            if not self.miscounted.count:
                self._miscount = int(said[first_wrong]), int(due[first_wrong])
                self.miscounted = Case(0, int(columns["seq"][first_wrong]))
            self.miscounted = Case(self.miscounted.count + len(wrong), self.miscounted.first)
        at_login = np.flatnonzero(is_login)
        user = columns["user"][at_login]
        made = firsts(user, self._place) & ~self._ever[user]
        self._ever[user] = True
        self._made = made, at_login, columns["seq"]

    def _names(self, table: pa.Table, user: Ints, kind: NDArray[np.int8], is_login: Flags) -> None:
        """Keep which row gave which number to whom, and whom refusals name."""
        named = pc.is_valid(table["user_id"]).to_numpy()
        made, at_login, seq = self._made
        wrong = at_login[made != named[at_login]]
        if len(wrong):
            first = self.misregistered.first if self.misregistered.count else int(seq[wrong[0]])
            self.misregistered = Case(self.misregistered.count + len(wrong), first)
        for chosen, kept, numbers in (
            (is_login, self._registered, user),
            (np.isin(kind, REFUSALS), self._refused, np.arange(self.rows, self.rows + len(kind))),
        ):
            wanted = named & chosen
            if wanted.any():
                names = table["user_id"].filter(pa.array(wanted)).combine_chunks()
                kept.append((numbers[wanted].copy(), names))

    # --- parts of `close` -----------------------------------------------------------------------------

    def _name_users(self) -> None:
        numbers = np.concatenate([np.empty(0, np.int64), *(part for part, _ in self._registered)])
        texts = [names for _, names in (*self._registered, *self._refused)]
        encoded = pa.chunked_array(texts, pa.string()).combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        self._registered, refused = [], self._refused
        self.names = encoded.dictionary
        index = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        known, others = index[: len(numbers)], index[len(numbers) :]
        user_ids = self.names.take(pa.array(known))
        self.registrations = Registrations(numbers, known, user_ids)
        most = max(int(self.name[: self.rows].max(initial=0)), int(numbers.max(initial=0)))
        meanings = np.full(most + 1, STRANGER, np.int32)
        meanings[numbers] = known
        is_named = np.zeros(most + 1, bool)
        is_named[numbers] = True
        self.nameless = 0
        of_user = np.zeros(len(JOURNAL_KINDS), bool)
        of_user[list(matching.OF_USER)] = True
        for at in range(0, self.rows, self.part_rows):
            here = slice(at, min(at + self.part_rows, self.rows))
            user, kind = self.name[here], self.kind[here]
            self.nameless += int(((kind == LOGGED_IN) & ~is_named[user]).sum())
            self.name[here] = np.where((user == 0) | ~of_user[kind], NOBODY, meanings[user])
        positions = np.concatenate([np.empty(0, np.int64), *(part for part, _ in refused)])
        self.name[positions] = others

    def _find_requests(self) -> None:
        """Lay the requests out by connection and number, so that a request finds its row without a search."""
        at, texts = self.journal.strings("text", journals.CONNECTED)
        instances = pc.utf8_slice_codeunits(texts, 0, matching.INSTANCE_ID_LENGTH).dictionary_encode()
        self.instances = instances.dictionary
        numbers = self.journal.frame["connection"].to_numpy()[at]
        most = max(int(self._connection[: self.rows].max(initial=0)), int(numbers.max(initial=0)))
        index = np.full(most + 1, -1, np.int32)
        index[numbers] = instances.indices.to_numpy(zero_copy_only=False)
        count = len(self.instances) + 1
        rows, most_seq = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for _, connection, request_seq in self._requests(index):
            rows += np.bincount(connection, minlength=count)
            np.maximum.at(most_seq, connection, request_seq)
        # A number far beyond the others of its connection is looked up by itself.
        self._bound = np.minimum(most_seq, 2 * rows + _SPARSE) + 1
        self._bound[0] = 1
        self._base = np.cumsum(self._bound) - self._bound
        self._where = np.zeros(int(self._bound.sum()), np.uint32)
        self._again = np.empty(0, np.int64)
        far: list[tuple[Ints, Ints]] = []
        again: list[Ints] = []
        for position, connection, request_seq in self._requests(index):
            within = (request_seq < self._bound[connection]) & (connection > 0)
            if not within.all():
                beyond = ~within
                unknown = STRANGER - 1 - self._connection[position[beyond]].astype(np.int64)
                names = np.where(connection[beyond] > 0, connection[beyond] - 1, unknown)
                far.append(((names << REQUEST_SEQ_BITS) | request_seq[beyond], position[beyond]))
                position, connection, request_seq = (v[within] for v in (position, connection, request_seq))  # noqa: PLW2901
            slot = self._base[connection] + request_seq
            free = self._where[slot] == 0
            # The first row of a request is its answer: written last, it stays.
            self._where[slot[free][::-1]] = (position[free][::-1] + 1).astype(np.uint32)
            repeated = position[self._where[slot] != position + 1]
            if len(repeated):
                again.append(repeated)
        # From here on a connection that nobody knows has the index -1, as in a ledger.
        self._bound, self._base = self._bound[1:], self._base[1:]
        ids = np.concatenate([np.empty(0, np.int64), *(part for part, _ in far)])
        positions = np.concatenate([np.empty(0, np.int64), *(part for _, part in far)])
        order = np.lexsort((positions, ids))
        self._far_ids, self._far_at = ids[order], positions[order]
        is_again = np.diff(self._far_ids, prepend=np.int64(-(2**63))) == 0
        self._again = np.concatenate([*again, self._far_at[is_again]]) if again or is_again.any() else self._again
        self._far_ids, self._far_at = self._far_ids[~is_again], self._far_at[~is_again]
        self._connection = self._request_seq = np.empty(0, np.int32)

    @property
    def repeated(self) -> int:
        return len(self._again)

    def _requests(self, index: NDArray[np.int32]) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Yield position, connection (0 for one that nobody knows) and number of the rows that answer a request."""
        for at in range(0, self.rows, self.part_rows):
            here = slice(at, min(at + self.part_rows, self.rows))
            chosen = np.flatnonzero(np.isin(self.kind[here], SESSIONS))
            connection = index[self._connection[here][chosen]].astype(np.int64) + 1
            yield chosen + at, connection, self._request_seq[here][chosen].astype(np.int64)


def _inside(columns: dict[str, NDArray[Any]]) -> Flags | None:
    """Tell the rows whose values can be; None where all are."""
    outside = [
        (name, least, most)
        for name, (least, most) in _BOUNDS.items()
        if len(columns[name]) and (columns[name].min() < least or columns[name].max() > most)
    ]
    if not outside:
        return None
    can_be = [(columns[name] >= least) & (columns[name] <= most) for name, least, most in outside]
    return np.asarray(np.logical_and.reduce(can_be))

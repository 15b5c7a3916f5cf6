"""Writes a healthy run of any number of rows, day by day: the witnesses of a month that nobody had to play.

Everything is drawn column by column, and counts and prices are computed here without the audit's code.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import run_files
from proofs.forging import chained

DAY_MS: Final = 86_400_000
OFFSET_MS: Final = 28_800_000
EPOCH: Final = date(1970, 1, 1)
FIRST: Final = (date(2026, 10, 1) - EPOCH).days
DAYS: Final = 31
SDKAPPID: Final = 1_400_000_001
BATCH_ROWS: Final = 65_536
CONNECTIONS: Final = 50
US_BETWEEN: Final = 30
"""Of arrivals: 33,333 logins a second."""
REFUSED: Final = 70_013
KINDS: Final = ("first", "again", "held_over", "bad_usersig")
PLATFORMS: Final = ("Web", "Android", "iPhone")
COUNTRIES: Final = ("CN", "SG", "BR")
ACCESS_POINTS: Final = ("cn-south", "sg", "br")
BOOK: Final = {
    "name": "2020",
    "currency": "USD",
    "plan_fee": {"trial": 0, "pro": 14_999_000, "ultimate": 44_999_000},
    "dau": {"free": 10_000, "per": 10_000, "unit_price": 14_999_000},
    "mau": None,
    "groups": {"free": 100_000, "per": 100_000, "unit_price": 14_999_000},
    "calls": {"audio": 99, "hd": 399, "full_hd": 899, "2k": 1_599, "4k": 3_599},
    "call_minutes_free": 10_000,
}

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass
class _Day:
    """A day's requests in the order of the plan."""

    day: int
    row: Ints
    user: Ints
    kind: Ints
    connection: Ints
    request_seq: Ints
    planned_us: Ints
    sent_us: Ints
    served_us: Ints
    answered_us: Ints
    time_ms: Ints
    before_ms: Ints
    after_ms: Ints

    @property
    def code(self) -> Ints:
        return np.where(self.kind == KINDS.index("bad_usersig"), REFUSED, 0)


class _Journal:
    """Segments with their chain; one a day."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._head = bytes(run_files.CHAIN_BYTES)
        self.files: list[str] = []
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        name = f"{self.rows + 1:012}.arrow"
        self.files.append(f"{run_files.JOURNAL_FOLDER}/{name}")
        with (self._folder / name).open("wb") as file:
            messages = [run_files.JOURNAL_SCHEMA.serialize()]
            messages += [batch.serialize() for batch in table.to_batches(max_chunksize=BATCH_ROWS)]
            for message in messages:
                data, self._head = chained(memoryview(message), self._head)
                file.write(data)
        self.rows += table.num_rows

    def manifest(self) -> dict[str, Any]:
        return {"files": self.files, "rows": self.rows, "last_seq": self.rows, "head": self._head.hex()}


@dataclass
class _Month:
    """What goes on from day to day."""

    users: int
    rng: np.random.Generator
    user_ids: pa.Array
    number_of: Ints
    """Of each user, 0 before the first login."""
    next_seq: Ints
    """Of each connection."""
    numbers: int = 0
    rows: int = 0
    days: list[dict[str, Any]] = field(default_factory=list)


def write(folder: Path, rows: int, workers: int = 2, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Write a run of this many ledger rows into a new folder; memory is that of a day and of the users."""
    rng = np.random.default_rng(7)
    users = max(20, rows // 25)
    digits = pc.utf8_lpad(pa.array(np.arange(users)).cast(pa.string()), 9, "0")
    month = _Month(
        users=users,
        rng=rng,
        user_ids=pc.binary_join_element_wise("user_", digits, ""),
        number_of=np.zeros(users, np.int64),
        next_seq=np.ones(CONNECTIONS, np.int64),
    )
    (folder / run_files.LEDGER_FOLDER).mkdir(parents=True)
    names = [f"{run_files.LEDGER_FOLDER}/worker-{index}.arrow" for index in range(workers)]
    streams = [pa.ipc.new_stream(str(folder / name), run_files.LEDGER_SCHEMA) for name in names]
    rows_of = [0] * workers
    journal = _Journal(folder / run_files.JOURNAL_FOLDER)
    journal.write(_opening())
    for at, size in enumerate(_sizes(rows)):
        progress(f"writing day {at + 1} of {DAYS}, {month.rows:,} of {rows:,} rows")
        day = _requests(month, FIRST + at, size)
        for index, table in enumerate(_ledgers(month, day, workers)):
            streams[index].write_table(table, max_chunksize=BATCH_ROWS)
            rows_of[index] += table.num_rows
        table, dau = _journal_rows(month, day, journal.rows)
        journal.write(table)
        codes = {str(code): int((day.code == code).sum()) for code in np.unique(day.code)}
        month.days.append({"day": _iso(day.day), "arrivals": size, "dau_min": dau, "dau_max": dau, "codes": codes})
        month.rows += size
    for stream in streams:
        stream.close()
    statement = _statement(month)
    journal.write(_close(statement, journal.rows))
    progress("hashing the ledgers")
    _json(folder / run_files.PLAN, _plan(month))
    _json(folder / run_files.STATEMENT, statement)
    described = [_worker(folder, index, name, rows_of[index]) for index, name in enumerate(names)]
    _json(folder / run_files.MANIFEST, _manifest(folder.name, described, journal))
    return folder


def _sizes(rows: int) -> list[int]:
    """Split the month's rows; the 16th has the most."""
    weights = np.array([1.0 + 0.1 * (at % 7 in (2, 3)) + 0.4 * (at == 15) for at in range(DAYS)])
    edges = np.round(np.cumsum(weights) / weights.sum() * rows).astype(np.int64)
    return [int(size) for size in np.diff(edges, prepend=0)]


def _requests(month: _Month, day: int, size: int) -> _Day:
    rng = month.rng
    refused, resumed, again = size // 200, size // 100, size // 10
    first = min(size - refused - resumed - again, month.users)
    again = size - refused - resumed - first
    start = int(rng.integers(month.users))
    comes = (start + np.arange(first)) % month.users
    user = np.concatenate(
        [
            comes,
            comes[rng.integers(0, max(first, 1), again)],
            rng.integers(0, month.users, resumed),
            rng.integers(0, month.users, refused),
        ]
    )
    kind = np.repeat(np.arange(4), [first, again, resumed, refused])
    # A session can be resumed only by somebody who has an account.
    kind[(kind == KINDS.index("held_over")) & (month.number_of[user] == 0)] = KINDS.index("bad_usersig")
    order = rng.permutation(size)
    user, kind = user[order], kind[order]
    at = np.arange(month.rows, month.rows + size)
    planned = at * US_BETWEEN + (day - FIRST) * 200_000
    sent = planned + rng.integers(5, 400, size, dtype=np.int64)
    service = np.minimum(np.exp(rng.standard_normal(size, np.float32) * 0.5 + 6.5), 90_000).astype(np.int64) + 50
    served = sent + (service * rng.random(size, np.float32)).astype(np.int64)
    rank = np.empty(size, np.int64)
    rank[np.argsort(served, kind="stable")] = np.arange(size)
    connection = rng.integers(0, CONNECTIONS, size)
    spread = max(1, size // 50)
    return _Day(
        day=day,
        row=at,
        user=user,
        kind=kind,
        connection=connection,
        request_seq=_count_up(connection, month.next_seq),
        planned_us=planned,
        sent_us=sent,
        served_us=served,
        answered_us=sent + service,
        time_ms=_step_ms(day, rank, size),
        before_ms=_step_ms(day, rank - spread, size),
        after_ms=_step_ms(day, rank + spread, size),
    )


def _step_ms(day: int, rank: Ints, size: int) -> Ints:
    """Each day is played in hourly steps and one at 23:59:59."""
    step = np.clip(rank * 25 // size, 0, 24)
    return np.asarray(_start_ms(day) + np.minimum(step * 3_600_000, DAY_MS - 1_000))


def _count_up(connection: Ints, next_seq: Ints) -> Ints:
    order = np.argsort(connection.astype(np.uint8), kind="stable")
    sizes = np.bincount(connection, minlength=CONNECTIONS)
    seq = np.empty(len(connection), np.int64)
    starts = np.cumsum(sizes) - sizes
    seq[order] = np.arange(len(connection)) + np.repeat(next_seq - starts, sizes)
    next_seq += sizes
    return seq


def _ledgers(month: _Month, day: _Day, workers: int) -> list[pa.Table]:
    order = np.argsort(day.answered_us, kind="stable")
    return [_ledger(month, day, order[order % workers == worker]) for worker in range(workers)]


def _ledger(month: _Month, day: _Day, at: Ints) -> pa.Table:
    user, size = day.user[at], len(at)
    is_resume = day.kind[at] == KINDS.index("held_over")
    instances = [f"{number:032x}" for number in range(CONNECTIONS)]
    columns = {
        "row": day.row[at],
        "user_id": month.user_ids.take(pa.array(user)),
        "group_id": pa.nulls(size, pa.string()),
        "verb": _named(is_resume, ("login", "resume")),
        "kind": _named(day.kind[at], KINDS),
        "platform": _named(user % 3, PLATFORMS),
        "country": _named(user % 3, COUNTRIES),
        "access_point": _named(user % 3, ACCESS_POINTS),
        "connection": _named(day.connection[at], instances),
        "request_seq": day.request_seq[at],
        "planned_app_ms": day.time_ms[at],
        "planned_us": day.planned_us[at],
        "sent_us": day.sent_us[at],
        "answered_us": day.answered_us[at],
        "app_before_ms": day.before_ms[at],
        "app_after_ms": day.after_ms[at],
        "code": day.code[at].astype(np.int32),
        "city": _named(np.zeros(size, np.int32), ("",)),
        "routing_version": pa.array(np.ones(size, np.int32)),
    }
    return pa.table(columns, schema=run_files.LEDGER_SCHEMA)


def _journal_rows(month: _Month, day: _Day, before: int) -> tuple[pa.Table, int]:
    at = np.argsort(day.served_us, kind="stable")
    user, kind, size = day.user[at], day.kind[at], len(at)
    is_login, is_refused = kind <= KINDS.index("again"), kind == KINDS.index("bad_usersig")
    first = _firsts(user, is_login, month.users)
    is_new = first & (month.number_of[user] == 0)
    count = int(is_new.sum())
    month.number_of[user[is_new]] = np.arange(month.numbers + 1, month.numbers + count + 1)
    month.numbers += count
    kinds = [run_files.JOURNAL_KINDS.index(name) for name in ("logged_in", "logged_in", "resumed", "login_refused")]
    columns = {
        "seq": np.arange(before + 1, before + size + 1),
        "time_ms": day.time_ms[at],
        "kind": np.array(kinds, np.int8)[kind],
        "user": np.where(is_refused, 0, month.number_of[user]),
        "user_id": month.user_ids.take(pa.array(user, mask=~(is_new | is_refused))),
        "instance": user * 2,
        "platform": np.ones(size, np.int16),
        "connection": day.connection[at] + 1,
        "request_seq": day.request_seq[at],
        "counted_day": np.where(first, day.day, -1).astype(np.int32),
        "code": day.code[at].astype(np.int32),
        "text": pa.nulls(size, pa.string()),
    }
    return pa.table(columns, schema=run_files.JOURNAL_SCHEMA), int(first.sum())


def _firsts(user: Ints, among: Flags, users: int) -> Flags:
    """Tell the first of each user's rows among some: of equal places the last one written stays."""
    rows = np.flatnonzero(among)
    place = np.empty(users, np.int64)
    place[user[rows][::-1]] = rows[::-1]
    return among & (place[user] == np.arange(len(user)))


def _opening() -> pa.Table:
    opened = _start_ms(FIRST)
    rows = [_event(1, opened, "app_opened", {"plan": "pro", "fixed_ms": opened})]
    for number in range(CONNECTIONS):
        row = _event(number + 2, opened, "connected", None)
        rows.append(row | {"connection": number + 1, "text": f"{number:032x} cn-south"})
    return pa.Table.from_pylist(rows, run_files.JOURNAL_SCHEMA)


def _close(statement: dict[str, Any], before: int) -> pa.Table:
    closed = statement | {"charged_on": None, "charged_at_ms": None}
    charge = {key: statement[key] for key in ("month", "total_cents", "currency", "charged_on", "charged_at_ms")}
    rows = [
        _event(before + 1, statement["closed_at_ms"], "month_closed", closed),
        _event(before + 2, statement["charged_at_ms"], "charged", charge),
    ]
    return pa.Table.from_pylist(rows, run_files.JOURNAL_SCHEMA)


def _event(seq: int, time_ms: int, kind: str, text: object) -> dict[str, Any]:
    return {
        **dict.fromkeys(("user", "instance", "platform", "connection", "request_seq", "code"), 0),
        "seq": seq,
        "time_ms": time_ms,
        "kind": run_files.JOURNAL_KINDS.index(kind),
        "counted_day": -1,
        "text": None if text is None else json.dumps(text),
    }


def _statement(month: _Month) -> dict[str, Any]:
    peak = max(day["dau_max"] for day in month.days)
    units = max(0, -((10_000 - peak) // 10_000))
    lines = [
        _line("plan", 1, 1, (0, 1)),
        _line("dau", peak, units, (10_000, 10_000)),
        _line("groups", 0, 0, (100_000, 100_000)),
    ]
    charged = FIRST + DAYS + 2
    return {
        "sdkappid": SDKAPPID,
        "plan": "pro",
        "month": "2026-10",
        "currency": "USD",
        "price_book": BOOK,
        "daily_dau": [{"day": day["day"], "dau": day["dau_max"]} for day in month.days],
        "peak_dau": peak,
        "peak_day": next(day["day"] for day in month.days if day["dau_max"] == peak),
        "monthly_users": month.numbers,
        "peak_groups": 0,
        "call_seconds": {},
        "lines": lines,
        "total_cents": sum(line["amount_cents"] for line in lines),
        "closed_at_ms": _start_ms(FIRST + DAYS),
        "charged_on": _iso(charged),
        "charged_at_ms": _start_ms(charged),
    }


def _line(item: str, quantity: int, units: int, steps: tuple[int, int]) -> dict[str, Any]:
    amounts = {"units": units, "unit_price": 14_999_000, "amount_cents": units * 14_999}
    return {"item": item, "quantity": quantity, "free": steps[0], "per": steps[1], **amounts}


def _plan(month: _Month) -> dict[str, Any]:
    return {
        "format": 1,
        "scenario": "dau_spike",
        "seed": 7,
        "options": {},
        "app": {"sdkappid": SDKAPPID, "plan": "pro", "price_book": "2020"},
        "readings": {"billing_offset_ms": OFFSET_MS, "dau": "login", "charge_day": 3},
        "month": "2026-10",
        "arrivals": month.rows,
        "days": month.days,
    }


def _worker(folder: Path, index: int, name: str, rows: int) -> dict[str, Any]:
    with (folder / name).open("rb") as file:
        digest = file_digest(file, lambda: blake2b(digest_size=32)).hexdigest()
    size = (folder / name).stat().st_size
    counts = dict.fromkeys(("rows", "issued", "answered"), rows)
    return {"index": index, "file": name, **counts, "reconnects": 0, "bytes": size, "blake2b": digest}


def _manifest(name: str, workers: list[dict[str, Any]], journal: _Journal) -> dict[str, Any]:
    rows = sum(worker["rows"] for worker in workers)
    return {
        "format": 1,
        "id": name,
        "complete": True,
        "started_at": "2026-11-23T02:15:00Z",
        "duration_s": rows * US_BETWEEN / 1e6,
        "workers_expected": len(workers),
        "workers": workers,
        "journal": journal.manifest(),
        "locust": {"requests": rows, "failures": 0},
        "server": {"kind": "generated", "version": "0.1.0"},
        "spike": None,
        "problems": [],
    }


def _named(codes: NDArray[Any], names: tuple[str, ...] | list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def _start_ms(day: int) -> int:
    return day * DAY_MS - OFFSET_MS


def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")

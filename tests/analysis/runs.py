"""Builds recorded runs: a healthy month that a test then spoils in one place.

Counts and prices are computed here a second time, without the code under test.
Everything is drawn column by column, so that a run of a million users takes seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import run_files
from tests.analysis.recordings import Recording, event

DAY_MS: Final = 86_400_000
OFFSET_MS: Final = 28_800_000
EPOCH: Final = date(1970, 1, 1)
STEPS: Final = 24
SEED: Final = 7
SDKAPPID: Final = 1_400_000_001

BOOK_2020: Final = {
    "name": "2020",
    "currency": "USD",
    "plan_fee": {"trial": 0, "pro": 14_999_000, "ultimate": 44_999_000},
    "dau": {"free": 10_000, "per": 10_000, "unit_price": 14_999_000},
    "mau": None,
    "groups": {"free": 100_000, "per": 100_000, "unit_price": 14_999_000},
    "calls": {"audio": 99, "hd": 399, "full_hd": 899, "2k": 1_599, "4k": 3_599},
    "call_minutes_free": 10_000,
}

KINDS: Final = ("first", "again", "second_device", "before_midnight", "bad_usersig")
PLATFORMS: Final = ("Web", "Android", "iPhone")
COUNTRIES: Final = ("CN", "SG", "BR")
ACCESS_POINTS: Final = ("cn-south", "sg", "br")
REFUSALS: Final = (70009, 70013)

Ints = NDArray[np.int64]


def a_run(folder: Path, **options: Any) -> Path:
    """Write the healthy run of `a_recording`."""
    return a_recording(**options).written(folder)


def a_recording(
    days: Mapping[str, int] | None = None,
    *,
    month: str = "2026-10",
    plan: str = "pro",
    workers: int = 1,
    connections: int = 8,
) -> Recording:
    """Record a healthy month in which `days` (ISO date to DAU) had logins.

    One user in ten logs in again the same day, one in twenty on a second device; one request in two hundred, at
    least one a day, is refused. The first request of a day comes at 00:00:00, the last ones at 23:59:59.
    """
    wanted = {"2026-10-01": 30, "2026-10-02": 50} if days is None else days
    dau = {_number(day): count for day, count in sorted(wanted.items())}
    arrivals = _arrivals(dau, connections, np.random.default_rng(SEED))
    statement = a_statement(month, wanted, plan=plan)
    return Recording(
        plan=_plan(month, plan, dau, arrivals),
        ledgers=_ledgers(arrivals, workers),
        journal=_journal(arrivals, connections, _first_ms(arrivals, month), plan),
        statement=statement,
    )


def a_statement(
    month: str, days: Mapping[str, int], *, plan: str = "pro", units: int | None = None, charge_day: int = 3
) -> dict[str, Any]:
    """State what an honest server bills for `days`; `units` overrides the DAU units."""
    first = date.fromisoformat(f"{month}-01")
    end = (first + timedelta(days=31)).replace(day=1)
    daily = {
        day.isoformat(): days.get(day.isoformat(), 0)
        for day in (first + timedelta(n) for n in range((end - first).days))
    }
    peak = max(daily.values())
    units = max(0, -((10_000 - peak) // 10_000)) if units is None else units
    fee = int(BOOK_2020["plan_fee"][plan])  # type: ignore[index]
    lines = [_line("plan", 1, 1, fee, (0, 1))]
    if plan != "trial":
        lines.append(_line("dau", peak, units, 14_999_000, (10_000, 10_000)))
        lines.append(_line("groups", 0, 0, 14_999_000, (100_000, 100_000)))
    charged_on = end.replace(day=charge_day)
    return {
        "sdkappid": SDKAPPID,
        "plan": plan,
        "month": month,
        "currency": "USD",
        "price_book": BOOK_2020,
        "daily_dau": [{"day": day, "dau": count} for day, count in daily.items()],
        "peak_dau": peak,
        "peak_day": next((d for d in daily if daily[d] == peak), None) if peak else None,
        # The same users come on each day, so the month has as many as its peak day.
        "monthly_users": peak,
        "peak_groups": 0,
        "call_seconds": {},
        "lines": lines,
        "total_cents": sum(line["amount_cents"] for line in lines),
        "closed_at_ms": _start_ms((end - EPOCH).days),
        "charged_on": charged_on.isoformat(),
        "charged_at_ms": _start_ms((charged_on - EPOCH).days),
    }


@dataclass
class _Arrivals:
    """All requests in the order of the plan, as columns."""

    day: Ints
    user: Ints
    kind: Ints
    code: Ints
    connection: Ints
    time_ms: Ints
    before_ms: Ints
    after_ms: Ints
    planned_us: Ints
    sent_us: Ints
    served_us: Ints
    answered_us: Ints
    request_seq: Ints


def _arrivals(dau: Mapping[int, int], connections: int, rng: np.random.Generator) -> _Arrivals:
    parts = [_day(day, count, rng) for day, count in dau.items() if count]
    if not parts:
        parts = [np.empty((4, 0), np.int64)]
    day, user, kind, code = np.concatenate(parts, axis=1)
    total = len(day)
    # A pause between days: all answers of a day are read before the clock passes midnight.
    planned_us = np.arange(total) * 30 + (day - day.min(initial=day[0] if total else 0)) * 200_000
    sent_us = planned_us + rng.integers(5, 400, total)
    service_us = np.minimum(rng.lognormal(6.5, 0.5, total), 90_000).astype(np.int64) + 50
    served_us = sent_us + (service_us * rng.random(total)).astype(np.int64)
    rank, size = _rank_in_day(day, served_us)
    connection = rng.integers(0, connections, total)
    return _Arrivals(
        day=day,
        user=user,
        kind=kind,
        code=code,
        connection=connection,
        time_ms=_step_ms(day, rank, size),
        before_ms=_step_ms(day, rank - size // 50, size),
        after_ms=_step_ms(day, rank + size // 50, size),
        planned_us=planned_us,
        sent_us=sent_us,
        served_us=served_us,
        answered_us=sent_us + service_us,
        request_seq=_count_up(connection),
    )


def _day(day: int, count: int, rng: np.random.Generator) -> Ints:
    """Rows of one day: day, user, kind, code."""
    first = rng.permutation(count)
    again = rng.integers(0, count, count // 10)
    second = rng.integers(0, count, count // 20)
    refused = rng.integers(0, 2 * count, max(1, count // 200))
    user = np.concatenate([first, again, second, refused])
    kind = np.repeat([0, 1, 2, 4], [len(first), len(again), len(second), len(refused)])
    order = rng.permutation(len(user))
    user, kind = user[order], kind[order]
    code = np.where(kind == 4, np.array(REFUSALS)[user % 2], 0)
    return np.stack([np.full(len(user), day), user, kind, code])


def _rank_in_day(day: Ints, served_us: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(served_us, kind="stable")
    rank = np.empty(len(day), np.int64)
    rank[order] = np.arange(len(day))
    _, start, inverse, size = np.unique(day, return_index=True, return_inverse=True, return_counts=True)
    return rank - start[inverse], size[inverse]


def _step_ms(day: Ints, rank: Ints, size: Ints) -> Ints:
    """Each day is played in hourly steps and one at 23:59:59."""
    step = np.clip(rank * (STEPS + 1) // np.maximum(size, 1), 0, STEPS)
    last = DAY_MS - 1_000
    return np.asarray(day * DAY_MS - OFFSET_MS + np.minimum(step * 3_600_000, last))


def _count_up(connection: Ints) -> Ints:
    """Number the requests of each connection from 1, in the order of the plan."""
    order = np.argsort(connection, kind="stable")
    _, start, size = np.unique(connection[order], return_index=True, return_counts=True)
    seq = np.empty(len(connection), np.int64)
    seq[order] = np.arange(len(connection)) - np.repeat(start, size) + 1
    return seq


def _plan(month: str, plan: str, dau: Mapping[int, int], arrivals: _Arrivals) -> dict[str, Any]:
    first = date.fromisoformat(f"{month}-01")
    end = (first + timedelta(days=31)).replace(day=1)
    listed = {_number((first + timedelta(n)).isoformat()) for n in range((end - first).days)}
    return {
        "format": 1,
        "scenario": "dau_spike",
        "seed": SEED,
        "options": {"peak_dau": max(dau.values(), default=0)},
        "app": {"sdkappid": SDKAPPID, "plan": plan, "price_book": "2020"},
        "readings": {"billing_offset_ms": OFFSET_MS, "dau": "login", "charge_day": 3},
        "month": month,
        "arrivals": len(arrivals.day),
        "days": [
            _planned_day(day, dau.get(day, 0), arrivals.code[arrivals.day == day]) for day in sorted(listed | set(dau))
        ],
    }


def _planned_day(day: int, dau: int, codes: Ints) -> dict[str, Any]:
    values, counts = np.unique(codes, return_counts=True)
    return {
        "day": _iso(day),
        "arrivals": len(codes),
        "dau_min": dau,
        "dau_max": dau,
        "codes": {str(c): int(n) for c, n in zip(values, counts, strict=True)},
    }


def _ledgers(arrivals: _Arrivals, workers: int) -> list[pa.Table]:
    total = len(arrivals.day)
    order = np.argsort(arrivals.answered_us, kind="stable")
    columns: dict[str, Any] = {
        "row": np.arange(total),
        "user_id": _user_ids(arrivals.user),
        "group_id": pa.nulls(total, pa.string()),
        "verb": _named(np.zeros(total, np.int64), ("login",)),
        "kind": _named(arrivals.kind, KINDS),
        "platform": _named(arrivals.user % 3, PLATFORMS),
        "country": _named(arrivals.user % 3, COUNTRIES),
        "access_point": _named(arrivals.user % 3, ACCESS_POINTS),
        "connection": _named(arrivals.connection, _instance_ids(arrivals.connection)),
        "request_seq": arrivals.request_seq,
        "planned_app_ms": arrivals.time_ms,
        "planned_us": arrivals.planned_us,
        "sent_us": arrivals.sent_us,
        "answered_us": arrivals.answered_us,
        "app_before_ms": arrivals.before_ms,
        "app_after_ms": arrivals.after_ms,
        "code": arrivals.code.astype(np.int32),
        "city": _named(np.zeros(total, np.int64), ("",)),
        "routing_version": pa.array(np.ones(total, np.int32)),
    }
    table = pa.table(columns, schema=run_files.LEDGER_SCHEMA)
    return [table.take(pa.array(order[order % workers == worker])) for worker in range(workers)]


def _journal(arrivals: _Arrivals, connections: int, opened_ms: int, plan: str) -> pa.Table:
    order = np.argsort(arrivals.served_us, kind="stable")
    user, day, code = arrivals.user[order], arrivals.day[order], arrivals.code[order]
    admitted = code == 0
    number, is_new = _numbers(user, admitted)
    named = is_new | ~admitted
    opened = _opening(connections, opened_ms, plan)
    count = len(order)
    logins = pa.table(
        {
            "seq": np.arange(count) + opened.num_rows + 1,
            "time_ms": arrivals.time_ms[order],
            "kind": np.where(admitted, 5, 6).astype(np.int8),
            "user": number,
            "user_id": pc.if_else(pa.array(named), _user_ids(user), None),
            "instance": user * 2 + (arrivals.kind[order] == 2),
            "platform": np.ones(count, np.int16),
            "connection": arrivals.connection[order] + 1,
            "request_seq": arrivals.request_seq[order],
            "counted_day": np.where(_is_first(day * (user.max(initial=0) + 1) + user, admitted), day, -1).astype(
                np.int32
            ),
            "code": code.astype(np.int32),
            "text": pa.nulls(count, pa.string()),
        },
        schema=run_files.JOURNAL_SCHEMA,
    )
    return pa.concat_tables([opened, logins])


def _numbers(user: Ints, admitted: NDArray[np.bool_]) -> tuple[Ints, NDArray[np.bool_]]:
    """Dense numbers from 1 in the order of the first admitted login; 0 for a user without one."""
    is_new = _is_first(user, admitted)
    number_of = np.zeros(user.max(initial=0) + 1, np.int64)
    number_of[user[is_new]] = np.arange(1, np.count_nonzero(is_new) + 1)
    return np.where(admitted, number_of[user], 0), is_new


def _is_first(key: Ints, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows = np.flatnonzero(among)
    _, first = np.unique(key[rows], return_index=True)
    result = np.zeros(len(key), bool)
    result[rows[first]] = True
    return result


def _opening(connections: int, time_ms: int, plan: str) -> pa.Table:
    settings = {"plan": plan, "fixed_ms": time_ms}
    rows = [event(1, time_ms, 1, settings)]
    for number, name in enumerate(_instance_ids(np.arange(connections)), start=1):
        row = event(number + 1, time_ms, 3, None) | {"connection": number}
        rows.append(row | {"text": f"{name} cn-south"})
    return pa.Table.from_pylist(rows, run_files.JOURNAL_SCHEMA)


def _named(codes: Ints, names: tuple[str, ...] | list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def _user_ids(user: Ints) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(user).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise("user_", digits, "")


def _instance_ids(connection: Ints) -> list[str]:
    return [f"{number:032x}" for number in range(connection.max(initial=0) + 1)]


def _line(item: str, quantity: int, units: int, unit_price: int, steps: tuple[int, int]) -> dict[str, Any]:
    free, per = steps
    return {
        "item": item,
        "quantity": quantity,
        "free": free,
        "per": per,
        "units": units,
        "unit_price": unit_price,
        "amount_cents": units * unit_price // 1_000,
    }


def _first_ms(arrivals: _Arrivals, month: str) -> int:
    start = _start_ms(_number(f"{month}-01"))
    return int(arrivals.time_ms.min()) if len(arrivals.day) else start


def _start_ms(day: int) -> int:
    return day * DAY_MS - OFFSET_MS


def _number(day: str) -> int:
    return (date.fromisoformat(day) - EPOCH).days


def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()

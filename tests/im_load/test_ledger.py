"""The ledger: an answer is a small tuple while the load runs, and a whole row in the stream."""

import subprocess
import sys

import pyarrow as pa
import pytest

from analysis.run_files import LEDGER_SCHEMA
from im_load import population
from im_load.ledger import BATCH_ROWS, LedgerWriter, PhaseColumns, type_row
from im_load.plans.month import KINDS, MonthOptions, MonthPlan
from im_load.routes import Route, Routes

START_MS = 1_790_784_000_000
FIRST_ROW = 5_000
ROUTES = Routes()
NEAR, FAR = ROUTES.number(Route("near", 7)), ROUTES.number(Route("far", 8))
PLAN = MonthPlan(MonthOptions(seed=7, month="2026-10", app_plan="pro", daily_dau=(900,)))
DAY = PLAN.day(0)
MESSAGE_BYTES_MAX = 8_000_000
"""What a listener of Locust's takes up in far less than the second between two heartbeats."""


def columns() -> PhaseColumns:
    return PhaseColumns(DAY, PLAN, routes=ROUTES, first_row=FIRST_ROW, day_start_ms=START_MS)


def answered(place: int, seq: int, code: int = 0, route: int = NEAR) -> type_row:
    return (place, route, "a" * 32, seq, 40 * place, 40 * place + 7, START_MS, 40 * place + 900, START_MS + 1, code)


def unanswered(place: int, seq: int) -> type_row:
    return (*answered(place, seq)[:7], None, None, None)


def written(*rows: type_row) -> tuple[LedgerWriter, list[bytes]]:
    parts: list[bytes] = []
    ledger = LedgerWriter(parts.append)
    ledger.begin_phase(columns())
    ledger.extend(rows)
    ledger.close()
    return ledger, parts


def read(parts: list[bytes]) -> list[dict[str, object]]:
    with pa.ipc.open_stream(b"".join(parts)) as stream:
        assert stream.schema.equals(LEDGER_SCHEMA)
        rows: list[dict[str, object]] = stream.read_all().to_pylist()
    return rows


def test_a_row_has_what_the_plan_knew_and_what_was_answered() -> None:
    place = 17

    (row,) = read(written(answered(place, 3, code=70009))[1])

    assert row["row"] == FIRST_ROW + place
    assert row["user_id"] == population.user_id(int(DAY.users[place]))
    assert row["kind"] == KINDS[DAY.kinds[place]]
    assert (row["access_point"], row["routing_version"]) == ("near", 7)
    assert row["planned_app_ms"] == START_MS + int(DAY.times_ms[place])
    assert (row["connection"], row["request_seq"]) == ("a" * 32, 3)
    times = ("planned_us", "sent_us", "answered_us", "app_before_ms", "app_after_ms", "code")
    assert [row[name] for name in times] == [680, 687, 1_580, START_MS, START_MS + 1, 70009]


def test_where_it_went_may_be_known_without_a_version() -> None:
    rows = read(written(answered(1, 1, route=FAR), answered(2, 2, route=0))[1])

    assert [(row["access_point"], row["routing_version"]) for row in rows] == [("far", 8), ("", None)]


def test_what_was_given_up_has_no_outcome() -> None:
    """Trap 4.9, 9: Locust never counts what is in flight when it ends."""
    (row,) = read(written(unanswered(2, 1))[1])

    assert row["sent_us"] == 87
    assert [row[name] for name in ("answered_us", "app_after_ms", "code")] == [None, None, None]


def test_rows_stand_in_the_order_of_their_answers_over_phases() -> None:
    parts: list[bytes] = []
    ledger = LedgerWriter(parts.append)
    for day in range(2):
        ledger.begin_phase(columns())
        ledger.extend([answered(4 + day, 1), answered(2, 2)])
    ledger.close()

    assert [row["row"] for row in read(parts)] == [5_004, 5_002, 5_005, 5_002]
    assert ledger.rows == 4


def test_a_ledger_without_a_row_is_a_stream_all_the_same() -> None:
    ledger, parts = written()

    assert read(parts) == []
    assert ledger.rows == 0


def test_rows_leave_in_parts_that_no_listener_chokes_on() -> None:
    """Trap 4.10."""
    rows = [answered(number % len(DAY), number) for number in range(3 * BATCH_ROWS + 1)]
    parts: list[bytes] = []
    ledger = LedgerWriter(parts.append)
    ledger.begin_phase(columns())
    for first in range(0, len(rows), 2_000):
        ledger.extend(rows[first : first + 2_000])
    ledger.close()

    assert len(read(parts)) == len(rows)
    assert max(map(len, parts)) < MESSAGE_BYTES_MAX


def test_no_row_is_written_before_its_phase() -> None:
    ledger = LedgerWriter(lambda _: None)
    ledger.extend([answered(0, 1)])

    with pytest.raises(AssertionError, match="a phase begins before"):
        ledger.flush()


def test_a_ledger_is_written_without_pandas() -> None:
    """Its import takes a second of a core: a worker would miss its heartbeats in the middle of a run."""
    script = (
        "import sys; from tests.im_load import test_ledger as t; t.written(t.answered(1, 1), t.unanswered(2, 2));"
        "sys.exit('pandas' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

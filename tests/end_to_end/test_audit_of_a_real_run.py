"""A run that the harness really played, spoilt in one place by a forger who mends sums and hashes, is red.

`tests/analysis/` spoils made-up runs in many more ways; here the files are those of a server and a client.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis import run_files
from tests.analysis.judging import codes, judged
from tests.analysis.recordings import digest_of, renumbered, rewrite_manifest, without_row, write_journal
from tests.end_to_end.commands import Played, document, ledger_table

pytestmark = pytest.mark.slow

DAY_MS = 86_400_000
OFFSET_MS = 28_800_000
EPOCH = date(1970, 1, 1)
SPIKE_DAY = (date(2026, 10, 16) - EPOCH).days
LOGGED_IN, MONTH_CLOSED, CHARGED = 5, 12, 13
FREE = PER = 10_000
UNIT_CENTS = 14_999
LEDGER_FILE = "ledger/worker-0.arrow"


@dataclass
class Files:
    """What a forger has before him."""

    ledger: pa.Table
    journal: pa.Table
    units_too_many: int = 0

    def rewrite(self, run: Path) -> None:
        """Everything fits again: counts, the chain of hashes, and a bill for what the journal counts."""
        statement = self._statement(document(run, run_files.STATEMENT))
        (run / run_files.STATEMENT).write_text(json.dumps(statement))
        shutil.rmtree(run / run_files.JOURNAL_FOLDER)
        journal = write_journal(run, self._closed_with(statement))
        with pa.ipc.new_stream(str(run / LEDGER_FILE), run_files.LEDGER_SCHEMA) as stream:
            stream.write_table(self.ledger)
        rows = self.ledger.num_rows
        worker = {"index": 0, "file": LEDGER_FILE, "rows": rows, "issued": rows, "answered": rows}
        rewrite_manifest(
            run,
            workers=[worker | digest_of(run / LEDGER_FILE)],
            journal=journal,
            locust={"requests": rows, "failures": 0},
        )

    def _statement(self, statement: dict[str, Any]) -> dict[str, Any]:
        first = (date.fromisoformat(f"{statement['month']}-01") - EPOCH).days
        days = range(first, first + len(statement["daily_dau"]))
        counted = pd.DataFrame({name: self.journal[name].to_numpy() for name in ("user", "counted_day")})
        counted = counted[counted["counted_day"].isin(days)]
        dau = counted["counted_day"].value_counts()
        peak = int(dau.max())
        units = max(0, -((FREE - peak) // PER)) + self.units_too_many
        plan, overage, *others = statement["lines"]
        overage = overage | {"quantity": peak, "units": units, "amount_cents": units * UNIT_CENTS}
        lines = [plan, overage, *others]
        return statement | {
            "daily_dau": [{"day": iso(day), "dau": int(dau.get(day, 0))} for day in days],
            "peak_dau": peak,
            "peak_day": iso(min(dau.index[dau == peak])),
            "monthly_users": counted["user"].nunique(),
            "lines": lines,
            "total_cents": sum(line["amount_cents"] for line in lines),
        }

    def _closed_with(self, statement: dict[str, Any]) -> pa.Table:
        kinds = self.journal["kind"].to_pylist()
        texts = self.journal["text"].to_pylist()
        closed = statement | {"charged_on": None, "charged_at_ms": None}
        charge = json.loads(texts[kinds.index(CHARGED)]) | {"total_cents": statement["total_cents"]}
        texts[kinds.index(MONTH_CLOSED)] = json.dumps(closed)
        texts[kinds.index(CHARGED)] = json.dumps(charge)
        return with_column(self.journal, "text", texts)


def iso(day: int) -> str:
    return (EPOCH + timedelta(days=int(day))).isoformat()


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def verdict_on(run: Path, copy: Path, spoil: Callable[[Files], None]) -> tuple[str, set[str]]:
    """Outcome and findings of a copy of the run in which something was spoilt."""
    shutil.copytree(run, copy)
    # Read from the run itself: Arrow maps files into memory, and those of the copy are written anew.
    parts = []
    for path in sorted((run / run_files.JOURNAL_FOLDER).iterdir()):
        with pa.ipc.open_stream(str(path)) as stream:
            parts.append(stream.read_all())
    files = Files(ledger_table(run), pa.concat_tables(parts))
    spoil(files)
    files.rewrite(copy)
    verdict = judged(copy)
    return verdict.outcome, codes(verdict)


def count_for(files: Files, days: np.ndarray) -> None:
    """Count each login for its day of `days`, no user twice."""
    table = files.journal
    logins = pd.DataFrame({"user": table["user"].to_numpy(), "day": days})[table["kind"].to_numpy() == LOGGED_IN]
    first = logins.drop_duplicates()
    counted = np.full(table.num_rows, -1)
    counted[first.index] = first["day"]
    files.journal = with_column(table, "counted_day", counted)


def days_of(files: Files, offset_ms: int = OFFSET_MS) -> np.ndarray:
    return (files.journal["time_ms"].to_numpy() + offset_ms) // DAY_MS


def nothing(files: Files) -> None:
    count_for(files, days_of(files))


def a_ledger_row_dropped(files: Files) -> None:
    files.ledger = without_row(files.ledger, files.ledger.num_rows // 2)


def a_journal_row_dropped(files: Files) -> None:
    (second_login, *_) = np.flatnonzero(
        (files.journal["kind"].to_numpy() == LOGGED_IN) & (files.journal["counted_day"].to_numpy() < 0)
    )
    files.journal = renumbered(without_row(files.journal, int(second_login)))


def billing_day_in_utc(files: Files) -> None:
    count_for(files, days_of(files, offset_ms=0))


def dau_with_duplicates(files: Files) -> None:
    is_login = files.journal["kind"].to_numpy() == LOGGED_IN
    files.journal = with_column(files.journal, "counted_day", np.where(is_login, days_of(files), -1))


def charge_off_by_one_unit(files: Files) -> None:
    files.units_too_many = 1


def login_of_235959_counted_on_the_next_day(files: Files) -> None:
    counted = files.journal["counted_day"].to_numpy().copy()
    users = files.journal["user"].to_numpy()
    second = (files.journal["time_ms"].to_numpy() + OFFSET_MS) % DAY_MS // 1_000
    is_new = ~np.isin(users, users[counted == SPIKE_DAY + 1])
    (row, *_) = np.flatnonzero((counted == SPIKE_DAY) & (second == 86_399) & is_new)
    counted[row] += 1
    files.journal = with_column(files.journal, "counted_day", counted)


def test_a_rewritten_run_that_was_not_spoilt_passes(healthy: Played, tmp_path: Path) -> None:
    assert verdict_on(healthy.run, tmp_path / "run", nothing) == ("passed", set())


@pytest.mark.parametrize(
    ("spoil", "outcome", "finding"),
    [
        (a_ledger_row_dropped, "invalid", "ledger_rows_missing"),
        (a_journal_row_dropped, "failed", "journal_row_missing"),
        (billing_day_in_utc, "failed", "counted_day_wrong"),
        (dau_with_duplicates, "failed", "dau_differs"),
        (charge_off_by_one_unit, "failed", "bill_differs"),
        (login_of_235959_counted_on_the_next_day, "failed", "counted_day_wrong"),
    ],
)
def test_a_spoilt_run_is_red(
    healthy: Played, tmp_path: Path, spoil: Callable[[Files], None], outcome: str, finding: str
) -> None:
    found, findings = verdict_on(healthy.run, tmp_path / "run", spoil)

    assert found == outcome
    assert finding in findings

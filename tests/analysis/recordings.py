"""The files of a recorded run, with what it takes to write them and to spoil them.

Knows only `docs/run-files.md`: manifest and hash chain are made here a second time, without the code under test.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis import run_files
from proofs.forging import changed, digest_of, write_journal


@dataclass
class Recording:
    """The files of a run before they are written; a test may change any of them."""

    plan: dict[str, Any]
    ledgers: list[pa.Table]
    journal: pa.Table | None
    statement: dict[str, Any] | None
    manifest: dict[str, Any] = field(default_factory=dict)
    batch_rows: int = 65_536
    reconnects: list[int] = field(default_factory=list)
    """By worker, the rows that are not of the plan."""

    def written(self, folder: Path, name: str = "a_run") -> Path:
        """Write the run with a manifest and a hash chain that fit what is written."""
        run = folder / name
        (run / run_files.LEDGER_FOLDER).mkdir(parents=True)
        _write_json(run / run_files.PLAN, self.plan)
        workers = [self._worker(run, index) for index in range(len(self.ledgers))]
        journal = None
        if self.statement is not None:
            _write_json(run / run_files.STATEMENT, self.statement)
        if self.journal is not None:
            table = self.journal_with_close()
            journal = write_journal(run, table, self.batch_rows)
        _write_json(run / run_files.MANIFEST, self._manifest(name, workers, journal))
        return run

    def journal_with_close(self) -> pa.Table:
        """The journal, closed and charged as the statement says."""
        assert self.journal is not None
        if self.statement is None:
            return self.journal
        seq = self.journal["seq"][-1].as_py() if self.journal.num_rows else 0
        closed = {**self.statement, "charged_on": None, "charged_at_ms": None}
        keys = ("month", "total_cents", "currency", "charged_on", "charged_at_ms")
        charge = {key: self.statement[key] for key in keys}
        rows = [
            event(seq + 1, self.statement["closed_at_ms"], 12, closed),
            event(seq + 2, self.statement["charged_at_ms"], 13, charge),
        ]
        close = pa.Table.from_pylist(rows, run_files.JOURNAL_SCHEMA)
        return pa.concat_tables([self.journal, close])

    def change_ledger(self, column: str, row: int, value: object) -> None:
        """Set one value of the first worker's ledger."""
        self.ledgers[0] = changed(self.ledgers[0], column, row, value)

    def _worker(self, run: Path, index: int) -> dict[str, Any]:
        table = self.ledgers[index]
        name = f"{run_files.LEDGER_FOLDER}/worker-{index}.arrow"
        path = run / name
        with pa.ipc.new_stream(str(path), run_files.LEDGER_SCHEMA) as stream:
            stream.write_table(table, max_chunksize=self.batch_rows)
        answered = table.num_rows - table["code"].null_count
        return {
            "index": index,
            "file": name,
            "rows": table.num_rows,
            "issued": table.num_rows,
            "answered": answered,
            **({"reconnects": self.reconnects[index]} if self.reconnects else {}),
            **digest_of(path),
        }

    def _manifest(self, name: str, workers: list[dict[str, Any]], journal: object) -> dict[str, Any]:
        rows = sum(worker["rows"] for worker in workers)
        return {
            "format": 1,
            "id": name,
            "complete": True,
            "started_at": "2026-11-23T02:15:00Z",
            "duration_s": 61.2,
            "workers_expected": len(workers),
            "workers": workers,
            "journal": journal,
            "locust": {"requests": rows, "failures": 0},
            "server": {"kind": "embedded", "version": "0.1.0"},
            "spike": None,
            "problems": [],
            **self.manifest,
        }


def event(seq: int, time_ms: int, kind: int, text: object) -> dict[str, Any]:
    numbers = dict.fromkeys(("user", "instance", "platform", "connection", "request_seq", "code"), 0)
    return {
        **numbers,
        "seq": seq,
        "time_ms": time_ms,
        "kind": kind,
        "user_id": None,
        "counted_day": -1,
        "text": None if text is None else json.dumps(text),
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")

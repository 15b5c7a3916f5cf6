"""The files of a recorded run, with what it takes to write them and to spoil them.

Knows only `docs/run-files.md`: manifest and hash chain are made here a second time, without the code under test.
"""

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from analysis import run_files


@dataclass
class Recording:
    """The files of a run before they are written; a test may change any of them."""

    plan: dict[str, Any]
    ledgers: list[pa.Table]
    journal: pa.Table | None
    statement: dict[str, Any] | None
    manifest: dict[str, Any] = field(default_factory=dict)
    batch_rows: int = 65_536

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


def write_journal(run: Path, table: pa.Table, batch_rows: int = 65_536) -> dict[str, Any]:
    """Write a journal as one chained segment; return its part of the manifest."""
    folder = run / run_files.JOURNAL_FOLDER
    folder.mkdir(exist_ok=True)
    name = f"{table['seq'][0].as_py():012}.arrow"
    head = bytes(run_files.CHAIN_BYTES)
    with (folder / name).open("wb") as file:
        messages = [run_files.JOURNAL_SCHEMA.serialize()]
        batches = table.combine_chunks().to_batches(max_chunksize=batch_rows)
        messages += [batch.serialize() for batch in batches]
        for message in messages:
            data, head = _chained(memoryview(message), head)
            file.write(data)
    return {
        "files": [f"{run_files.JOURNAL_FOLDER}/{name}"],
        "rows": table.num_rows,
        "last_seq": table["seq"][-1].as_py(),
        "head": head.hex(),
    }


def rewrite_manifest(run: Path, **changes: object) -> None:
    """Overwrite keys of a written manifest."""
    path = run / run_files.MANIFEST
    _write_json(path, json.loads(path.read_text()) | changes)


def digest_of(path: Path) -> dict[str, Any]:
    """Size and BLAKE2b of a file, as the manifest holds them."""
    data = path.read_bytes()
    return {"bytes": len(data), "blake2b": blake2b(data, digest_size=32).hexdigest()}


def without_row(table: pa.Table, row: int) -> pa.Table:
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def changed(table: pa.Table, column: str, row: int, value: object) -> pa.Table:
    """Return the table with one value replaced."""
    kind = table.schema.field(column).type
    values = table[column].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    return table.set_column(at, table.schema.field(column), pa.array(values, kind))


def renumbered(journal: pa.Table) -> pa.Table:
    """Return the journal with a gap-free sequence, as a forger would write it."""
    at = journal.schema.get_field_index("seq")
    seq = pa.array(np.arange(1, journal.num_rows + 1))
    return journal.set_column(at, journal.schema.field("seq"), seq)


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


def _chained(message: memoryview, head: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(message[4:8], "little")
    metadata, body = message[8 : 8 + length], message[8 + length :]
    digest = blake2b(head + bytes(metadata) + bytes(body), digest_size=32).digest()
    size = (length + run_files.CHAIN_BYTES).to_bytes(4, "little")
    return b"".join((b"\xff\xff\xff\xff", size, metadata, digest, body)), digest


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")

"""What a forger does to a finished run: changes it somewhere and mends counts, sums and hash chains, so that all fits.

Knows only `docs/run-files.md`: manifest, hash chain and the month's bill are made here a second time, without the code
that is put to the proof.
"""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis import run_files

MONTH_CLOSED: Final = run_files.JOURNAL_KINDS.index("month_closed")
CHARGED: Final = run_files.JOURNAL_KINDS.index("charged")
_EPOCH: Final = date(1970, 1, 1)
_FREE: Final = 10_000
_PER: Final = 10_000
_UNIT_CENTS: Final = 14_999
_LEDGER_FILE: Final = f"{run_files.LEDGER_FOLDER}/worker-0.arrow"

type_json = dict[str, Any]


@dataclass
class Forgery:
    """The files of a run of logins by one worker, as a forger has them before him."""

    ledger: pa.Table
    journal: pa.Table
    plan: type_json
    statement: type_json
    """As the server wrote it; see `bill`."""
    manifest: type_json = field(default_factory=dict)
    """What the manifest says, false or not, beside what is mended."""

    @classmethod
    def of(cls, run: Path) -> "Forgery":
        return cls(
            ledger=_streams(run / run_files.LEDGER_FOLDER),
            journal=_streams(run / run_files.JOURNAL_FOLDER),
            plan=_json(run / run_files.PLAN),
            statement=_json(run / run_files.STATEMENT),
            manifest=_json(run / run_files.MANIFEST),
        )

    def bill(self) -> None:
        """Let the statement bill what the journal says that it counted, at the FAQ's prices."""
        statement = self.statement
        first = (date.fromisoformat(f"{statement['month']}-01") - _EPOCH).days
        days = range(first, first + len(statement["daily_dau"]))
        counted = pd.DataFrame({name: self.journal[name].to_numpy() for name in ("user", "counted_day")})
        counted = counted[counted["counted_day"].isin(days)]
        dau = counted["counted_day"].value_counts()
        peak = int(dau.max())
        units = max(0, -((_FREE - peak) // _PER))
        plan, overage, *others = statement["lines"]
        lines = [
            plan,
            overage | {"quantity": peak, "units": units, "amount_cents": units * _UNIT_CENTS},
            *others,
        ]
        self.statement = statement | {
            "daily_dau": [{"day": _iso(day), "dau": int(dau.get(day, 0))} for day in days],
            "peak_dau": peak,
            "peak_day": _iso(min(dau.index[dau == peak])),
            "monthly_users": counted["user"].nunique(),
            "lines": lines,
            "total_cents": sum(line["amount_cents"] for line in lines),
        }

    def write(self, folder: Path) -> None:
        """Write a run in which everything fits: counts, hashes, and the journal's close to the statement."""
        (folder / run_files.LEDGER_FOLDER).mkdir(parents=True)
        with pa.ipc.new_stream(str(folder / _LEDGER_FILE), run_files.LEDGER_SCHEMA) as stream:
            stream.write_table(self.ledger)
        journal = write_journal(folder, self._closed())
        _write_json(folder / run_files.PLAN, self.plan)
        _write_json(folder / run_files.STATEMENT, self.statement)
        rows = self.ledger.num_rows
        answered = rows - self.ledger["code"].null_count
        worker = {"index": 0, "file": _LEDGER_FILE, "rows": rows, "issued": rows, "answered": answered}
        manifest = self.manifest | {
            "workers": [worker | digest_of(folder / _LEDGER_FILE)],
            "journal": journal,
            "locust": {"requests": rows, "failures": 0},
        }
        _write_json(folder / run_files.MANIFEST, manifest)

    def _closed(self) -> pa.Table:
        """The journal with this statement and its charge in it."""
        kinds, texts = self.journal["kind"].to_pylist(), self.journal["text"].to_pylist()
        closed = self.statement | {"charged_on": None, "charged_at_ms": None}
        charge = {name: self.statement.get(name) for name in json.loads(texts[kinds.index(CHARGED)])}
        texts[kinds.index(MONTH_CLOSED)] = json.dumps(closed)
        texts[kinds.index(CHARGED)] = json.dumps(charge)
        return with_column(self.journal, "text", texts)


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
            data, head = chained(memoryview(message), head)
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


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    """Return the table with other values in a column."""
    column = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), column, pa.array(values, column.type))


def _streams(folder: Path) -> pa.Table:
    tables = []
    for path in sorted(folder.iterdir()):
        with pa.ipc.open_stream(path.read_bytes()) as stream:
            tables.append(stream.read_all())
    return pa.concat_tables(tables)


def _iso(day: int) -> str:
    return (_EPOCH + timedelta(days=int(day))).isoformat()


def chained(message: memoryview, head: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(message[4:8], "little")
    metadata, body = message[8 : 8 + length], message[8 + length :]
    digest = blake2b(head + bytes(metadata) + bytes(body), digest_size=32).digest()
    size = (length + run_files.CHAIN_BYTES).to_bytes(4, "little")
    return b"".join((b"\xff\xff\xff\xff", size, metadata, digest, body)), digest


def _json(path: Path) -> type_json:
    return dict(json.loads(path.read_text()))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")

"""The ledger: what the clients saw, read from the workers' Arrow streams."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis import schemas
from analysis.findings import Finding, invalid, rows
from analysis.run_files import LEDGER_FOLDER, LEDGER_SCHEMA

RECONNECT: Final = "reconnect"
REPEATED_KINDS: Final = (RECONNECT, "repeat")
"""Of requests that the plan did not ask for: an access point was lost or drained."""

OUTCOME: Final = ("sent_us", "answered_us", "app_before_ms", "app_after_ms", "code")
_NOTHING: Final = -1
_NAMES: Final = ("verb", "kind", "platform", "country", "city", "access_point")


@dataclass(frozen=True, slots=True)
class Ledger:
    """All rows as an Arrow table, and as pandas frames: answered, settled by a repetition, and open.

    In the frames `user`, `group` and `connection` are numbers: indices into `user_ids`, `group_ids` (-1 for none) and
    `connection_ids`.
    """

    table: pa.Table
    answered: pd.DataFrame
    open: pd.DataFrame
    settled: pd.DataFrame
    """Requests without an answer that were repeated with one: whatever became of them, it is said again."""
    user_ids: pa.Array
    group_ids: pa.Array
    connection_ids: pa.Array
    findings: tuple[Finding, ...]
    rows_of: dict[str, int]
    """Rows by file."""


def read(folder: Path) -> Ledger:
    """Read every worker's file as far as it can be read."""
    paths = sorted((folder / LEDGER_FOLDER).glob("*.arrow"))
    findings: list[Finding] = []
    tables = {path.name: pa.Table.from_batches(list(batches(path, findings)), LEDGER_SCHEMA) for path in paths}
    table = pa.concat_tables([LEDGER_SCHEMA.empty_table(), *tables.values()])
    rows_of = {name: part.num_rows for name, part in tables.items()}
    return of_table(table, findings, rows_of)


def of_table(table: pa.Table, findings: list[Finding], rows_of: dict[str, int]) -> Ledger:
    """Take the rows of all workers; what was found wrong with their files so far is handed on."""
    table = _without_forbidden_nulls(table, findings)
    names = [_encoded(table[column]) for column in ("user_id", "group_id", "connection")]
    whole = _complete(table, findings)
    frame = _frame(table, names)
    if pc.all(whole).as_py() is False:
        mask = whole.to_numpy(zero_copy_only=False)
        answered, unanswered = frame[mask], frame[~mask]
    else:
        answered, unanswered = frame, frame.iloc[:0]
    answered = answered.astype(dict.fromkeys(OUTCOME[:-1], "int64") | {"code": "int32"})
    bad, broken = schemas.violations(answered, schemas.LEDGER, "ledger")
    if len(bad):
        answered = answered.drop(index=bad)
        table = table.filter(pa.array(~frame.index.isin(bad)))
    is_settled = _settled(unanswered, answered)
    return Ledger(
        table=table,
        answered=answered,
        open=unanswered[~is_settled],
        settled=unanswered[is_settled],
        user_ids=names[0].dictionary,
        group_ids=names[1].dictionary,
        connection_ids=names[2].dictionary,
        findings=(*findings, *broken),
        rows_of=rows_of,
    )


def batches(
    path: Path, findings: list[Finding], opened: Callable[[str], pa.NativeFile] = pa.memory_map
) -> Iterator[pa.RecordBatch]:
    """Read a stream up to the first thing that is wrong with it."""
    count = 0
    try:
        with opened(str(path)) as source, pa.ipc.open_stream(source) as stream:
            if not stream.schema.equals(LEDGER_SCHEMA):
                findings.append(invalid("ledger_columns", f"{path.name} has other columns than a ledger"))
                return
            for batch in stream:
                batch.validate(full=True)
                yield batch
                count += batch.num_rows
    except (OSError, EOFError, pa.ArrowException) as broken:
        text = f"{path.name} is cut short or damaged after {rows(count)}: {_one_line(broken)}"
        findings.append(invalid("ledger_unreadable", text))


def _without_forbidden_nulls(table: pa.Table, findings: list[Finding]) -> pa.Table:
    for field in LEDGER_SCHEMA:
        count = table[field.name].null_count
        if count and not field.nullable:
            text = f"{field.name} is empty in {rows(count)} of the ledger"
            findings.append(invalid("ledger_values", text))
            table = table.filter(pc.is_valid(table[field.name]))
    return table


def _complete(table: pa.Table, findings: list[Finding]) -> pa.ChunkedArray:
    """Tell the answered rows; an answer without its send, or half an answer, is no answer."""
    valid = {column: pc.is_valid(table[column]) for column in OUTCOME}
    whole = valid["code"]
    for column in OUTCOME[:-1]:
        whole = pc.and_(whole, valid[column])
    halves = pc.or_(pc.or_(valid["code"], valid["answered_us"]), valid["app_after_ms"])
    count = pc.sum(pc.and_not(halves, whole)).as_py() or 0
    if count:
        text = f"{rows(count)} of the ledger have half an answer"
        findings.append(invalid("ledger_values", text))
    return whole


def _settled(unanswered: pd.DataFrame, answered: pd.DataFrame) -> "pd.Series[bool]":
    """Tell the requests that were sent, lost, and asked again: by the same user, with the same verb, later."""
    again = answered[answered["kind"].isin(REPEATED_KINDS)]
    if unanswered.empty or again.empty:
        return pd.Series(data=False, index=unanswered.index)
    last = again.groupby(["user", "verb"], observed=True)["answered_us"].max()
    asked = pd.MultiIndex.from_frame(unanswered[["user", "verb"]])
    answered_us = last.reindex(asked).to_numpy(dtype="float64", na_value=np.nan)
    found: pd.Series[bool] = pd.Series(unanswered["sent_us"].to_numpy("float64", na_value=np.nan) < answered_us)
    return found.set_axis(unanswered.index)


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Number the distinct strings, whatever dictionaries the batches came with."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    return column.dictionary_encode().combine_chunks()


def _frame(table: pa.Table, names: Sequence[pa.DictionaryArray]) -> pd.DataFrame:
    numbers = [field.name for field in LEDGER_SCHEMA if pa.types.is_integer(field.type)]
    frame: pd.DataFrame
    frame = table.select([*numbers, *_NAMES]).unify_dictionaries().to_pandas(split_blocks=True)
    for column, encoded in zip(("user", "group", "connection"), names, strict=True):
        frame[column] = encoded.indices.fill_null(_NOTHING).to_numpy(zero_copy_only=False)
    return frame


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())

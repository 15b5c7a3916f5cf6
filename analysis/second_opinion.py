"""The second opinion, in DuckDB SQL: the same counts and sums from the Arrow tables, sharing no code with the first.

Where the two differ, one of them is wrong, and the audit proves nothing.
"""

from dataclasses import asdict, dataclass

import pyarrow as pa
from duckdb import DuckDBPyConnection as Database

from analysis.billing_days import DAY_MS
from analysis.counts import Count
from analysis.prices import Overage

_ANSWERED = """
    SELECT user_id, verb::VARCHAR AS verb, code, (app_before_ms + {offset}) // {day} AS day
    FROM ledger
    WHERE code IS NOT NULL AND sent_us IS NOT NULL AND answered_us IS NOT NULL
      AND app_before_ms IS NOT NULL AND app_after_ms IS NOT NULL
"""

_LEDGER_DAU = """
    SELECT day, count(DISTINCT user_id) FROM ({answered})
    WHERE code = 0 AND verb = 'login' GROUP BY day
"""

_LEDGER_MONTHS = """
    SELECT strftime(DATE '1970-01-01' + day::INTEGER, '%Y-%m') AS month, count(DISTINCT user_id) FROM ({answered})
    WHERE code = 0 AND verb = 'login' GROUP BY month
"""

_LEDGER_CODES = "SELECT day, code, count(*) FROM ({answered}) GROUP BY day, code"

_JOURNAL_DAU = """
    SELECT (time_ms + {offset}) // {day} AS day, count(DISTINCT "user") FROM journal
    WHERE kind = 5 GROUP BY day
"""

_JOURNAL_MONTHS = """
    SELECT strftime(DATE '1970-01-01' + ((time_ms + {offset}) // {day})::INTEGER, '%Y-%m') AS month,
      count(DISTINCT "user")
    FROM journal WHERE kind = 5 GROUP BY month
"""

_JOURNAL_CODES = """
    SELECT (time_ms + {offset}) // {day} AS day, code, count(*) FROM journal
    WHERE kind BETWEEN 5 AND 8 GROUP BY day, code
"""

_CHARGE = """
    SELECT units, (units * $unit_price + 500) // 1000 AS cents
    FROM (SELECT greatest(0, ($quantity::HUGEINT - $free + $per - 1) // $per) AS units)
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """Units and amount of an overage."""

    units: int
    cents: int


def of_ledger(database: Database, table: pa.Table, offset_ms: int) -> Count:
    """Count what the clients saw."""
    database.register("ledger", table)
    answered = _ANSWERED.format(offset=offset_ms, day=DAY_MS)
    dau = database.sql(_LEDGER_DAU.format(answered=answered)).fetchall()
    codes = database.sql(_LEDGER_CODES.format(answered=answered)).fetchall()
    months = database.sql(_LEDGER_MONTHS.format(answered=answered)).fetchall()
    return Count(dict(dau), _codes(codes), dict(months))


def of_journal(database: Database, table: pa.Table, offset_ms: int) -> Count:
    """Count what the server did."""
    database.register("journal", table)
    dau = database.sql(_JOURNAL_DAU.format(offset=offset_ms, day=DAY_MS)).fetchall()
    codes = database.sql(_JOURNAL_CODES.format(offset=offset_ms, day=DAY_MS)).fetchall()
    months = database.sql(_JOURNAL_MONTHS.format(offset=offset_ms, day=DAY_MS)).fetchall()
    return Count(dict(dau), _codes(codes), dict(months))


def charge(database: Database, quantity: int, overage: Overage) -> Charge:
    """Price a quantity a second time."""
    values = {"quantity": quantity, **asdict(overage)}
    (row,) = database.execute(_CHARGE, values).fetchall()
    return Charge(*row)


def _codes(rows: list[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    return {(day, code): count for day, code, count in rows}

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

_LEDGER_CODES = """
    SELECT day, code, count(*) FROM ({answered}) WHERE verb IN ('login', 'resume') GROUP BY day, code
"""

_LEDGER_OTHERS = """
    SELECT day, verb, code, count(*) FROM ({answered}) WHERE verb NOT IN ('login', 'resume') GROUP BY day, verb, code
"""

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
    WHERE kind BETWEEN 5 AND 8 OR kind = 35 AND text = 'im_open_status/wslogin' GROUP BY day, code
"""

_JOURNAL_GROUPS = """
    WITH counted AS (
      SELECT seq, (time_ms + {offset}) // {day} AS day,
        sum(CASE kind WHEN 16 THEN 1 WHEN 18 THEN -1 ELSE 0 END) OVER (ORDER BY seq) AS net
      FROM journal
    )
    SELECT greatest(
      0,
      (SELECT coalesce(arg_max(net, seq), 0) FROM counted WHERE day < $first),
      (SELECT coalesce(max(net), 0) FROM counted WHERE day >= $first AND day < $stop)
    )
"""

_LEDGER_GROUPS = """
    WITH asked AS (
      SELECT group_id, verb::VARCHAR AS verb, sent_us, CASE WHEN is_known THEN code END AS code,
        CASE WHEN is_known THEN answered_us ELSE {never} END AS answered_us,
        (coalesce(app_before_ms, planned_app_ms) + {offset}) // {day} AS day
      FROM (
        SELECT *, code IS NOT NULL AND answered_us IS NOT NULL AND app_before_ms IS NOT NULL
          AND app_after_ms IS NOT NULL AS is_known
        FROM ledger WHERE sent_us IS NOT NULL
      )
    ),
    made AS (
      SELECT row_number() OVER () AS id, count(*) OVER (PARTITION BY group_id) AS lives, *
      FROM asked WHERE verb = 'create_group' AND coalesce(code, 0) = 0
    ),
    gone AS (SELECT * FROM asked WHERE verb = 'destroy_group' AND coalesce(code, 0) = 0),
    spans AS (
      SELECT made.id, any_value(made.sent_us) AS sent_us, any_value(made.answered_us) AS answered_us,
        any_value(made.code) AS code,
        coalesce(min(gone.sent_us) FILTER (gone.answered_us >= made.sent_us), {never}) AS may_end,
        coalesce(
          min(gone.answered_us) FILTER (gone.code = 0 AND (made.lives = 1 OR gone.sent_us > made.answered_us)), {never}
        ) AS must_end
      FROM made LEFT JOIN gone USING (group_id) GROUP BY made.id
    ),
    month AS (
      SELECT min(sent_us) AS since,
        CASE WHEN count(*) = count(code) THEN max(answered_us) ELSE {never} END AS until
      FROM asked WHERE day >= $first AND day < $stop
    ),
    least AS (
      SELECT instant, sum(sum(change)) OVER (ORDER BY instant) AS net FROM (
        SELECT answered_us AS instant, 1 AS change FROM spans WHERE code = 0 AND answered_us < may_end
        UNION ALL SELECT may_end, -1 FROM spans WHERE code = 0 AND answered_us < may_end
      ) GROUP BY instant
    ),
    most AS (
      SELECT instant, sum(sum(change)) OVER (ORDER BY instant) AS net FROM (
        SELECT sent_us AS instant, 1 AS change FROM spans UNION ALL SELECT must_end + 1, -1 FROM spans
      ) GROUP BY instant
    )
    SELECT
      greatest(
        0,
        (SELECT coalesce(arg_max(net, instant), 0) FROM least, month WHERE instant < month.since),
        (SELECT coalesce(max(net), 0) FROM least, month WHERE instant >= month.since AND instant <= month.until)
      ),
      greatest(
        0,
        (SELECT coalesce(arg_max(net, instant), 0) FROM most, month WHERE instant <= month.since),
        (SELECT coalesce(max(net), 0) FROM most, month WHERE instant > month.since AND instant <= month.until)
      )
"""
_NEVER = 10**15
"""Beyond any time of a run, in microseconds."""

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
    others = database.sql(_LEDGER_OTHERS.format(answered=answered)).fetchall()
    return Count(dict(dau), _codes(codes), dict(months), {(day, verb, code): n for day, verb, code, n in others})


def of_journal(database: Database, table: pa.Table, offset_ms: int) -> Count:
    """Count what the server did."""
    database.register("journal", table)
    dau = database.sql(_JOURNAL_DAU.format(offset=offset_ms, day=DAY_MS)).fetchall()
    codes = database.sql(_JOURNAL_CODES.format(offset=offset_ms, day=DAY_MS)).fetchall()
    months = database.sql(_JOURNAL_MONTHS.format(offset=offset_ms, day=DAY_MS)).fetchall()
    return Count(dict(dau), _codes(codes), dict(months))


def journal_groups(database: Database, days: range, offset_ms: int) -> int:
    """Find the peak of groups in some days; after `of_journal`."""
    query = _JOURNAL_GROUPS.format(offset=offset_ms, day=DAY_MS)
    (row,) = database.execute(query, {"first": days.start, "stop": days.stop}).fetchall()
    return int(row[0])


def ledger_groups(database: Database, days: range, offset_ms: int) -> tuple[int, int]:
    """Find the least and the most that the peak of groups can have been; after `of_ledger`."""
    query = _LEDGER_GROUPS.format(offset=offset_ms, day=DAY_MS, never=_NEVER)
    (row,) = database.execute(query, {"first": days.start, "stop": days.stop}).fetchall()
    return int(row[0]), int(row[1])


def charge(database: Database, quantity: int, overage: Overage) -> Charge:
    """Price a quantity a second time."""
    values = {"quantity": quantity, **asdict(overage)}
    (row,) = database.execute(_CHARGE, values).fetchall()
    return Charge(*row)


def _codes(rows: list[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    return {(day, code): count for day, code, count in rows}

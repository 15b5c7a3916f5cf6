"""The second opinion on a big run: DuckDB counts part by part, and a day's users once the day is over.

Parts come in the order of time, so that a day is over when a part begins on a later one. A day that gets rows after it
was counted is counted again from the files, alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import duckdb
import pyarrow as pa

from analysis.billing_days import DAY_MS
from analysis.counts import Count

LEDGER_COLUMNS: Final = ("user_id", "verb", "code", "sent_us", "answered_us", "app_before_ms", "app_after_ms")
JOURNAL_COLUMNS: Final = ("time_ms", "kind", "user", "code")

_OPEN: Final = "SET memory_limit = '1GB'; SET threads = 1; SET preserve_insertion_order = false"
_TABLES: Final = """
    CREATE TEMP TABLE come AS SELECT day, who FROM ({rows}) LIMIT 0;
    CREATE TEMP TABLE monthly AS SELECT '' AS month, who FROM ({rows}) LIMIT 0
"""
_LEDGER: Final = """
    SELECT (app_before_ms + {offset}) // {day} AS day, user_id AS who, code, code = 0 AND verb = 'login' AS counts
    FROM part
    WHERE code IS NOT NULL AND sent_us IS NOT NULL AND answered_us IS NOT NULL
      AND app_before_ms IS NOT NULL AND app_after_ms IS NOT NULL
"""
_JOURNAL: Final = """
    SELECT (time_ms + {offset}) // {day} AS day, "user" AS who, code, kind = 5 AS counts
    FROM part WHERE kind BETWEEN 5 AND 8
"""
_PART: Final = "CREATE OR REPLACE TEMP TABLE counted AS {rows}"
_CODES: Final = "SELECT day, code, count(*) FROM counted GROUP BY day, code"
_COME: Final = "INSERT INTO come SELECT DISTINCT day, who FROM counted WHERE counts"
_DAYS: Final = "SELECT DISTINCT day FROM counted WHERE counts"
_DAU: Final = "SELECT day, count(DISTINCT who) FROM come WHERE day < $stop GROUP BY day"
_MONTHS: Final = """
    SELECT strftime(DATE '1970-01-01' + day::INTEGER, '%Y-%m') AS month, min(day), max(day)
    FROM (SELECT DISTINCT day FROM come WHERE day < $stop) GROUP BY month
"""
_MONTHLY: Final = """
    INSERT INTO monthly
    SELECT DISTINCT $month, who FROM come
    ANTI JOIN (SELECT who FROM monthly WHERE month = $month) AS known USING (who)
    WHERE day BETWEEN $first AND $last
"""
_KEEP: Final = "CREATE OR REPLACE TEMP TABLE come AS SELECT * FROM come WHERE day >= {stop}"
_AGAIN: Final = "INSERT INTO come SELECT DISTINCT day, who FROM counted WHERE counts AND day = $day"
_END: Final = 10**6
"""Beyond any day."""


class SecondOpinion:
    """Counts one witness; `add` all parts, then `count`."""

    def __init__(self, rows: str, offset_ms: int, again: Callable[[], Iterable[pa.Table]]) -> None:
        self._part = _PART.format(rows=rows.format(offset=offset_ms, day=DAY_MS))
        self._tables = _TABLES.format(rows=rows.format(offset=offset_ms, day=DAY_MS))
        self._again = again
        self._database = duckdb.connect()
        self._database.execute(_OPEN)
        self._codes: Counter[tuple[int, int]] = Counter()
        self._dau: dict[int, int] = {}
        self._stale: set[int] = set()
        self._has_tables = False

    def add(self, part: pa.Table) -> None:
        """Count some rows."""
        self._take(part)
        for day, code, rows in self._fetch(_CODES):
            self._codes[day, code] += rows
        self._database.execute(_COME)
        days = {day for (day,) in self._fetch(_DAYS)}
        self._stale |= self._dau.keys() & days
        if days:
            self._count_days(min(days))

    def count(self) -> Count:
        """Return what was counted."""
        if not self._has_tables:
            return Count({})
        self._count_days(_END)
        for day in sorted(self._stale):
            self._dau[day] = self._day_again(day)
        months = dict(self._fetch("SELECT month, count(*) FROM monthly GROUP BY month"))
        self._database.close()
        return Count(self._dau, dict(self._codes), months)

    def _take(self, part: pa.Table) -> None:
        self._database.register("part", part)
        if not self._has_tables:
            self._database.execute(self._tables)
            self._has_tables = True
        self._database.execute(self._part)

    def _count_days(self, stop: int) -> None:
        """Count the users of the days before one, and let them go."""
        found = dict(self._fetch(_DAU, {"stop": stop}))
        if not found:
            return
        self._dau |= found
        for month, first, last in self._fetch(_MONTHS, {"stop": stop}):
            self._database.execute(_MONTHLY, {"month": month, "first": first, "last": last})
        self._database.execute(_KEEP.format(stop=stop))

    def _day_again(self, day: int) -> int:
        self._database.execute(_KEEP.format(stop=_END))
        for part in self._again():
            self._take(part)
            self._database.execute(_AGAIN, {"day": day})
        ((users,),) = self._fetch("SELECT count(DISTINCT who) FROM come")
        return int(users)

    def _fetch(self, query: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        return list(self._database.execute(query, values or {}).fetchall())


def of_ledger(offset_ms: int, again: Callable[[], Iterable[pa.Table]]) -> SecondOpinion:
    """Count what the clients saw."""
    return SecondOpinion(_LEDGER, offset_ms, again)


def of_journal(offset_ms: int, again: Callable[[], Iterable[pa.Table]]) -> SecondOpinion:
    """Count what the server did."""
    return SecondOpinion(_JOURNAL, offset_ms, again)

"""Names and columns of a run's files: what the harness writes and the analysis reads.

The meaning of each column stands in `docs/run-files.md`. This module knows pyarrow and nothing else,
so that the harness can import it without pulling pandas into a Locust worker.
"""

from typing import Final

import pyarrow as pa

FORMAT: Final = 1

PLAN: Final = "plan.json"
MANIFEST: Final = "manifest.json"
STATEMENT: Final = "statement.json"
ACCESS: Final = "access.json"
LEDGER_FOLDER: Final = "ledger"
JOURNAL_FOLDER: Final = "journal"
VERDICT: Final = "verdict.json"
SUMMARY: Final = "summary.md"
JUNIT: Final = "junit.xml"
REPORT: Final = "report.html"
FOCUS: Final = "focus.csv"

PARTIAL_SUFFIX: Final = ".partial"
LATEST: Final = "latest"

_NAME: Final = pa.dictionary(pa.int32(), pa.string())

LEDGER_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("group_id", pa.string()),
        pa.field("verb", _NAME, nullable=False),
        pa.field("kind", _NAME, nullable=False),
        pa.field("platform", _NAME, nullable=False),
        pa.field("country", _NAME, nullable=False),
        pa.field("access_point", _NAME, nullable=False),
        pa.field("connection", _NAME, nullable=False),
        pa.field("request_seq", pa.int64(), nullable=False),
        pa.field("planned_app_ms", pa.int64(), nullable=False),
        pa.field("planned_us", pa.int64(), nullable=False),
        pa.field("sent_us", pa.int64()),
        pa.field("answered_us", pa.int64()),
        pa.field("app_before_ms", pa.int64()),
        pa.field("app_after_ms", pa.int64()),
        pa.field("code", pa.int32()),
        pa.field("city", _NAME, nullable=False),
        pa.field("routing_version", pa.int32()),
    ]
)

JOURNAL_SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("time_ms", pa.int64(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("user", pa.int64(), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("instance", pa.int64(), nullable=False),
        pa.field("platform", pa.int16(), nullable=False),
        pa.field("connection", pa.int64(), nullable=False),
        pa.field("request_seq", pa.int64(), nullable=False),
        pa.field("counted_day", pa.int32(), nullable=False),
        pa.field("code", pa.int32(), nullable=False),
        pa.field("text", pa.string()),
    ]
)

JOURNAL_KINDS: Final = (
    "",
    "app_opened",
    "clock_moved",
    "connected",
    "disconnected",
    "logged_in",
    "login_refused",
    "resumed",
    "resume_refused",
    "logged_out",
    "imported",
    "import_refused",
    "month_closed",
    "charged",
    "deleted",
    "delete_refused",
    "group_created",
    "create_refused",
    "group_destroyed",
    "destroy_refused",
    "joined",
    "join_refused",
    "left",
    "group_changed",
    "plan_changed",
    "trial_opened",
    "trial_refused",
    "call_started",
    "call_refused",
    "call_ended",
    "kicked",
    "call_changed",
    "access_changed",
    "routing_changed",
    "faults_changed",
    "fault_met",
    "unanswered",
)
"""A journal row's `kind` is an index into this tuple."""

CHAIN_BYTES: Final = 32
"""Length of the hash at the end of each journal message's metadata block."""

"""What the values of ledger and journal may be, checked once on load with pandera.

Bounds are wide: they keep out what would break the arithmetic (a time in the year 60,000), not what is merely wrong.
"""

from typing import Any, Final

import pandas as pd
import pandera.pandas as pandera

from analysis.findings import Finding, invalid, listed, rows
from analysis.run_files import JOURNAL_KINDS

TIME_MS_MAX: Final = 4_102_444_800_000
"""2100-01-01."""
REQUEST_SEQ_BITS: Final = 32
"""A frame's `seq` fits in these, so that a request's id fits in 64 bits beside its connection."""
NUMBER_MAX: Final = 2**27
"""Of users and of connections: tables by number take 8 bytes each."""
VERBS: Final = (
    "login", "resume", "import", "delete", "create_group", "destroy_group", "join_group", "quit_group",
    "open_call_trial", "start_call", "end_call",
)  # fmt: skip
DAY_MAX: Final = 47_482
"""2100-01-01 as a billing day."""


def _number(least: int, most: int, kind: str = "int64") -> pandera.Column:
    return pandera.Column(kind, pandera.Check.in_range(least, most))


DURATION_US_MAX: Final = 10**14

LEDGER: Final = pandera.DataFrameSchema(
    {
        "row": _number(0, 2**62),
        "request_seq": _number(0, 2**REQUEST_SEQ_BITS - 1),
        "planned_app_ms": _number(0, TIME_MS_MAX),
        "planned_us": _number(-DURATION_US_MAX, DURATION_US_MAX),
        "sent_us": _number(-DURATION_US_MAX, DURATION_US_MAX),
        "answered_us": _number(-DURATION_US_MAX, DURATION_US_MAX),
        "app_before_ms": _number(0, TIME_MS_MAX),
        "app_after_ms": _number(0, TIME_MS_MAX),
        "code": pandera.Column("int32"),
    },
    checks=[
        pandera.Check(lambda frame: frame["answered_us"] >= frame["sent_us"], name="answered_after_sent"),
        pandera.Check(lambda frame: frame["app_after_ms"] >= frame["app_before_ms"], name="app_clock_forward"),
        pandera.Check(lambda frame: frame["verb"].cat.categories.isin(VERBS).all(), name="verb_known"),
    ],
)
"""The answered rows."""

JOURNAL: Final = pandera.DataFrameSchema(
    {
        "seq": _number(1, 2**62),
        "time_ms": _number(0, TIME_MS_MAX),
        "kind": _number(1, len(JOURNAL_KINDS) - 1, "int8"),
        "user": _number(0, NUMBER_MAX),
        "connection": _number(0, NUMBER_MAX),
        "request_seq": _number(0, 2**REQUEST_SEQ_BITS - 1),
        "counted_day": _number(-1, DAY_MAX, "int32"),
        "code": pandera.Column("int32"),
    }
)


def violations(
    frame: pd.DataFrame, schema: pandera.DataFrameSchema, name: str
) -> "tuple[pd.Index[Any], list[Finding]]":
    """Return the rows that break the schema, and a finding for each rule that is broken."""
    try:
        schema.validate(frame, lazy=True, inplace=True)
    except pandera.errors.SchemaErrors as broken:
        cases = broken.failure_cases
        texts = [
            f"{column or name}: {check} fails in {rows(len(group))}"
            for (column, check), group in cases.groupby(["column", "check"], dropna=False)
        ]
        index = pd.Index(cases["index"].dropna().astype("int64").unique())
        return index, [invalid(f"{name}_values", f"{name}: {listed(texts)}")]
    return frame.index[:0], []

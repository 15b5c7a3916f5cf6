"""Ways to spoil a finished run so that only the arithmetic can notice; the audit must notice each of them.

Counts, sums and hashes are mended by `forging`. What is left out changes nothing that is counted or billed: device,
country, response times within their order, texts for people.
"""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from analysis import run_files
from proofs.forging import Forgery, changed, renumbered, with_column, without_row

DAY_MS: Final = 86_400_000
OFFSET_MS: Final = 28_800_000
UNIT_CENTS: Final = 14_999
LOGGED_IN: Final = run_files.JOURNAL_KINDS.index("logged_in")
LOGIN_REFUSED: Final = run_files.JOURNAL_KINDS.index("login_refused")

type_mutation = Callable[[Forgery, Random], None]
type_rows = NDArray[np.int64]

# --- the ledger ---------------------------------------------------------------------------------------


def ledger_row_dropped(files: Forgery, chance: Random) -> None:
    files.ledger = without_row(files.ledger, chance.randrange(files.ledger.num_rows))


def ledger_row_repeated(files: Forgery, chance: Random) -> None:
    files.ledger = pa.concat_tables([files.ledger, files.ledger.slice(chance.randrange(files.ledger.num_rows), 1)])


def other_user_in_the_ledger(files: Forgery, chance: Random) -> None:
    users = files.ledger["user_id"].to_pylist()
    row = chance.randrange(len(users))
    _set(files, "user_id", row, chance.choice([user for user in users if user != users[row]]))


def refusal_seen_as_success(files: Forgery, chance: Random) -> None:
    _set(files, "code", _one(chance, files.ledger["code"].to_numpy() != 0), 0)


def success_seen_as_refusal(files: Forgery, chance: Random) -> None:
    _set(files, "code", _one(chance, files.ledger["code"].to_numpy() == 0), 70001)


def answer_lost(files: Forgery, chance: Random) -> None:
    row = chance.randrange(files.ledger.num_rows)
    for column in ("code", "answered_us", "app_after_ms"):
        _set(files, column, row, None)


def request_never_sent(files: Forgery, chance: Random) -> None:
    row = chance.randrange(files.ledger.num_rows)
    for column in ("sent_us", "code", "answered_us", "app_before_ms", "app_after_ms"):
        _set(files, column, row, None)


def moved_in_the_ledger(files: Forgery, chance: Random, *, column: str, by: int) -> None:
    row = chance.randrange(files.ledger.num_rows)
    _set(files, column, row, files.ledger[column][row].as_py() + by)


def seen_on_another_day(files: Forgery, chance: Random) -> None:
    row = chance.randrange(files.ledger.num_rows)
    for column in ("planned_app_ms", "app_before_ms", "app_after_ms"):
        _set(files, column, row, files.ledger[column][row].as_py() + DAY_MS)


# --- the journal --------------------------------------------------------------------------------------


def journal_row_dropped(files: Forgery, chance: Random) -> None:
    again = (files.journal["kind"].to_numpy() == LOGGED_IN) & (files.journal["counted_day"].to_numpy() < 0)
    files.journal = renumbered(without_row(files.journal, _one(chance, again)))
    files.bill()


def journal_row_repeated(files: Forgery, chance: Random) -> None:
    row = _login(files, chance)
    parts = files.journal.slice(0, row + 1), files.journal.slice(row)
    files.journal = renumbered(pa.concat_tables(parts))
    files.bill()


def journal_rows_swapped(files: Forgery, chance: Random) -> None:
    """A login before one that was answered before it was sent; both keep their request and their effect."""
    logins = np.flatnonzero(files.journal["kind"].to_numpy() == LOGGED_IN)
    early = chance.randrange(len(logins) // 4)
    late = chance.randrange(3 * len(logins) // 4, len(logins))
    order = np.arange(files.journal.num_rows)
    order[[logins[early], logins[late]]] = order[[logins[late], logins[early]]]
    files.journal = renumbered(files.journal.take(pa.array(order)))
    files.bill()


def other_user_in_the_journal(files: Forgery, chance: Random) -> None:
    users = files.journal["user"].to_numpy()
    row = _login(files, chance)
    _note(
        files, "user", row, chance.choice([user for user in np.unique(users).tolist() if user not in (0, users[row])])
    )


def registered_under_another_name(files: Forgery, chance: Random) -> None:
    named = np.array([name is not None for name in files.journal["user_id"].to_pylist()])
    _note(files, "user_id", _one(chance, named & (files.journal["kind"].to_numpy() == LOGGED_IN)), "somebody_else")


def registration_forgotten(files: Forgery, chance: Random) -> None:
    named = np.array([name is not None for name in files.journal["user_id"].to_pylist()])
    _note(files, "user_id", _one(chance, named & (files.journal["kind"].to_numpy() == LOGGED_IN)), None)


def refusal_kept_as_login(files: Forgery, chance: Random) -> None:
    refused = files.journal["kind"].to_numpy() == LOGIN_REFUSED
    _note(files, "kind", _one(chance, refused), LOGGED_IN)


def login_kept_as_refusal(files: Forgery, chance: Random) -> None:
    _note(files, "kind", _login(files, chance), LOGIN_REFUSED)


def moved_in_the_journal(files: Forgery, chance: Random, *, column: str, by: int) -> None:
    row = _login(files, chance)
    _note(files, column, row, files.journal[column][row].as_py() + by)


def login_not_counted(files: Forgery, chance: Random) -> None:
    _note(files, "counted_day", _one(chance, files.journal["counted_day"].to_numpy() >= 0), -1)


def login_counted_on_the_next_day(files: Forgery, chance: Random) -> None:
    row = _one(chance, files.journal["counted_day"].to_numpy() >= 0)
    _note(files, "counted_day", row, files.journal["counted_day"][row].as_py() + 1)


def last_second_counted_on_the_next_day(files: Forgery, chance: Random) -> None:
    counted = files.journal["counted_day"].to_numpy()
    second = (files.journal["time_ms"].to_numpy() + OFFSET_MS) % DAY_MS // 1_000
    row = _one(chance, (counted >= 0) & (second == DAY_MS // 1_000 - 1))
    _note(files, "counted_day", row, int(counted[row]) + 1)


def days_in_utc(files: Forgery, _chance: Random) -> None:
    _count(files, files.journal["time_ms"].to_numpy() // DAY_MS)


def every_login_counted(files: Forgery, _chance: Random) -> None:
    is_login = files.journal["kind"].to_numpy() == LOGGED_IN
    days = (files.journal["time_ms"].to_numpy() + OFFSET_MS) // DAY_MS
    files.journal = with_column(files.journal, "counted_day", np.where(is_login, days, -1))
    files.bill()


# --- the documents ------------------------------------------------------------------------------------


def one_unit_more_charged(files: Forgery, _chance: Random) -> None:
    for line in files.statement["lines"]:
        if line["item"] == "dau":
            line["units"] += 1
            line["amount_cents"] += UNIT_CENTS
    files.statement["total_cents"] = sum(line["amount_cents"] for line in files.statement["lines"])


def other_value(files: Forgery, chance: Random, *, document: str, key: str) -> None:
    """One value of a document, itself or one inside of it, is another."""
    whole = getattr(files, document)
    holder, last = chance.choice(list(_leaves(whole, key)))
    holder[last] = _other(holder[last])


def _leaves(holder: Any, key: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 -- JSON
    """Where the values stand that are no object and no list."""
    value = holder[key]
    if not isinstance(value, dict | list) or not value:
        yield holder, key
        return
    for name in value if isinstance(value, dict) else range(len(value)):
        yield from _leaves(value, name)


def _other(value: Any) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value[:-1]}{'8' if value.endswith('9') else '9'}"
    return 1


STATED: Final = (
    "sdkappid", "plan", "month", "currency", "price_book", "daily_dau", "peak_dau", "peak_day", "monthly_users",
    "peak_groups", "lines", "total_cents", "charged_on", "closed_at_ms", "charged_at_ms",
)  # fmt: skip
PLANNED: Final = ("app", "readings", "month", "arrivals", "days")

MUTATIONS: Final[dict[str, type_mutation]] = {
    function.__name__.replace("_", " "): function
    for function in (
        ledger_row_dropped, ledger_row_repeated, other_user_in_the_ledger, refusal_seen_as_success,
        success_seen_as_refusal, answer_lost, request_never_sent, seen_on_another_day, journal_row_dropped,
        journal_row_repeated, journal_rows_swapped, other_user_in_the_journal, registered_under_another_name,
        registration_forgotten, refusal_kept_as_login, login_kept_as_refusal, login_not_counted,
        login_counted_on_the_next_day, last_second_counted_on_the_next_day, days_in_utc, every_login_counted,
        one_unit_more_charged,
    )
} | {
    f"{column} moved by {by:,} in the ledger": partial(moved_in_the_ledger, column=column, by=by)
    for column, by in (
        ("row", 1), ("request_seq", 1_000_000), ("app_before_ms", DAY_MS), ("app_after_ms", -DAY_MS),
        ("planned_app_ms", -DAY_MS),
    )
} | {
    f"{column} moved by {by:,} in the journal": partial(moved_in_the_journal, column=column, by=by)
    for column, by in (
        ("time_ms", DAY_MS), ("connection", 1_000), ("request_seq", 1_000_000), ("code", 72_000), ("seq", 1),
    )
} | {
    f"{key} in the {document}": partial(other_value, document=document, key=key)
    for document, keys in (("statement", STATED), ("plan", PLANNED))
    for key in keys
}  # fmt: skip
"""By name; the same chance spoils the same place."""


def _one(chance: Random, chosen: NDArray[np.bool_]) -> int:
    return int(chance.choice(np.flatnonzero(chosen).tolist()))


def _login(files: Forgery, chance: Random) -> int:
    return _one(chance, files.journal["kind"].to_numpy() == LOGGED_IN)


def _set(files: Forgery, column: str, row: int, value: object) -> None:
    files.ledger = changed(files.ledger, column, row, value)


def _note(files: Forgery, column: str, row: int, value: object) -> None:
    files.journal = changed(files.journal, column, row, value)
    files.bill()


def _count(files: Forgery, days: type_rows) -> None:
    """Count each login for its day of `days`, no user twice."""
    table = files.journal
    logins = pd.DataFrame({"user": table["user"].to_numpy(), "day": days})[table["kind"].to_numpy() == LOGGED_IN]
    first = logins.drop_duplicates()
    counted = np.full(table.num_rows, -1)
    counted[first.index] = first["day"]
    files.journal = with_column(table, "counted_day", counted)
    files.bill()

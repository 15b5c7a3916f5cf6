"""The reference count, in pandas: distinct users a day and a month from the ledger and, separately, from the journal.

The rule (purchase FAQ, 1047/34421): a user counts on a day on which a login of theirs succeeded, once. Refusals,
resumed sessions and REST calls do not count.
"""

from typing import Final

import pandas as pd

from analysis.billing_days import day_of, iso
from analysis.counts import Count
from analysis.journals import Journal

SESSION_VERBS: Final = ("login", "resume")


def of_ledger(answered: pd.DataFrame, offset_ms: int, *, resumes_count: bool = False) -> Count:
    """Count what the clients saw, on the day that the app's clock had reached before each send."""
    day = day_of(answered["app_before_ms"], offset_ms)
    admitted = answered["code"] == 0
    if not resumes_count:
        admitted &= answered["verb"] == "login"
    days, users = day[admitted], answered.loc[admitted, "user"]
    sessions = answered["verb"].isin(SESSION_VERBS)
    if sessions.all():
        codes, others = _sizes(day, answered["code"]), {}
    else:
        rest = answered[~sessions]
        codes = _sizes(day[sessions], answered.loc[sessions, "code"])
        others = _sizes_by_verb(day[~sessions], rest["verb"], rest["code"])
    return Count(distinct(days, users), codes, monthly(days, users), others)


def of_journal(journal: Journal, offset_ms: int) -> Count:
    """Count what the server did, on the day of each row's time; what the server counted is not looked at."""
    logins, requests = journal.logins, journal.sessions
    days = day_of(logins["time_ms"], offset_ms)
    return Count(
        distinct(days, logins["user"]),
        _sizes(day_of(requests["time_ms"], offset_ms), requests["code"]),
        monthly(days, logins["user"]),
    )


def distinct(day: "pd.Series[int]", user: "pd.Series[int]") -> dict[int, int]:
    """Count the distinct users of each day."""
    days = day[~_keys(day, user).duplicated()].value_counts().sort_index()
    return dict(zip(days.index.tolist(), days.tolist(), strict=True))


def monthly(day: "pd.Series[int]", user: "pd.Series[int]") -> dict[str, int]:
    """Count the distinct users of each month."""
    names = sorted({iso(number)[:7] for number in day.unique()})
    month = day.map({number: names.index(iso(number)[:7]) for number in day.unique()}).astype("int64")
    return {names[number]: count for number, count in distinct(month, user).items()}


def counted_days(logins: pd.DataFrame, offset_ms: int) -> pd.Series:
    """Tell the day to which each login in order should have added its user; -1 when it adds nobody."""
    day = day_of(logins["time_ms"], offset_ms)
    again = _keys(day, logins["user"]).duplicated()
    return day.mask(again, -1)


def _keys(day: "pd.Series[int]", user: "pd.Series[int]") -> "pd.Series[int]":
    """Put day and user into one integer: hashing pairs takes four times as long."""
    return day * 2**32 + user


def _sizes(day: pd.Series, code: pd.Series) -> dict[tuple[int, int], int]:
    sizes = pd.DataFrame({"day": day, "code": code}).value_counts().sort_index()
    return dict(zip(sizes.index.tolist(), sizes.tolist(), strict=True))


def _sizes_by_verb(day: pd.Series, verb: pd.Series, code: pd.Series) -> dict[tuple[int, str, int], int]:
    columns = {"day": day, "verb": verb.astype(str), "code": code}
    sizes = pd.DataFrame(columns).value_counts().sort_index()
    return dict(zip(sizes.index.tolist(), sizes.tolist(), strict=True))

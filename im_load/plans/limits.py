"""The vendor's quotas as a plan expects them: written from the sources, not taken from the server under load.

Purchase FAQ (1047/34421) and the plan comparison of 2020 to 2022 (1047/34349); the codes stand in the error list
(1047/34348). None: no limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ACCOUNT_LIMIT: Final = 70398
DAU_LIMIT: Final = 72000
LIVE_GROUP_LIMIT: Final = 10036
USER_GROUP_LIMIT: Final = 10037
DAILY_GROUP_LIMIT: Final = 10006
GROUP_UNKNOWN: Final = 10010
ACCOUNT_UNKNOWN: Final = 70107
CALLS_NOT_OPENED: Final = -1001
CALLS_OVER: Final = -1002
"""The call trial has expired, or no further one may be opened; which code an expired trial gets is a reading."""

CALL_TRIAL_DAYS: Final = 60
CALL_TRIALS: Final = 2
"""Per SDKAppID; a reading."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The quotas of one plan of an app."""

    accounts: int | None
    dau: int | None
    live_groups: int | None
    groups_per_user: int
    """Live groups do not count here: a reading."""
    net_new_groups_per_day: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A cap at which a plan races, as `plan.json` names it."""

    name: str
    limit: int
    refusal: int


LIMITS: Final[Mapping[str, Limits]] = {
    "trial": Limits(100, 100, 10, 50, 100),
    "pro": Limits(None, None, 50, 500, 10_000),
    "ultimate": Limits(None, None, None, 1_000, 10_000),
}

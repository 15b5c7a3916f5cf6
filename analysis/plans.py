"""What each plan admits at most, read from `plans.toml`: the audit's own numbers, each with its source."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from analysis.prices import Source

_FILE: Final = Path(__file__).with_name("plans.toml")
_TABLES: Final = ("admins", "call_trial", "community_members_per_group", "source")


@dataclass(frozen=True, slots=True)
class CallTrial:
    """For how long calls may be tried, and how often."""

    days: int
    trials: int


@dataclass(frozen=True, slots=True)
class Plans:
    """The limits by plan and quota; a quota that a plan does not name has no limit under it."""

    limits: Mapping[str, Mapping[str, int]]
    admins: tuple[str, ...]
    """UserIDs that take none of the trial's places."""
    community_members_per_group: int
    sources: tuple[Source, ...]
    call_trial: CallTrial

    def limit(self, plan: str, quota: str) -> int | None:
        """Return the most that a plan admits; None for no limit, also of a plan that is not known here.

        >>> [plans().limit(plan, "live_groups") for plan in ("trial", "pro", "ultimate")]
        [10, 50, None]
        """
        return self.limits.get(plan, {}).get(quota)


@cache
def plans() -> Plans:
    """Return what `plans.toml` holds."""
    data: dict[str, Any] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return Plans(
        limits={name: table for name, table in data.items() if name not in _TABLES},
        admins=tuple(data["admins"]),
        community_members_per_group=data["community_members_per_group"],
        sources=tuple(Source(**source) for source in data["source"]),
        call_trial=CallTrial(**data["call_trial"]),
    )

"""What a witness counts, in the one form in which witnesses are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Count:
    """Distinct users by billing day and by month, and requests by (billing day, code); only what is not zero."""

    dau: Mapping[int, int]
    codes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    monthly_users: Mapping[str, int] = field(default_factory=dict)
    """By month like "2026-10"; who comes on several days counts once."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest DAU of a month and the first day that had it; no day when nobody logged in."""

    dau: int
    day: int | None


def peak(dau: Mapping[int, int], days: range) -> Peak:
    """Find the peak among the days of a month.

    >>> peak({2: 5, 3: 7, 4: 7, 40: 9}, range(1, 32))
    Peak(dau=7, day=3)
    """
    day = min(days, key=lambda day: (-dau.get(day, 0), day))
    most = dau.get(day, 0)
    return Peak(most, day if most else None)

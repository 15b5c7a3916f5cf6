"""What a witness counts, in the one form in which witnesses are compared."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Count:
    """Distinct users by billing day and by month, and answers; only what is not zero."""

    dau: Mapping[int, int]
    codes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Answers to logins and resumes, by (billing day, code)."""
    monthly_users: Mapping[str, int] = field(default_factory=dict)
    """By month like "2026-10"; who comes on several days counts once."""
    others: Mapping[tuple[int, str, int], int] = field(default_factory=dict)
    """Answers to all other requests, by (billing day, verb, code); of the ledger alone, for its rows are matched."""

    @property
    def answers(self) -> dict[tuple[int, int], int]:
        """Answers to all requests, by (billing day, code)."""
        total = Counter(self.codes)
        for (day, _, code), count in self.others.items():
            total[day, code] += count
        return dict(total)

    def admitted(self, day: int, verb: str) -> int:
        """How many requests of a verb, other than logins and resumes, succeeded on a day."""
        return self.others.get((day, verb, 0), 0)


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

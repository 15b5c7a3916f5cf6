"""What the vendor's `getappinfo` tells of each day, under its field names.

Figures of users and groups come back from the journal after a restart; messages are not journaled and begin anew.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from mock_im_server.pieces import emptied

DAYS_KEPT: Final = 31


class Statistics:
    """Counters by billing day."""

    def __init__(self) -> None:
        self._days: dict[int, Counter[str]] = {}
        self._seen: dict[tuple[int, str], set[str]] = {}

    def count(self, day: int, field: str, amount: int = 1) -> None:
        self._counters(day)[field] += amount

    def reach(self, day: int, field: str, amount: int) -> None:
        """A field that keeps the day's highest figure."""
        counters = self._counters(day)
        counters[field] = max(counters[field], amount)

    def see(self, day: int, field: str, who: str) -> None:
        """A field that counts the different users or groups of a day."""
        if (day, field) not in self._seen:
            self._seen = {known: found for known, found in self._seen.items() if known[0] >= day}
        seen = self._seen.setdefault((day, field), set())
        seen.add(who)
        self._counters(day)[field] = len(seen)

    def of_day(self, day: int) -> Counter[str]:
        return self._days.get(day, Counter())

    def restore(self, found: Mapping[tuple[int, str], int]) -> None:
        for (day, field), amount in sorted(found.items()):
            self._counters(day)[field] = amount

    async def release(self) -> None:
        await emptied(self._seen)

    def _counters(self, day: int) -> Counter[str]:
        counters = self._days.get(day)
        if counters is None:
            counters = self._days[day] = Counter()
            for old in [known for known in self._days if known <= day - DAYS_KEPT]:
                del self._days[old]
        return counters

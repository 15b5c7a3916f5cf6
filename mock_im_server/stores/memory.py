"""Counts in this process: a dictionary of UserIDs and Roaring bitmaps of their numbers.

A UserID gets a dense number once, never reused. A set of a million users is then a bitmap of 125 kB or less, and its
exact size is known; approximate counters would bill the wrong unit.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import count

from pyroaring import BitMap

from mock_im_server.domain.actions import STALE_EPOCH, Action, Claim, Effects, Outcome
from mock_im_server.pieces import emptied
from mock_im_server.stores.base import Snapshot

_NOBODY = BitMap()


class MemoryStore:
    """The store of one app in one process: nothing awaits in between, so every action is atomic."""

    def __init__(self) -> None:
        self._seq = 0
        self._epoch = 0
        self._numbers: dict[str, int] = {}
        self._members: list[str] = []
        """The member that has number i + 1."""
        self._sets: dict[str, BitMap] = {}
        self._counters: Counter[str] = Counter()

    async def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        return [self._applied(action) for action in actions]

    async def next_epoch(self) -> int:
        self._epoch += 1
        return self._epoch

    async def sizes(self, names: Sequence[str]) -> list[int]:
        return [len(self._sets.get(name, _NOBODY)) for name in names]

    async def distinct(self, names: Sequence[str]) -> int:
        return len(BitMap.union(_NOBODY, *(self._sets.get(name, _NOBODY) for name in names)))

    async def counters(self, names: Sequence[str]) -> list[int]:
        return [self._counters[name] for name in names]

    async def members(self, name: str) -> list[str]:
        return [self._members[number - 1] for number in self._sets.get(name, _NOBODY)]

    async def holds(self, name: str, members: Sequence[str]) -> list[bool]:
        found = self._sets.get(name, _NOBODY)
        return [self._numbers.get(member, 0) in found for member in members]

    async def numbers(self, members: Sequence[str]) -> list[int]:
        return [self._numbers.get(member, 0) for member in members]

    async def names(self, numbers: Sequence[int]) -> list[str]:
        return [self._members[number - 1] if 0 < number <= len(self._members) else "" for number in numbers]

    async def release(self) -> None:
        held = self._numbers, self._members, self._sets, self._counters
        # A request that was under way when its app was reset finds an empty store, and not half of one.
        self._numbers, self._members, self._sets, self._counters = {}, [], {}, Counter()
        await emptied(*held)

    async def restore(self, snapshot: Snapshot) -> None:
        self._seq, self._epoch = snapshot.last_seq, snapshot.epoch
        self._members += snapshot.members
        self._numbers.update(zip(self._members, count(1), strict=False))
        self._counters.update(snapshot.counters)
        for name, numbers in snapshot.sets.items():
            if len(numbers):
                self._sets[name] = BitMap(numbers)

    def _applied(self, action: Action) -> Outcome:
        epoch, claims, effects = action
        if epoch != self._epoch:
            return Outcome(0, STALE_EPOCH, 0, 0)
        self._seq += 1
        code, added = self._refusal(claims, effects)
        if code:
            return Outcome(self._seq, code, self._numbers.get(_first_member(action), 0), 0)
        # After this point the action succeeds: nothing has been written before it.
        numbers = self._numbers
        for index, (quota, member) in enumerate(claims):
            known = numbers.get(member)
            if known is None:
                self._members.append(member)
                known = numbers[member] = len(self._members)
            if added >> index & 1:
                self._add(quota.name, known)
        drawn = () if effects is None else self._carry_out(effects)
        return Outcome(self._seq, 0, numbers.get(_first_member(action), 0), added, drawn)

    def _refusal(self, claims: tuple[Claim, ...], effects: Effects | None) -> tuple[int, int]:
        """The first condition's code that does not hold, or 0 and a bit for each claim that takes a place."""
        if effects is not None and (code := self._unmet(effects)):
            return code, 0
        numbers, sets = self._numbers, self._sets
        added = 0
        bit = 1
        for quota, member in claims:
            members = sets.get(quota.name, _NOBODY)
            if numbers.get(member, 0) not in members:
                if quota.limit is not None and len(members) >= quota.limit:
                    return quota.refusal, 0
                added |= bit
            bit <<= 1
        return 0 if effects is None else self._overdrawn(effects), added

    def _unmet(self, effects: Effects) -> int:
        """The refusal of the first need that does not hold, or 0."""
        for name, member, refusal, is_in in effects.needs:
            if (self._numbers.get(member, 0) in self._sets.get(name, _NOBODY)) is not is_in:
                return refusal
        return 0

    def _overdrawn(self, effects: Effects) -> int:
        for counter, amount, limit, refusal in effects.draws:
            if amount > 0 and limit is not None and self._counters[counter] + amount > limit:
                return refusal
        return 0

    def _carry_out(self, effects: Effects) -> tuple[int, ...]:
        for name, member in effects.leaves:
            self._discard(name, self._numbers.get(member, 0))
        for name, inverse, member in effects.clears:
            number = self._numbers.get(member, 0)
            for other in self._sets.pop(name, _NOBODY):
                self._discard(inverse + self._members[other - 1], number)
        for counter, amount, _, _ in effects.draws:
            self._counters[counter] += amount
        for counter, name in effects.peaks:
            self._counters[counter] = max(self._counters[counter], len(self._sets.get(name, _NOBODY)))
        return tuple(self._counters[draw.counter] for draw in effects.draws)

    def _add(self, name: str, number: int) -> None:
        members = self._sets.get(name)
        if members is None:
            members = self._sets[name] = BitMap()
        members.add(number)

    def _discard(self, name: str, number: int) -> None:
        members = self._sets.get(name)
        if members is not None:
            members.discard(number)
            if not members:
                # A user's or a group's set must not outlive it: there may be millions.
                del self._sets[name]


def _first_member(action: Action) -> str:
    """Whom an outcome's number is of."""
    _, claims, effects = action
    if claims:
        return claims[0].member
    return effects.leaves[0].member if effects and effects.leaves else ""

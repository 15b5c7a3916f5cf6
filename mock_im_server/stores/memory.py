"""Counts in this process: a dictionary of UserIDs and Roaring bitmaps of their numbers.

A UserID gets a dense number once, never reused. A set of a million users is then a bitmap of 125 kB or less, and its
exact size is known; approximate counters would bill the wrong unit.
"""

from collections import defaultdict
from collections.abc import Sequence

from pyroaring import BitMap

from mock_im_server.domain.actions import STALE_EPOCH, Action, Outcome
from mock_im_server.stores.base import Snapshot


class MemoryStore:
    """The store of one app in one process: nothing awaits in between, so every action is atomic."""

    def __init__(self) -> None:
        self._seq = 0
        self._epoch = 0
        self._numbers: dict[str, int] = {}
        self._sets: defaultdict[str, BitMap] = defaultdict(BitMap)

    async def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        return [self._applied(action) for action in actions]

    async def move_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    async def sizes(self, names: Sequence[str]) -> list[int]:
        return [len(self._sets[name]) if name in self._sets else 0 for name in names]

    async def restore(self, snapshot: Snapshot) -> None:
        self._seq = snapshot.last_seq
        self._numbers.update(snapshot.numbers)
        for name, numbers in snapshot.sets.items():
            self._sets[name].update(numbers)

    def _applied(self, action: Action) -> Outcome:
        epoch, claims = action
        if epoch != self._epoch:
            return Outcome(0, STALE_EPOCH, 0, 0)
        self._seq += 1
        numbers = self._numbers
        added = 0
        bit = 1
        for quota, member in claims:
            members = self._sets[quota.name]
            if numbers.get(member, 0) not in members:
                if quota.limit is not None and len(members) >= quota.limit:
                    return Outcome(self._seq, quota.refusal, numbers.get(claims[0][1], 0), 0)
                added |= bit
            bit <<= 1
        # After this point the action succeeds: nothing has been written before it.
        number = 0
        for index, (quota, member) in enumerate(claims):
            known = numbers.get(member)
            if known is None:
                known = numbers[member] = len(numbers) + 1
            if added >> index & 1:
                self._sets[quota.name].add(known)
            if not index:
                number = known
        return Outcome(self._seq, 0, number, added)

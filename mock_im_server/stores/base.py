"""The store contract: batches of actions in, outcomes out.

A store keeps the counts of one app. It applies each action whole or not at all, all of them in one order, and numbers
that order without a gap, refusals included. The journal's rows carry these numbers.
"""

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Protocol

from mock_im_server.domain.actions import Action, Outcome


class StoreAwayError(Exception):
    """Raised when the store does not answer: whether an action was applied is not known, and only its events tell."""


class Store(Protocol):
    """Counts of one app."""

    async def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        """One outcome an action, in order. A stale epoch changes nothing and takes no number: its `seq` is 0."""

    async def next_epoch(self) -> int:
        """From now on only actions of the epoch that is returned are applied."""

    async def sizes(self, names: Sequence[str]) -> list[int]:
        """How many members each set has; 0 for one that was never used."""

    async def distinct(self, names: Sequence[str]) -> int:
        """How many members the sets have together, each counted once."""

    async def counters(self, names: Sequence[str]) -> list[int]:
        """Where counters stand; 0 for one that was never used."""

    async def members(self, name: str) -> list[str]:
        """Who is in a set, in the order in which they got their numbers."""

    async def holds(self, name: str, members: Sequence[str]) -> list[bool]:
        """Whether each member is in the set."""

    async def numbers(self, members: Sequence[str]) -> list[int]:
        """The dense number of each member; 0 for one that never had one."""

    async def names(self, numbers: Sequence[int]) -> list[str]:
        """The members that have these dense numbers; empty for a number that nobody has."""

    async def release(self) -> None:
        """Give back what the store holds, without stopping anybody else; only of a store that nobody uses any more."""

    async def restore(self, snapshot: "Snapshot") -> None:
        """Take over what a journal says; only on a fresh store."""


class Numbers(Sized, Iterable[int], Protocol):
    """Dense numbers, each once."""


class Snapshot(Protocol):
    """What a store is rebuilt from."""

    @property
    def last_seq(self) -> int: ...

    @property
    def epoch(self) -> int: ...

    @property
    def members(self) -> Sequence[str]:
        """Members of sets (UserIDs; groups under their keys) in the order of their dense numbers, from 1."""

    @property
    def sets(self) -> Mapping[str, "Numbers"]:
        """Members of each set, as dense numbers."""

    @property
    def counters(self) -> Mapping[str, int]: ...

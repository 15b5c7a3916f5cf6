"""The store contract: batches of actions in, outcomes out.

A store keeps the counts of one app. It applies each action whole or not at all, all of them in one order, and numbers
that order without a gap, refusals included. The journal's rows carry these numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mock_im_server.domain.actions import Action, Outcome


class Store(Protocol):
    """Counts of one app."""

    async def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        """One outcome an action, in order. A stale epoch changes nothing and takes no number: its `seq` is 0."""

    async def move_epoch(self, epoch: int) -> None:
        """From now on only actions of this epoch are applied."""

    async def sizes(self, names: Sequence[str]) -> list[int]:
        """How many members each set has; 0 for one that was never used."""

    async def restore(self, snapshot: "Snapshot") -> None:
        """Take over what a journal says; only on a fresh store."""


class Snapshot(Protocol):
    """What a store is rebuilt from."""

    @property
    def last_seq(self) -> int: ...

    @property
    def numbers(self) -> Mapping[str, int]:
        """UserIDs with their dense numbers, from 1."""

    @property
    def sets(self) -> Mapping[str, Sequence[int]]:
        """Members of each set, as dense numbers."""

"""Who is online where: the sessions of one app in this process.

A session is a user's device (its instance) on a connection. It lasts until logout, the end of its connection, or the
next login of the same instance, which replaces it silently. Sessions are not journaled one by one: with the process,
all connections end.
"""

from typing import Protocol

from pyroaring import BitMap


class Connection(Protocol):
    """A WebSocket: one user's own, or a trunk that carries the sessions of many."""

    number: int
    """Number in the app's journal; 0 until its first row."""
    instance_id: str
    access_point: str
    users: BitMap
    """Numbers of the users that have a session here: compact, since a trunk may carry millions."""

    def push(self, message: bytes) -> None:
        """Send without waiting; a peer that does not read is cut off."""


class Sessions:
    """Sessions by user: a flat tuple of (instance, connection) pairs, as nearly every user has one device."""

    def __init__(self) -> None:
        self._pairs: dict[int, tuple[int | Connection, ...]] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def open(self, user: int, instance: int, connection: Connection) -> None:
        pairs = self._pairs.get(user)
        if pairs is None:
            self._pairs[user] = (instance, connection)
        else:
            kept = _without_instance(pairs, instance)
            self._pairs[user] = (*kept, instance, connection)
        connection.users.add(user)

    def close(self, user: int, instance: int) -> bool:
        """Whether there was such a session."""
        pairs = self._pairs.get(user, ())
        return self._keep(user, pairs, _without_instance(pairs, instance))

    def close_connection(self, connection: Connection) -> None:
        for user in connection.users:
            pairs = self._pairs.get(user, ())
            kept = tuple(
                part for at in range(0, len(pairs), 2) if pairs[at + 1] is not connection for part in pairs[at : at + 2]
            )
            self._keep(user, pairs, kept)
        connection.users.clear()

    def of_user(self, user: int) -> list[tuple[int, Connection]]:
        pairs = self._pairs.get(user, ())
        return list(zip(pairs[::2], pairs[1::2], strict=True))  # type: ignore[arg-type]  # pairs alternate

    def _keep(
        self,
        user: int,
        pairs: tuple[int | Connection, ...],
        kept: tuple[int | Connection, ...],
    ) -> bool:
        if kept:
            self._pairs[user] = kept
        else:
            self._pairs.pop(user, None)
        return len(kept) < len(pairs)


def _without_instance(pairs: tuple[int | Connection, ...], instance: int) -> tuple[int | Connection, ...]:
    return tuple(part for at in range(0, len(pairs), 2) if pairs[at] != instance for part in pairs[at : at + 2])

"""Who is online where: the sessions of one app in this process.

A session is a user's device (its instance) on a connection. It lasts until logout, kick, the end of its connection, or
the next login of the same instance, which replaces it silently. Sessions are not journaled one by one: with the
process, all connections end.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from pyroaring import BitMap

from mock_im_server.domain.plans import Plan
from mock_im_server.pieces import emptied

WEB: Final = 7
"""The vendor's number of the platform Web."""


class Connection(Protocol):
    """A WebSocket: one user's own, or a trunk that carries the sessions of many."""

    number: int
    """Number in the app's journal; 0 until its first row."""
    instance_id: str
    access_point: str
    client_ip: str
    users: BitMap
    """Numbers of the users that have a session here: compact, since a trunk may carry millions."""

    def push(self, *messages: bytes) -> None:
        """Send without waiting; a peer that does not read is cut off."""


class Session(NamedTuple):
    """A user's device and where it is connected; `platform` is the vendor's number."""

    instance: int
    platform: int
    connection: Connection


class Sessions:
    """Sessions by user, the oldest first: a tuple, as nearly every user has one device."""

    def __init__(self) -> None:
        self._of_user: dict[int, tuple[Session, ...]] = {}

    def __len__(self) -> int:
        return len(self._of_user)

    def open(self, user: int, session: Session, plan: Plan) -> tuple[Session, ...]:
        """The sessions that must end, as the plan allows only so many on one platform; mostly none."""
        others = self._of_user.get(user)
        session.connection.users.add(user)
        if others is None:
            self._of_user[user] = (session,)
            return ()
        others = tuple(other for other in others if other.instance != session.instance)
        alike = [other for other in others if other.platform == session.platform]
        evicted = tuple(alike[: max(0, len(alike) - _devices_max(session.platform, plan) + 1)])
        self._of_user[user] = (*(other for other in others if other not in evicted), session)
        return evicted

    def replaced(self, user: int, instance: int, platform: int, plan: Plan) -> tuple[Session, ...]:
        """The sessions that end as the user began another one on another server; the same instance goes silently."""
        sessions = self._of_user.get(user, ())
        others = [other for other in sessions if other.instance != instance]
        alike = [other for other in others if other.platform == platform]
        evicted = alike[: max(0, len(alike) - _devices_max(platform, plan) + 1)]
        self._keep(user, [other for other in others if other not in evicted])
        return tuple(evicted)

    def close(self, user: int, instance: int) -> Session | None:
        """The session that has ended, if there was one."""
        sessions = self._of_user.get(user, ())
        for session in sessions:
            if session.instance == instance:
                self._keep(user, [other for other in sessions if other is not session])
                return session
        return None

    def close_user(self, user: int) -> tuple[Session, ...]:
        """The sessions that have ended."""
        return self._of_user.pop(user, ())

    def close_connection(self, connection: Connection) -> list[tuple[int, Session]]:
        """The sessions that have ended, with their users."""
        lost = []
        of_user = self._of_user
        for user in connection.users:
            sessions = of_user.get(user, ())
            # Nearly every user has one device; a lost access point ends a hundred thousand sessions in one go.
            if len(sessions) == 1:
                if sessions[0].connection is connection:
                    del of_user[user]
                    lost.append((user, sessions[0]))
                continue
            ended = [(user, session) for session in sessions if session.connection is connection]
            if ended:
                self._keep(user, [other for other in sessions if other.connection is not connection])
                lost += ended
        connection.users.clear()
        return lost

    async def release(self) -> None:
        await emptied(self._of_user)

    def of_user(self, user: int) -> tuple[Session, ...]:
        return self._of_user.get(user, ())

    def _keep(self, user: int, sessions: Iterable[Session]) -> None:
        kept = tuple(sessions)
        if kept:
            self._of_user[user] = kept
        else:
            self._of_user.pop(user, None)


def _devices_max(platform: int, plan: Plan) -> int:
    return plan.web_devices_max if platform == WEB else plan.devices_max

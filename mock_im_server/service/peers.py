"""What an app needs of the other server processes that serve it; mostly there are none."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol


class Peers(Protocol):
    """The other processes, as an app sees them."""

    async def catch_up(self) -> None:
        """Return once this process knows all that others had told anybody of when it was asked."""

    async def wait(self) -> None:
        """Return when there may be news: what this process knew is out of date."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """One process at a time moves the clock; who enters knows all that was told before. Raises StoreAwayError."""

    def logged_in(self, user: int, instance: int, platform: int, /) -> None:
        """A session has begun here: one that it replaces may be elsewhere."""

    def push(self, users: Sequence[int], but: tuple[int, int], events: bytes, /) -> None:
        """Push messages to the users' sessions elsewhere, except the session `but` (user and instance)."""

    async def totals(self, *, online: int, logins: int, rows: int) -> tuple[int, int, int]:
        """Users online, logins and journal rows of all processes, given those of this one."""

    @property
    def is_far(self) -> bool:
        """Whether the store is on the network, so that asking for much at once pays."""

    @property
    def settles(self) -> bool:
        """Whether this process closes the months of clocks that run by themselves."""

    def tag(self) -> str:
        """What tells the names that this process makes up from those of others."""


class Alone:
    """No other process."""

    async def catch_up(self) -> None:
        return

    async def wait(self) -> None:
        raise AssertionError("a process that is alone knows its clock")

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def logged_in(self, _user: int, _instance: int, _platform: int, /) -> None:
        return

    def push(self, _users: Sequence[int], _but: tuple[int, int], _events: bytes, /) -> None:
        return

    async def totals(self, *, online: int, logins: int, rows: int) -> tuple[int, int, int]:
        return online, logins, rows

    @property
    def is_far(self) -> bool:
        return False

    @property
    def settles(self) -> bool:
        return True

    def tag(self) -> str:
        return ""

"""Large containers, freed a piece at a time.

What a million users leave takes a tenth of a second to free, in which nothing else runs: whoever resets an app would
feel it, and so would the users of every other app.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, TypeGuard

PIECE: Final = 2_000
"""Entries that are freed in one go, in well under a millisecond."""

type_container = dict[Any, Any] | list[Any] | set[Any]


async def emptied(*containers: type_container) -> None:
    """Empty containers that nobody uses any more, and large containers that are values in them."""
    waiting = list(containers)
    while waiting:
        container = waiting.pop()
        while container:
            waiting += filter(_is_large, _taken(container))
            await asyncio.sleep(0)


def _taken(container: type_container) -> Iterable[object]:
    """The values of a piece, which is in the container no more."""
    if isinstance(container, dict):
        # From its end: a dictionary finds its first entry slowly when many before it are gone.
        return [container.popitem()[1] for _ in range(min(PIECE, len(container)))]
    if isinstance(container, list):
        taken = container[-PIECE:]
        del container[-PIECE:]
        return taken
    return [container.pop() for _ in range(min(PIECE, len(container)))]


def _is_large(value: object) -> TypeGuard[type_container]:
    return isinstance(value, dict | list | set) and len(value) > PIECE

"""The names under which server processes find each other's data in Redis."""

from typing import Final

APPS: Final = "im:apps"
"""A hash: SDKAppID to its settings and its generation, as JSON."""
GENERATION: Final = "im:generation"
"""A counter: an app that is reset begins anew under another prefix."""
NEWS: Final = "im:news"
"""A stream: apps that were made or reset, access points, choices of routing, webhooks."""
NEWS_FORGOTTEN: Final = "im:news:forgotten"
"""Up to this entry, news that later ones repeat are gone."""
DRAINER: Final = "im:drainer"
"""The process that writes the journals of all apps to its disk."""
ALIVE: Final = "im:alive:"
"""Before a process's name: there while it lives."""


def prefix_of(sdkappid: int, generation: int) -> str:
    """What all keys of an app begin with. The tag in braces keeps them on one node of a cluster."""
    return f"im:{{{sdkappid}.{generation}}}:"


def events(prefix: str) -> str:
    """A stream: what the store's script did, and the rows that say it in the journal's words; read by the drain."""
    return prefix + "events"


def news(prefix: str) -> str:
    """A stream: rows that every process must know; one that starts hears all that are behind the base."""
    return prefix + "news"


def base(prefix: str) -> str:
    """What the first of the news came to, as one process knew it."""
    return prefix + "base"


def forgotten(prefix: str) -> str:
    """Entries of the news before this one may be gone."""
    return prefix + "forgotten"


def moving(prefix: str) -> str:
    """A lock: who holds it moves the clock and settles months."""
    return prefix + "moving"


def whispers(prefix: str) -> str:
    """A short stream: logins and pushes, for processes where the same users have sessions."""
    return prefix + "whispers"


def online(prefix: str) -> str:
    """A hash: how many are online at each process."""
    return prefix + "online"


def drained(prefix: str) -> str:
    """A hash: how far the journal's files reach."""
    return prefix + "drained"


def of_processes(prefix: str) -> list[str]:
    """What a process may still write that has not heard yet that its app was reset."""
    named = events, news, base, forgotten, moving, whispers, online, drained
    return [*(of(prefix) for of in named), prefix + "counters"]

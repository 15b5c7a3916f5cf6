"""How many places are taken at each instant, computed for all rows at once.

A scope is what has a count of its own: a user, a group, a day, or 0 for the whole app. An instant is a position in the
journal or a time, whatever the caller counts by; it stays below `span`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_KEY_MAX: Final = 2**62


def before(events: tuple[Ints, Ints, Ints], asked: tuple[Ints, Ints], span: int) -> Ints:
    """Return how many places of its scope are taken just before each asked (scope, instant).

    `events` are scopes, instants and changes; those at the asked instant itself do not count yet.

    >>> taken = (np.array([7, 7, 8, 7]), np.array([1, 3, 4, 6]), np.array([1, 1, 1, -1]))
    >>> before(taken, (np.array([7, 7, 7, 8, 9]), np.array([3, 4, 9, 9, 9])), 10).tolist()
    [1, 2, 1, 1, 0]
    """
    scope, instant, change = events
    scope, asked_scope = _small(scope, asked[0], span)
    key = scope * span + instant
    order = np.argsort(key, kind="stable")
    key, total = key[order], np.concatenate([[0], np.cumsum(change[order])])
    until = np.searchsorted(key, asked_scope * span + asked[1], side="left")
    start = np.searchsorted(key, asked_scope * span, side="left")
    return np.asarray(total[until] - total[start])


def next_after(scope: Ints, instant: Ints, asked: tuple[Ints, Ints], span: int) -> Ints:
    """Return the first instant of the same scope after each asked (scope, instant); `span` where there is none.

    >>> asked = np.array([1, 1, 1, 3]), np.array([0, 3, 5, 0])
    >>> next_after(np.array([1, 1, 2]), np.array([3, 5, 4]), asked, 10).tolist()
    [3, 5, 10, 10]
    """
    scope, asked_scope = _small(scope, asked[0], span)
    key = np.sort(scope * span + instant)
    at = np.searchsorted(key, asked_scope * span + asked[1], side="right")
    found = np.append(key, np.iinfo(np.int64).max)[at]
    return np.asarray(np.where(found // span == asked_scope, found % span, span))


def last_before(scope: Ints, instant: Ints, asked: tuple[Ints, Ints], span: int) -> Ints:
    """Return the position, in the given events, of the last one of the same scope before each asked; -1 for none.

    >>> asked = np.array([1, 1, 2, 3]), np.array([5, 9, 4, 9])
    >>> last_before(np.array([2, 1, 1]), np.array([4, 3, 5]), asked, 10).tolist()
    [1, 2, -1, -1]
    """
    scope, asked_scope = _small(scope, asked[0], span)
    key = scope * span + instant
    order = np.argsort(key, kind="stable")
    at = np.searchsorted(key[order], asked_scope * span + asked[1], side="left") - 1
    found = np.append(order, -1)[at]
    return np.asarray(np.where((found >= 0) & (np.append(scope, -1)[found] == asked_scope), found, -1))


def _small(scope: Ints, asked: Ints, span: int) -> tuple[Ints, Ints]:
    """Number scopes densely where scope and instant would not fit into 64 bits together."""
    if max(scope.max(initial=0), asked.max(initial=0)) < _KEY_MAX // span:
        return scope, asked
    _, number = np.unique(np.concatenate([scope, asked]), return_inverse=True)
    return number[: len(scope)], number[len(scope) :]

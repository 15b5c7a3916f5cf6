"""From when to when a place was taken, as far as clients can know who see only when they asked and were answered.

A request took effect at some instant between its send and its answer. So a place is taken for certain from the answer
of the request that took it to the send of the first that may have given it back, and possibly from the send of the one
to the answer of the other. Instants are ranks of times, from 1; an answer that never came is `never`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests about members of a set: who, when sent and answered, and whether the outcome is known (it succeeded)."""

    member: Ints
    sent: Ints
    answered: Ints
    is_known: Flags

    def only(self, wanted: Flags) -> "Requests":
        """Return a part."""
        return Requests(self.member[wanted], self.sent[wanted], self.answered[wanted], self.is_known[wanted])


@dataclass(frozen=True, slots=True)
class Spans:
    """For each taking, the instants between which its place was taken for certain, and possibly.

    A certain span whose end is not above its start is none. Possible ones include both ends.
    """

    certain: tuple[Ints, Ints]
    possible: tuple[Ints, Ints]


def spans(takes: Requests, releases: Requests, never: int) -> Spans:
    """Bound when each place was taken.

    >>> take = Requests(np.array([5]), np.array([1]), np.array([3]), np.array([True]))
    >>> release = Requests(np.array([5]), np.array([4]), np.array([6]), np.array([True]))
    >>> found = spans(take, release, 9)
    >>> [bound.tolist() for bound in (*found.certain, *found.possible)]
    [[3], [4], [1], [6]]
    """
    # The place may go with any release that was not answered before the taking was sent, ...
    ends = _least_after(releases.member, releases.answered, releases.sent, (takes.member, takes.sent), never)
    # ... and goes at the latest with one that was sent after the taking was answered.
    sure = releases.only(releases.is_known)
    # Where only one taking can be meant, a release that succeeded is its end, whenever it was sent.
    _, which, times = np.unique(takes.member, return_inverse=True, return_counts=True)
    since = np.where(times[which] == 1, 0, takes.answered + 1)
    latest = _least_after(sure.member, sure.sent, sure.answered, (takes.member, since), never)
    certain_start = np.where(takes.is_known, takes.answered, never)
    return Spans((certain_start, ends), (takes.sent, latest))


def united(scope: Ints, member: Ints, span: tuple[Ints, Ints], *, is_closed: bool) -> tuple[Ints, tuple[Ints, Ints]]:
    """Join spans of one member that overlap, so that it counts once; `is_closed` when both ends belong to a span.

    Returns scopes and spans.
    """
    start, end = span
    real = start <= end if is_closed else start < end
    frame = pd.DataFrame({"scope": scope, "member": member, "start": start, "end": end})[real]
    frame = frame.sort_values(["scope", "member", "start"], kind="stable", ignore_index=True)
    group = frame.groupby(["scope", "member"], sort=False)
    reached = group["end"].cummax().groupby([frame["scope"], frame["member"]], sort=False).shift(fill_value=-1)
    frame["part"] = (frame["start"] > reached).cumsum()
    merged = frame.groupby("part").agg({"scope": "first", "start": "first", "end": "max"})
    return merged["scope"].to_numpy(), (merged["start"].to_numpy(), merged["end"].to_numpy())


class Steps:
    """A count that changes at instants, one for each scope, zero before the first change."""

    def __init__(self, scope: Ints, instant: Ints, change: Ints, never: int) -> None:
        self._span = never + 2
        scopes = np.sort(pd.unique(scope))  # np.unique hashes, which takes ten times as long here
        key = np.concatenate([scopes * self._span, scope * self._span + instant])
        change = np.concatenate([np.zeros(len(scopes), np.int64), change])
        order = np.argsort(key, kind="stable")
        key, total = key[order], np.cumsum(change[order])
        last = np.append(key[1:] != key[:-1], True)[: len(key)]
        self._key = key[last]
        starts = np.searchsorted(key, scopes * self._span, side="left")
        base = np.concatenate([[0], total])[starts]
        self.scope = self._key // self._span
        self.value = total[last] - np.repeat(
            base, np.diff(np.append(np.searchsorted(self.scope, scopes), len(self._key)))
        )

    @property
    def instant(self) -> Ints:
        """When each value begins."""
        return np.asarray(self._key % self._span)

    def reaches(self, limit: int, scope: Ints, start: Ints, end: Ints) -> Flags:
        """Tell whether the count is at the limit or above it at some instant from `start` to `end`."""
        if limit <= 0:
            return np.ones(len(scope), bool)
        at_limit = np.concatenate([[0], np.cumsum(self.value >= limit)])
        first = np.searchsorted(self._key, scope * self._span + start, side="right") - 1
        last = np.searchsorted(self._key, scope * self._span + end, side="right") - 1
        own = (last >= 0) & (np.append(self.scope, -1)[last] == scope)
        return np.asarray(own & (at_limit[last + 1] > at_limit[np.maximum(first, 0)]))


def certain_steps(scope: Ints, span: tuple[Ints, Ints], never: int) -> Steps:
    """Count the places that are taken for certain; a span's end does not belong to it."""
    start, end = span
    real = start < end
    return Steps(
        np.concatenate([scope[real], scope[real]]),
        np.concatenate([start[real], end[real]]),
        np.repeat([1, -1], np.count_nonzero(real)),
        never,
    )


def possible_steps(scope: Ints, span: tuple[Ints, Ints], never: int) -> Steps:
    """Count the places that are possibly taken; a span's end belongs to it."""
    start, end = span
    return Steps(
        np.concatenate([scope, scope]), np.concatenate([start, end + 1]), np.repeat([1, -1], len(scope)), never
    )


def _least_after(member: Ints, at: Ints, value: Ints, asked: tuple[Ints, Ints], never: int) -> Ints:
    """Return the least value of the same member whose `at` is not before the asked instant; `never` for none."""
    span = never + 2
    key = member * span + at
    order = np.argsort(key, kind="stable")
    backwards = pd.Series(value[order][::-1])
    least = backwards.groupby(member[order][::-1]).cummin().to_numpy()[::-1]
    found = np.searchsorted(key[order], asked[0] * span + asked[1], side="left")
    own = np.append(member[order], -1)[found] == asked[0]
    return np.asarray(np.where(own, np.append(least, never)[found], never))

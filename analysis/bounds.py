"""The cap audit by the ledger alone, for a server without a journal: what clients can know of a cap.

The order of what overlaps is unknown, so this is necessary, not sufficient: what is found is proven, what is not found
may still be there. The places that are taken for certain must never exceed the cap; a refusal is wrong when, from its
send to its answer, not even the places that are possibly taken reached the cap. See `docs/cap-audit.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.billing_days import day_of
from analysis.documents import PlannedQuota
from analysis.findings import Finding, error, invalid, rows, warning
from analysis.ledgers import Ledger
from analysis.plans import plans
from analysis.quotas import ACCOUNTS, DAU, GROUPS_PER_USER, LIVE_GROUPS, NET_NEW_GROUPS, OTHER_GROUPS, QUOTAS, Quota
from analysis.spans import Requests, Steps, certain_steps, possible_steps, spans, united

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_APP: Final = 0
_UNKNOWN: Final = np.iinfo(np.int32).min
"""Stands for a code that no client has read."""
_OF_THE_TRIAL: Final = (ACCOUNTS, DAU)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the ledger shows of one quota; `over` and `below` are rows of the plan."""

    quota: Quota
    limit: int
    least: int
    """The most places that were taken for certain at one time."""
    most: int
    """The most places that were possibly taken at one time."""
    admitted: int
    refused: int
    over: int
    """Scopes whose cap was exceeded for certain."""
    below: Ints
    certain: Steps
    possible: Steps
    times_us: Ints
    """The time of each instant from 1 on."""
    admitted_us: Ints
    refused_us: Ints


class Asked:
    """All requests that were sent, with instants as ranks of their times."""

    def __init__(self, ledger: Ledger, offset_ms: int) -> None:
        sent = ledger.open[ledger.open["sent_us"].notna()]
        columns = ["row", "user", "group", "verb", "sent_us", "answered_us", "app_before_ms", "planned_app_ms", "code"]
        frame = ledger.answered
        if len(sent):
            frame = pd.concat([ledger.answered[columns], sent[columns]], ignore_index=True)
        known = np.arange(len(frame)) < len(ledger.answered)
        self.row = frame["row"].to_numpy()
        self.user = frame["user"].to_numpy().astype(np.int64)
        self.group = frame["group"].to_numpy().astype(np.int64)
        self.verb = frame["verb"].astype(str).to_numpy() if len(sent) else frame["verb"].to_numpy()
        self.code = np.where(known, frame["code"].fillna(0).to_numpy().astype(np.int64), _UNKNOWN)
        app_ms = frame["app_before_ms"].fillna(frame["planned_app_ms"]).astype("int64")
        self.day = np.asarray(day_of(app_ms, offset_ms), np.int64)
        sent_us = frame["sent_us"].to_numpy().astype(np.int64)
        answered_us = frame["answered_us"].fillna(0).to_numpy().astype(np.int64)
        self.times, ranks = np.unique(np.concatenate([sent_us, answered_us[known]]), return_inverse=True)
        self.never = len(self.times) + 1
        self.sent = ranks[: len(frame)] + 1
        self.answered = np.full(len(frame), self.never)
        self.answered[known] = ranks[len(frame) :] + 1

    def is_verb(self, *verbs: str) -> Flags:
        return np.asarray(np.isin(self.verb, verbs))

    def requests(self, wanted: Flags, member: Ints) -> Requests:
        """Return those that succeeded or whose outcome is unknown."""
        asked = wanted & ((self.code == 0) | (self.code == _UNKNOWN))
        return Requests(member[asked], self.sent[asked], self.answered[asked], self.code[asked] == 0)


def audited(ledger: Ledger, plan: str, raced: Sequence[PlannedQuota], offset_ms: int) -> list[Bounds]:
    """Bound each quota that the run's plan names, and those of accounts and users where the app's plan has them."""
    return list(_Ledger(ledger, plan, raced, offset_ms).bounds())


def findings(found: Sequence[Bounds], raced: Sequence[PlannedQuota]) -> list[Finding]:
    """Say what is wrong for certain, what the ledger cannot judge, and that the rest is not proven."""
    result: list[Finding] = []
    for bounds in found:
        words, limit = bounds.quota.words, bounds.limit
        if bounds.over:
            text = f"{words}: at least {bounds.least:,} were there at one time, the plan allows {limit:,}"
            result.append(error("cap_exceeded", text))
        if len(bounds.below):
            text = (
                f"{words}: {rows(len(bounds.below))} of the ledger were refused although at most {limit - 1:,} of "
                f"{limit:,} can have been taken: the first is row {int(bounds.below.min()):,}"
            )
            result.append(error("cap_refused_below", text))
    judged = {bounds.quota.name for bounds in found}
    missing = [quota.name for quota in raced if quota.name not in judged and quota.limit is not None]
    if missing:
        text = f"without a journal nothing can be said of {', '.join(missing)}"
        result.append(warning("cap_unjudged", text))
    if found:
        text = (
            "the caps are judged by the ledger alone: what it shows is necessary, not sufficient, as the order of "
            "requests that overlap is unknown"
        )
        result.append(warning("cap_bounds_only", text))
    return result


def planned(raced: Sequence[PlannedQuota], plan: str) -> list[Finding]:
    """Compare the caps that the run's plan names with our own copy of the vendor's numbers."""
    found = []
    for one in raced:
        quota = QUOTAS.get(one.name)
        if quota is None:
            found.append(invalid("quota_unknown", f"the plan names a quota {one.name!r}; known: {', '.join(QUOTAS)}"))
            continue
        limit = plans().limit(plan, one.name)
        if one.limit != limit:
            found.append(error("quota_differs", f"the plan caps {quota.words} at {one.limit}; {plan} has {limit}"))
        if one.refusal not in quota.codes:
            codes = " or ".join(map(str, quota.codes))
            found.append(error("quota_differs", f"the plan expects {one.refusal} for {quota.words} instead of {codes}"))
    return found


class _Ledger:
    """The ledger's requests, quota by quota."""

    def __init__(self, ledger: Ledger, plan: str, raced: Sequence[PlannedQuota], offset_ms: int) -> None:
        self.asked = Asked(ledger, offset_ms)
        self.plan = plan
        self.raced = {quota.name for quota in raced}
        admins = pc.index_in(pa.array(plans().admins), value_set=ledger.user_ids).drop_null().to_numpy()
        self.is_admin = np.isin(self.asked.user, admins)

    def bounds(self) -> Iterator[Bounds]:
        for name in QUOTAS:
            limit = plans().limit(self.plan, name)
            if limit is None or name not in {*self.raced, *_OF_THE_TRIAL}:
                continue
            steps = self._steps(name)
            if steps is not None:
                yield self._judged(QUOTAS[name], limit, *steps)

    def _judged(self, quota: Quota, limit: int, certain: Steps, possible: Steps, scope: Ints) -> Bounds:
        asked = self.asked
        refused = np.isin(asked.code, quota.codes)
        at = np.flatnonzero(refused)
        room = ~possible.reaches(limit, scope[at], asked.sent[at], asked.answered[at])
        over = np.unique(certain.scope[certain.value > limit])
        admitted = (asked.code == 0) & asked.is_verb(*self._verbs(quota.name))
        return Bounds(
            quota=quota,
            limit=limit,
            least=int(certain.value.max(initial=0)),
            most=int(possible.value.max(initial=0)),
            admitted=int(np.count_nonzero(admitted)),
            refused=len(at),
            over=len(over),
            below=asked.row[at[room]],
            certain=certain,
            possible=possible,
            times_us=asked.times,
            admitted_us=asked.times[asked.answered[admitted] - 1],
            refused_us=asked.times[asked.answered[at] - 1],
        )

    def _steps(self, name: str) -> tuple[Steps, Steps, Ints] | None:
        """Bound the count of a quota; also the scope of each request. None where a ledger cannot tell."""
        asked = self.asked
        app = np.full(len(asked.row), _APP)
        if name == ACCOUNTS:
            return self._of_members(asked.is_verb("login", "import") & ~self.is_admin, asked.is_verb("delete"), app)
        if name == DAU:
            nothing = np.zeros(len(asked.row), bool)
            return self._of_members(asked.is_verb("login"), nothing, asked.day)
        if name == NET_NEW_GROUPS:
            return self._net_new()
        # A ledger does not say a group's type: all are of the kind for which the run races.
        if name in (LIVE_GROUPS, OTHER_GROUPS) and not {LIVE_GROUPS, OTHER_GROUPS} <= self.raced:
            return self._of_groups(asked.is_verb("create_group"), app)
        others = asked.is_verb("join_group", "quit_group", "delete")
        if name == GROUPS_PER_USER and LIVE_GROUPS not in self.raced and not others.any():
            return self._of_groups(asked.is_verb("create_group"), asked.user)
        return None

    @staticmethod
    def _verbs(name: str) -> tuple[str, ...]:
        return {ACCOUNTS: ("login", "import"), DAU: ("login",)}.get(name, ("create_group",))

    def _of_members(self, takes: Flags, releases: Flags, scope: Ints) -> tuple[Steps, Steps, Ints]:
        """A user takes one place of a scope however often, until deleted."""
        asked = self.asked
        # A user's places on two days are two: they have nothing to do with each other.
        member = (scope - scope.min(initial=0)) * (asked.user.max(initial=0) + 1) + asked.user
        found = spans(asked.requests(takes, member), asked.requests(releases, member), asked.never)
        of = scope[takes & ((asked.code == 0) | (asked.code == _UNKNOWN))]
        who = asked.requests(takes, member).member
        certain = united(of, who, found.certain, is_closed=False)
        possible = united(of, who, found.possible, is_closed=True)
        return certain_steps(*certain, asked.never), possible_steps(*possible, asked.never), scope

    def _of_groups(self, takes: Flags, scope: Ints) -> tuple[Steps, Steps, Ints]:
        """Each creation takes a place until the group is destroyed."""
        asked = self.asked
        found = spans(
            asked.requests(takes, asked.group), asked.requests(asked.is_verb("destroy_group"), asked.group), asked.never
        )
        of = scope[takes & ((asked.code == 0) | (asked.code == _UNKNOWN))]
        return certain_steps(of, found.certain, asked.never), possible_steps(of, found.possible, asked.never), scope

    def _net_new(self) -> tuple[Steps, Steps, Ints]:
        """Creations less destructions of a day, whichever groups they are about."""
        asked = self.asked
        made = self._asked_of("create_group")
        gone = self._asked_of("destroy_group")
        sure_made, sure_gone = made & (asked.code == 0), gone & (asked.code == 0)

        def steps(plus: Flags, plus_at: Ints, minus: Flags, minus_at: Ints) -> Steps:
            return Steps(
                np.concatenate([asked.day[plus], asked.day[minus]]),
                np.concatenate([plus_at[plus], minus_at[minus]]),
                np.repeat([1, -1], [np.count_nonzero(plus), np.count_nonzero(minus)]),
                asked.never,
            )

        least = steps(sure_made, asked.answered, gone, asked.sent)
        most = steps(made, asked.sent, sure_gone, asked.answered + 1)
        return least, most, asked.day

    def _asked_of(self, verb: str) -> Flags:
        succeeded = (self.asked.code == 0) | (self.asked.code == _UNKNOWN)
        return np.asarray(self.asked.is_verb(verb) & succeeded)


@dataclass(frozen=True)
class GroupBounds:
    """How many groups the ledger knows of at each instant: for certain, and possibly."""

    asked: Asked

    @cached_property
    def _steps(self) -> tuple[Steps, Steps]:
        asked = self.asked
        takes = asked.requests(asked.is_verb("create_group"), asked.group)
        found = spans(takes, asked.requests(asked.is_verb("destroy_group"), asked.group), asked.never)
        app = np.full(len(takes.member), _APP)
        return certain_steps(app, found.certain, asked.never), possible_steps(app, found.possible, asked.never)

    def peak(self, days: range) -> tuple[int, int]:
        """Return the least and the most that the peak of these days can have been."""
        asked = self.asked
        inside = np.isin(asked.day, days)
        if not inside.any():
            return (0, 0)
        answered = asked.answered[inside]
        first, last = int(asked.sent[inside].min()), int(answered[answered < asked.never].max(initial=0))
        last = max(first, last) if (answered < asked.never).all() else asked.never
        certain, possible = self._steps
        # Before the first request of these days, what was left is there; with it, something of it may already go.
        return _most(certain, first - 1, last), _most(possible, first, last)


def _most(steps: Steps, first: int, last: int) -> int:
    """Return the highest value in force from one instant to another, the one that was carried there included."""
    carried = steps.value[steps.instant <= first][-1:]
    inside = steps.value[(steps.instant > first) & (steps.instant <= last)]
    return int(np.concatenate([carried, inside]).max(initial=0))

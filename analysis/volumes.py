"""What a month is billed by beside its users: the peak of groups and the seconds of calls, from journal and ledger.

Groups count net (FAQ 1047/34421): a destroyed one no more, an empty one still. The peak is the highest net count at any
instant of the month, groups of earlier months included. Seconds are counted for each participant of a call; an instant
counts by its whole second, and a call over the end of a month is split there.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import journals
from analysis.billing_days import DAY_MS, start_ms
from analysis.bills import CALL_TIERS
from analysis.bounds import Asked, GroupBounds
from analysis.findings import Finding, error, rows
from analysis.journals import Journal
from analysis.ledgers import Ledger
from analysis.occupancy import next_after

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Range:
    """What is known of a figure: both ends belong to it."""

    low: int
    high: int

    def holds(self, value: int) -> bool:
        return self.low <= value <= self.high

    def nearest(self, value: int) -> int:
        """Return the value, or the end of the range that lies nearest to it."""
        return min(max(value, self.low), self.high)

    @property
    def text(self) -> str:
        """Write it for people."""
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


@dataclass(frozen=True, slots=True)
class DayOfGroups:
    """What happened to groups on a billing day; `left` is the net count at its end."""

    made: int
    destroyed: int
    left: int


@dataclass(frozen=True, slots=True)
class Volume:
    """Of one month; by day only where something happened."""

    peak_groups: Range = Range(0, 0)
    call_seconds: Mapping[str, Range] = field(default_factory=dict)
    groups_by_day: Mapping[int, DayOfGroups] = field(default_factory=dict)


NOTHING: Final = Volume()


@dataclass(frozen=True, slots=True)
class Stays:
    """Who was in a call at which tier from when to when, from the journal; flat, one entry for each change."""

    call: Ints
    tier: list[str | None]
    began: Ints
    """Positions in the journal."""
    ended: Ints
    """By the participant's next change or the call's end; as many as the journal has rows where the call runs on."""


def of_journal(journal: Journal, days: range, offset_ms: int) -> Volume:
    """Count what the server did."""
    kind, time_ms = (journal.frame[column].to_numpy() for column in ("kind", "time_ms"))
    day = (time_ms + offset_ms) // DAY_MS
    change = (kind == journals.GROUP_CREATED).astype(np.int64) - (kind == journals.GROUP_DESTROYED)
    peak = _peak(np.cumsum(change), day, days)
    at = np.flatnonzero(change)
    times = np.append(time_ms, start_ms(days.stop, offset_ms))
    found = stays(journal)
    span = (start_ms(days.start, offset_ms), start_ms(days.stop, offset_ms))
    seconds = _seconds(found, times[found.began], times[found.ended], span)
    return Volume(
        peak_groups=Range(peak, peak),
        call_seconds={tier: Range(count, count) for tier, count in seconds.items()},
        groups_by_day=_by_day(day[at], change[at]),
    )


def of_ledger(ledger: Ledger, journal: Journal | None, days: range, offset_ms: int) -> Volume:
    """Count what the clients saw; what requests that overlap leave open is a range.

    Who was in a call at which tier a ledger does not say: that is the journal's word, the times are the clients'.
    """
    verb = ledger.table["verb"]
    asked_of = set(verb.unique().to_pylist())
    if not asked_of & {"create_group", "destroy_group", "start_call"}:
        return NOTHING
    peak = GroupBounds(Asked(ledger, offset_ms)).peak(days) if "create_group" in asked_of else (0, 0)
    answered = ledger.answered[ledger.answered["code"] == 0]
    groups = answered[answered["verb"].isin(["create_group", "destroy_group"])]
    day = ((groups["app_before_ms"] + offset_ms) // DAY_MS).to_numpy()
    change = np.where(groups["verb"] == "create_group", 1, -1)
    order = np.argsort(groups["answered_us"].to_numpy(), kind="stable")
    calls = _ledger_seconds(ledger, journal, days, offset_ms) if journal and "start_call" in asked_of else {}
    return Volume(Range(*peak), calls, _by_day(day[order], change[order]))


def stays(journal: Journal) -> Stays:
    """Fold who was in which call."""
    notes = journal.notes
    kind = journal.frame["kind"].to_numpy()
    span = len(kind) + 1
    present = notes.presences
    entry = np.array([at for at, _, _ in present], np.int64)
    names = {name: number for number, name in enumerate(dict.fromkeys(user for _, user, _ in present))}
    user = np.array([names[name] for _, name, _ in present], np.int64)
    admitted = np.isin(kind[notes.at[entry]], (journals.CALL_STARTED, journals.CALL_CHANGED))
    entry, user = entry[admitted], user[admitted]
    tier = [tier for (_, _, tier), is_in in zip(present, admitted.tolist(), strict=True) if is_in]
    call, row = notes.name[entry], notes.at[entry]
    ends = np.flatnonzero(kind[notes.at] == journals.CALL_ENDED)
    pair = call * (len(names) + 1) + user
    until = np.minimum(
        next_after(pair, row, (pair, row), span), next_after(notes.name[ends], notes.at[ends], (call, row), span)
    )
    return Stays(call, tier, row, np.minimum(until, span - 1))


def call_ends(journal: Journal) -> list[Finding]:
    """Check what the server says at a call's end of its seconds, by our own count of the whole call."""
    notes = journal.notes
    times = journal.frame["time_ms"].to_numpy()
    found = stays(journal)
    ended = found.ended < len(times)
    whole: Counter[tuple[int, str]] = Counter()
    last = {int(notes.name[entry]): entry for entry in _entries(journal, journals.CALL_ENDED)}
    for call, tier, start, end in zip(found.call, found.tier, found.began, found.ended, strict=True):
        if tier and end < len(times):
            whole[int(call), tier] += int(times[end]) // 1_000 - int(times[start]) // 1_000
    if not ended.any() and not last:
        return []
    said: Counter[tuple[int, str]] = Counter()
    for entry, tier, seconds in notes.seconds:
        said[int(notes.name[entry]), tier] += seconds
    wrong = sorted({call for call, tier in whole.keys() | said.keys() if whole[call, tier] != said[call, tier]})
    wrong = [call for call in wrong if call in last]
    if not wrong:
        return []
    text = f"{rows(len(wrong))} of the journal end a call with other seconds than its participants were in it: "
    return [error("call_seconds_wrong", f"{text}the first is of {notes.names[wrong[0]].as_py()!r}")]


def _entries(journal: Journal, kind: int) -> list[int]:
    notes = journal.notes
    return list(np.flatnonzero(journal.frame["kind"].to_numpy()[notes.at] == kind).tolist())


def _peak(net: Ints, day: Ints, days: range) -> int:
    """Return the highest net count of some days, with what the days before left."""
    first, end = np.searchsorted(day, days.start, side="left"), np.searchsorted(day, days.stop, side="left")
    carried = net[first - 1] if first else 0
    return int(net[first:end].max(initial=max(0, carried)))


def _by_day(day: Ints, change: Ints) -> dict[int, DayOfGroups]:
    found: dict[int, DayOfGroups] = {}
    left = 0
    for one in np.unique(day).tolist():
        of_day = change[day == one]
        made, gone = int(np.count_nonzero(of_day > 0)), int(np.count_nonzero(of_day < 0))
        left += made - gone
        found[one] = DayOfGroups(made, gone, left)
    return found


def _seconds(found: Stays, began_ms: Ints, ended_ms: Ints, span: tuple[int, int]) -> dict[str, int]:
    """Sum whole seconds by tier inside a span of time, whose end is outside."""
    start, end = np.clip(began_ms, *span), np.clip(ended_ms, *span)
    seconds = np.maximum(end // 1_000 - start // 1_000, 0)
    tiers = np.array([tier or "" for tier in found.tier])
    sums = {tier: int(seconds[tiers == tier].sum()) for tier in np.unique(tiers).tolist() if tier}
    return _in_order(sums)


def _in_order(seconds: Mapping[str, int]) -> dict[str, int]:
    known = [tier for tier in CALL_TIERS if seconds.get(tier)]
    return {tier: seconds[tier] for tier in (*known, *sorted(set(seconds) - set(CALL_TIERS)))}


def _ledger_seconds(ledger: Ledger, journal: Journal, days: range, offset_ms: int) -> dict[str, Range]:
    """Bound the seconds of calls by what the clients knew of the app's clock at begin and end."""
    answered = ledger.answered[ledger.answered["code"] == 0]
    times = {}
    for verb in ("start_call", "end_call"):
        of_verb = answered[answered["verb"] == verb]
        names = ledger.group_ids.take(of_verb["group"].to_numpy()).to_pylist()
        times[verb] = dict(zip(names, zip(of_verb["app_before_ms"], of_verb["app_after_ms"], strict=True), strict=True))
    span = (start_ms(days.start, offset_ms), start_ms(days.stop, offset_ms))
    found = stays(journal)
    kind, time_ms = (journal.frame[column].to_numpy() for column in ("kind", "time_ms"))
    names = journal.notes.names.to_pylist()
    low: Counter[str] = Counter()
    high: Counter[str] = Counter()
    for call, tier, start, end in zip(found.call, found.tier, found.began, found.ended, strict=True):
        name = names[call]
        if not tier or name not in times["start_call"]:
            continue
        # A change in the middle of a call is no request of the ledger's: its time is the journal's.
        own = (int(time_ms[start]),) * 2
        began = times["start_call"][name] if kind[start] == journals.CALL_STARTED else own
        over = span[1], span[1]
        ended = times["end_call"].get(name, over) if _ends(kind, end) else (int(time_ms[end]),) * 2
        for sums, since, until in ((low, began[1], ended[0]), (high, began[0], ended[1])):
            since, until = (min(max(int(value), span[0]), span[1]) for value in (since, until))  # noqa: PLW2901
            sums[tier] += max(0, until // 1_000 - since // 1_000)
    return {tier: Range(low[tier], high[tier]) for tier in _in_order(high)}


def _ends(kind: Ints, row: int) -> bool:
    return bool(row >= len(kind) or kind[row] == journals.CALL_ENDED)

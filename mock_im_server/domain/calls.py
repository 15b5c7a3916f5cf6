"""Audio and video calls: the trial that allows them, and the seconds that they use up.

The trial (purchase FAQ, 1047/34421) belongs to one SDKAppID, lasts 60 days and grants the use of calls under any plan;
minutes are billed by TRTC's rules, messaging by its own. What becomes of the seconds: `billing.call_lines`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from mock_im_server.domain.billing import TIERS
from mock_im_server.domain.calendar import DAY_MS

NOT_OPENED: Final = -1001
"""ERROR_PACKAGE_NOT_PURCHASED: the app has never opened a trial."""
NOT_SUPPORTED: Final = -1002
"""ERROR_PACKAGE_NOT_SUPPORTED: the trial is over. No document says which of the two codes an expired trial gets; the
help pages put this one's text to it. A trial that is refused, by the console and without a code, takes it too."""
PARTICIPANTS_WRONG: Final = -1202
"""A parameter is wrong: a call needs participants, each once and with a tier that there is."""
CALL_NOT_RUNNING: Final = -1203
"""The state does not allow it: the call was never started or has ended."""
CALL_REPEATED: Final = -1204
"""The CallId has been used before."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the vendor announced about calls, shown with the trial; nothing follows from it."""

    text: str
    said_on: date
    dropped_on: date
    source: str


@dataclass(frozen=True, slots=True)
class CallTrial:
    """What a trial of calls grants; the numbers, with their sources: `data/call_trial.toml`."""

    days: int
    trials_max: int
    """Per SDKAppID, one after the other: a reading, as the FAQ's own time gives no number (`docs/open-points.md`)."""
    notice: Notice

    def ends_ms(self, opened_ms: int) -> int:
        """Whole days from the instant of the opening, to the millisecond; the end itself is outside."""
        return opened_ms + self.days * DAY_MS

    def refusal_to_open(self, opened_ms: Sequence[int], now_ms: int) -> int:
        """0 when one more trial may be opened now; `opened_ms` are the openings so far, in order.

        A trial that still runs is neither prolonged nor used up by opening again.

        >>> trial = CallTrial(60, 2, Notice("", date(2022, 10, 20), date(2022, 11, 22), ""))
        >>> over = 60 * DAY_MS
        >>> [trial.refusal_to_open(opened, over) for opened in ([], [0], [1], [-over, 0])]
        [0, 0, -1002, -1002]
        """
        return NOT_SUPPORTED if len(opened_ms) >= self.trials_max or self.is_open(opened_ms, now_ms) else 0

    def is_open(self, opened_ms: Sequence[int], now_ms: int) -> bool:
        return bool(opened_ms) and now_ms < self.ends_ms(opened_ms[-1])

    def refusal_to_call(self, opened_ms: Sequence[int], now_ms: int) -> int:
        """0 when a call may start now. A call that runs when the trial ends goes on: no document ends it."""
        if not opened_ms:
            return NOT_OPENED
        return 0 if self.is_open(opened_ms, now_ms) else NOT_SUPPORTED


@dataclass(frozen=True, slots=True)
class Stay:
    """A participant's time in a call at one tier, as far as it is over."""

    user_id: str
    tier: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Presence:
    """A participant who is in the call now, and since when at this tier."""

    user_id: str
    tier: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call: who is in it, and who was. It runs until it is ended, also with nobody in it."""

    call_id: str
    present: tuple[Presence, ...]
    stays: tuple[Stay, ...] = ()
    has_ended: bool = False


def refusal_of_participants(participants: Sequence[tuple[str, str]]) -> int:
    """0 when a call can start with these (UserID, tier)."""
    users = {user_id for user_id, _ in participants}
    is_right = users and len(users) == len(participants) and all(tier in TIERS for _, tier in participants)
    return 0 if is_right else PARTICIPANTS_WRONG


def started(call_id: str, participants: Iterable[tuple[str, str]], now_ms: int) -> Call:
    """A new call of (UserID, tier); ask `refusal_to_call` and `refusal_of_participants` first."""
    return Call(call_id, tuple(Presence(user_id, tier, now_ms) for user_id, tier in participants))


def joined(call: Call, user_id: str, tier: str, now_ms: int) -> Call:
    """One more participant, or another tier for one who is in."""
    assert not call.has_ended, "nobody joins a call that has ended"
    assert tier in TIERS, "the tier was checked"
    without = left(call, user_id, now_ms)
    return replace(without, present=(*without.present, Presence(user_id, tier, now_ms)))


def left(call: Call, user_id: str, now_ms: int) -> Call:
    """One participant less; nothing changes for one who is not in."""
    gone = tuple(_stay(one, now_ms) for one in call.present if one.user_id == user_id)
    return replace(
        call, present=tuple(one for one in call.present if one.user_id != user_id), stays=(*call.stays, *gone)
    )


def ended(call: Call, now_ms: int) -> Call:
    """The call without its participants; what they used is in `stays`."""
    gone = tuple(_stay(one, now_ms) for one in call.present)
    return replace(call, present=(), stays=(*call.stays, *gone), has_ended=True)


def seconds_by_participant(call: Call, from_ms: int, to_ms: int) -> dict[tuple[str, str], int]:
    """Seconds by (UserID, tier) that fall into a span of time, `to_ms` outside; who is in counts up to its end.

    An instant counts by its whole second. Hence the seconds of two spans that meet are those of the span that they
    make: cutting a call at a month's boundary, or by a change of tier, gains and loses nothing.

    >>> call = ended(started("1", [("user_1", "hd")], 1_900), 62_100)
    >>> seconds_by_participant(call, 0, 100_000)
    {('user_1', 'hd'): 61}
    >>> [seconds_by_participant(call, *span)["user_1", "hd"] for span in ((0, 30_000), (30_000, 100_000))]
    [29, 32]
    """
    seconds: Counter[tuple[str, str]] = Counter()
    for stay in (*call.stays, *(_stay(one, to_ms) for one in call.present)):
        start_ms, end_ms = max(stay.from_ms, from_ms), min(stay.to_ms, to_ms)
        if start_ms < end_ms:
            seconds[stay.user_id, stay.tier] += end_ms // 1_000 - start_ms // 1_000
    return {key: count for key, count in seconds.items() if count}


def seconds_by_tier(calls: Iterable[Call], from_ms: int, to_ms: int) -> dict[str, int]:
    """Seconds by tier of all participants of all these calls in a span: a month's are what its statement bills."""
    seconds: Counter[str] = Counter()
    for call in calls:
        for (_, tier), count in seconds_by_participant(call, from_ms, to_ms).items():
            seconds[tier] += count
    return in_order(seconds)


def added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The sum of two counts by tier: of calls that have ended and calls that still run, say."""
    return in_order({tier: one.get(tier, 0) + other.get(tier, 0) for tier in TIERS})


def in_order(seconds: Mapping[str, int]) -> dict[str, int]:
    """By tier from audio to 4K, without those that were not used."""
    return {tier: seconds[tier] for tier in TIERS if seconds.get(tier)}


def _stay(one: Presence, end_ms: int) -> Stay:
    return Stay(one.user_id, one.tier, one.since_ms, end_ms)

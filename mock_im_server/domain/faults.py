"""Faults that an app's tests ask for: which calls are answered late or refused, how many of them, and when.

A rule draws by a seed of its own: the n-th call that it sees meets the same fate in every run. Calls that race for
being the n-th share these fates among them; how many meet a fault stays the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import Final, NamedTuple

LATENCY_MS_MAX: Final = 60_000
RULES_MAX: Final = 100


class FaultsRefusedError(ValueError):
    """Raised when rules cannot be used; the message says which one, and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """What calls of an API meet, in the app's time."""

    api: str
    """`service/command` as REST names it, for gateway and REST alike; `*` stands for any characters."""
    latency_ms: int = 0
    """Their answers leave this much later, in real time."""
    code: int = 0
    """They are refused with this error code and change nothing; 0: they are carried out."""
    share: float = 1.0
    """How many of them, as a part of 1."""
    from_ms: int | None = None
    until_ms: int | None = None
    """While the app's clock stands at `from_ms` or later and before `until_ms`; None: no limit."""
    seed: int = 0

    def covers(self, api: str, now_ms: int) -> bool:
        is_time = (self.from_ms is None or self.from_ms <= now_ms) and (self.until_ms is None or now_ms < self.until_ms)
        return is_time and fnmatchcase(api, self.api)


class Fault(NamedTuple):
    """What one call meets."""

    latency_ms: int
    code: int


class Faults:
    """An app's rules at work. The first rule whose draw is met decides."""

    def __init__(self, rules: Sequence[FaultRule]) -> None:
        """Raises FaultsRefusedError."""
        if len(rules) > RULES_MAX:
            raise FaultsRefusedError(f"{len(rules)} fault rules: {RULES_MAX} are the most")
        for number, rule in enumerate(rules, start=1):
            if problem := _problem(rule):
                raise FaultsRefusedError(
                    f"fault rule {number} ({repr(rule.api) if rule.api else 'without an api'}): {problem}"
                )
        self.rules = tuple(rules)
        self._draws = [Random(rule.seed) for rule in rules]  # noqa: S311 -- chance that can be repeated, not secrets

    def meet(self, api: str, now_ms: int) -> Fault | None:
        """What the next call of this API meets.

        >>> faults = Faults([FaultRule(api="openim/*", share=0.5, code=60008, seed=1)])
        >>> [faults.meet("openim/sendmsg", 0) is not None for _ in range(6)]
        [True, False, False, True, True, True]
        >>> faults.meet("profile/portrait_get", 0) is None
        True
        """
        for rule, draws in zip(self.rules, self._draws, strict=True):
            if rule.covers(api, now_ms) and draws.random() < rule.share:
                return Fault(rule.latency_ms, rule.code)
        return None


def _problem(rule: FaultRule) -> str:
    if not rule.api:
        return "name an api, like group_open_http_svc/create_group or *"
    if not 0 < rule.share <= 1:
        return f"share {rule.share} is no part of 1"
    if not 0 <= rule.latency_ms <= LATENCY_MS_MAX:
        return f"latency_ms {rule.latency_ms} is not within 0 and {LATENCY_MS_MAX}"
    if not rule.latency_ms and not rule.code:
        return "it does nothing; give it a latency_ms or an error code"
    if rule.from_ms is not None and rule.until_ms is not None and rule.from_ms >= rule.until_ms:
        return "until_ms must be after from_ms"
    return ""

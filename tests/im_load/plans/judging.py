"""What holds of every plan, and chance to play one by: in any order that could happen."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from im_load.plans import Plan, plan_from_json, plan_json
from im_load.plans.arrivals import VERBS, Arrivals

COLUMNS = ("users", "kinds", "times_ms", "sigs", "verbs", "groups", "players", "devices", "doors")


def assert_sound(plan: Plan) -> None:
    """The plan's parts fit each other, and a worker makes the same ones of what it is told."""
    told = plan_from_json(plan_json(plan))
    ends: dict[int, int] = {}
    for phase, again in zip(plan.phases, told.phases, strict=True):
        arrivals = phase.make()
        assert len(arrivals) == phase.size
        assert rows(arrivals) == rows(again.make())
        assert phase.from_ms >= ends.get(phase.day, 0), "phases of a day follow one another"
        ends[phase.day] = phase.until_ms
        assert (np.diff(arrivals.times_ms) >= 0).all()
        assert (arrivals.times_ms >= phase.from_ms).all()
        assert (arrivals.times_ms < phase.until_ms).all()
        codes = phase.expected.codes
        assert codes is None or sum(codes.values()) == phase.size
        for verb, (low, high) in phase.expected.admitted.items():
            assert 0 <= low <= high <= np.count_nonzero(arrivals.verbs == VERBS.index(verb))
    days = [phase.day for phase in plan.phases]
    assert days == sorted(days)


def assert_played_by_any_number_of_drivers(plan: Plan, drivers: int) -> None:
    for phase in plan.phases:
        arrivals = phase.make()
        shares = [arrivals.share(number, drivers) for number in range(drivers)]
        assert sorted(np.concatenate(shares).tolist()) == list(range(len(arrivals)))
        players = [set(arrivals.players[share].tolist()) for share in shares]
        assert sum(map(len, players)) == len(set.union(*players)), "a player belongs to one driver"


def rows(arrivals: Arrivals) -> list[tuple[int, ...]]:
    columns = [getattr(arrivals, name).tolist() for name in COLUMNS]
    return list(zip(*columns, strict=True))


def raced(arrivals: Arrivals, rng: np.random.Generator) -> Iterator[tuple[str, int, int]]:
    """Verb, user and group of all arrivals in an order that could happen: each player's own is kept."""
    order = rng.permutation(len(arrivals))
    players = arrivals.players[order]
    # A player's turns stay where chance put them; its arrivals take them in the plan's order.
    at = np.empty_like(order)
    at[np.argsort(players, kind="stable")] = np.argsort(arrivals.players, kind="stable")
    for place in at.tolist():
        yield VERBS[arrivals.verbs[place]], int(arrivals.users[place]), int(arrivals.groups[place])


class Outcome:
    """Codes and successes of a phase that was played."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.admitted: Counter[str] = Counter()

    def note(self, verb: str, code: int) -> None:
        self.codes[code] += 1
        self.admitted[verb] += not code


def assert_as_expected(plan: Plan, index: int, outcome: Outcome) -> None:
    expected = plan.phases[index].expected
    if expected.codes is not None:
        due = {code: count for code, count in expected.codes.items() if count}
        assert dict(outcome.codes) == due, f"phase {index}, day {plan.phases[index].day}"
    for verb, (low, high) in expected.admitted.items():
        assert low <= outcome.admitted[verb] <= high

"""How much of its users an access point can take, and which of them.

Shares are Envoy's priority loads
(https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority): a point takes its
health score in percent, the next one what is left up to its own score, and so on. Who belongs to a share is decided by
bands. The points' bands lie head to tail on a circle of a hundred numbers; a user has a number, made of the UserID,
and goes to the first point whose band holds it. Where no band does, the user draws another number, until one does:
so the points share the rest by their scores, which is Envoy's rule for a total below 100.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

OVERPROVISIONING_PERCENT: Final = 140
"""Envoy's default: a point that has lost less than 28.6 % of its capacity still serves all of its users."""
NUMBERS: Final = 100
"""Bands are whole percent, as Envoy's health scores are."""
ROUNDS_MAX: Final = 64
"""How many numbers a user draws at most."""

_EVERYBODY: Final = (1 << NUMBERS) - 1
_64_BITS: Final = (1 << 64) - 1


class State(StrEnum):
    """Whether an access point takes connections; a draining one keeps those it has and asks them to move."""

    UP = "up"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """How an access point is."""

    state: State = State.UP
    capacity_percent: int = 100

    @property
    def is_up(self) -> bool:
        return self.state is State.UP

    @property
    def score(self) -> int:
        """Envoy's health score.

        >>> [Health(capacity_percent=percent).score for percent in (100, 72, 71, 50, 25, 0)]
        [100, 100, 99, 70, 35, 0]
        """
        return min(100, self.capacity_percent * OVERPROVISIONING_PERCENT // 100)


class Band(NamedTuple):
    """The numbers from `start` on that a point takes, `percent` of them; after 99 comes 0."""

    start: int
    percent: int

    def holds(self, number: int) -> bool:
        return (number - self.start) % NUMBERS < self.percent

    @property
    def bits(self) -> int:
        """A bit for each number."""
        taken = ((1 << self.percent) - 1) << self.start
        return (taken | taken >> NUMBERS) & _EVERYBODY


def bands(scores: Sequence[int]) -> list[Band]:
    """The band of a point that takes everybody shifts nobody else's.

    >>> bands([60, 100, 60])
    [Band(start=0, percent=60), Band(start=60, percent=100), Band(start=60, percent=60)]
    """
    made = []
    start = 0
    for score in scores:
        made.append(Band(start, score))
        start = (start + score) % NUMBERS
    return made


def user_number(user_id: str, turn: int = 0) -> int:
    """The number that a user draws in a turn, 0 to 99: SplitMix64 of a hash of the UserID.

    >>> [user_number("alice", turn) for turn in range(3)]
    [93, 63, 58]
    """
    seed = int.from_bytes(blake2b(user_id.encode(errors="surrogatepass"), digest_size=8).digest(), "little")
    mixed = (seed + (turn + 1) * 0x9E3779B97F4A7C15) & _64_BITS
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _64_BITS
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _64_BITS
    mixed ^= mixed >> 31
    return (mixed >> 32) * NUMBERS >> 32


def turns(made: Sequence[Band], user_id: str) -> list[int]:
    """The turn in which each band first holds the user's number; ROUNDS_MAX where it never does.

    Points are tried turn by turn. As a turn depends on nothing but the band and the UserID, a point that is lost moves
    only its own users, and when it is back everybody is where he was.
    """
    found = [0 if band.percent == NUMBERS else ROUNDS_MAX for band in made]
    waiting = [index for index, band in enumerate(made) if 0 < band.percent < NUMBERS]
    for turn in range(ROUNDS_MAX):
        if not waiting:
            break
        number = user_number(user_id, turn)
        for index in waiting:
            if made[index].holds(number):
                found[index] = turn
        waiting = [index for index in waiting if found[index] == ROUNDS_MAX]
    return found


def shares(made: Sequence[Band]) -> list[int]:
    """Percent of the users that points with these bands get, the best first; 100 in all unless no band holds anybody.

    >>> shares(bands([70, 100]))
    [70, 30]
    >>> shares(bands([20, 30]))
    [40, 60]
    """
    left = _EVERYBODY
    first_turn = []
    for band in made:
        first_turn.append((band.bits & left).bit_count())
        left &= ~band.bits
    served = sum(first_turn)
    if not served:
        return first_turn
    # To the nearest percent, and never more than is left, as Envoy's tables have it; a percent that rounding leaves
    # over is the first point's.
    loads = []
    rest = 100
    for count in first_turn:
        loads.append(min(rest, (200 * count + served) // (2 * served)))
        rest -= loads[-1]
    first = next(index for index, load in enumerate(loads) if load)
    loads[first] += rest
    return loads

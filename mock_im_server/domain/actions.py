"""What an action asks of a store, and what comes back.

An action states its claims; the store applies it whole or not at all, in one order with all others, and says
what happened. The domain never reads a count, decides and writes back: between the reading and the writing
another action could take the last place.
"""

from typing import Final, NamedTuple

STALE_EPOCH: Final = -1
"""The code of an outcome whose action was built before the clock moved: build it again."""


class Quota(NamedTuple):
    """A set that may hold at most `limit` members, and the vendor's code when one more is refused."""

    name: str
    limit: int | None
    refusal: int


class Claim(NamedTuple):
    """A wish that `member` be in the quota's set; a member that is there already takes no further place."""

    quota: Quota
    member: str


class Need(NamedTuple):
    """A condition: `member` must be in the set `name`, or, with `is_in` false, must not."""

    name: str
    member: str
    refusal: int
    is_in: bool = True


class Draw(NamedTuple):
    """`amount` more on a counter, if it then stands at `limit` or below; a negative amount always fits."""

    counter: str
    amount: int
    limit: int | None = None
    refusal: int = 0


class Leave(NamedTuple):
    """`member` is in the set no more; that it never was is no refusal."""

    name: str
    member: str


class Clear(NamedTuple):
    """The end of a relation: the set `name` empties, and `member` leaves the set `inverse` + each of its members."""

    name: str
    inverse: str
    member: str


class Peak(NamedTuple):
    """A counter that keeps the largest size of the set `name` so far."""

    counter: str
    name: str


class Effects(NamedTuple):
    """What an action asks for beside its claims. Refused in the order of the fields: needs, claims, then draws."""

    needs: tuple[Need, ...] = ()
    draws: tuple[Draw, ...] = ()
    leaves: tuple[Leave, ...] = ()
    clears: tuple[Clear, ...] = ()
    peaks: tuple[Peak, ...] = ()


class Action(NamedTuple):
    """Claims that hold all together or not at all, under the clock's `epoch`. Without claims it only takes a number."""

    epoch: int
    claims: tuple[Claim, ...] = ()
    effects: Effects | None = None


class Outcome(NamedTuple):
    """The place of an action in the one order, and what it did.

    `number` is the dense number of the first claim's member, or without claims of the first leave's (0: none was ever
    given), `added` has bit i set when claim i put a new member into its set, `code` is 0 or the refusal of the first
    condition that did not hold, `drawn` are the counters of the draws afterwards.
    """

    seq: int
    code: int
    number: int
    added: int
    drawn: tuple[int, ...] = ()

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


class Action(NamedTuple):
    """Claims that hold all together or not at all, under the clock's `epoch`. Without claims it only takes a number."""

    epoch: int
    claims: tuple[Claim, ...] = ()


class Outcome(NamedTuple):
    """The place of an action in the one order, and what it did.

    `number` is the dense number of the first claim's member (0: none was ever given), `added` has bit i set when
    claim i put a new member into its set, `code` is 0 or the refusal of the first claim that did not fit.
    """

    seq: int
    code: int
    number: int
    added: int

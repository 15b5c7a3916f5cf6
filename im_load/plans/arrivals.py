"""What every plan is made of: arrivals in columns, and phases that end with a barrier.

An arrival is one request that the plan asks for. All arrivals of a player are played by one driver, in the plan's
order; different players race each other.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
import numpy.typing as npt

VERBS: Final = (
    "login",
    "import",
    "delete",
    "create_group",
    "destroy_group",
    "join_group",
    "quit_group",
    "open_call_trial",
    "start_call",
    "end_call",
    "resume",
)
"""As the ledger names them (`docs/run-files.md`)."""
LOGIN, IMPORT, DELETE, CREATE, DESTROY, JOIN, QUIT, OPEN_CALL_TRIAL, START_CALL, END_CALL, RESUME = range(len(VERBS))

GATEWAY: Final = 0
REST: Final = 1
CONTROL: Final = 2
DOORS: Final = (GATEWAY, REST, REST, GATEWAY, GATEWAY, GATEWAY, GATEWAY, CONTROL, CONTROL, CONTROL, GATEWAY)
"""Where each verb goes, unless a plan says otherwise: groups may go over REST as well."""
GROUP_VERBS: Final = (CREATE, DESTROY, JOIN, QUIT)

GOOD_SIG: Final = 0
BAD_SIG_CODES: Final = (70001, 70002, 70003, 70009, 70013, 70014)
"""What a refused login is refused with, by the way its UserSig is spoilt: `sig` − 1 is the index."""

NOBODY: Final = -1
"""In place of a user or a group: the request names none."""

SECOND_MS: Final = 1_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
STEPS_MS: Final = (*range(0, DAY_MS, HOUR_MS), DAY_MS - SECOND_MS)
"""Where the app's clock stands within a day: every hour, the first second and the last among them."""

Ints = npt.NDArray[np.int64]
type_range = tuple[int, int]
"""The least and the most, both possible."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A phase's arrivals in the order of the app's time; all arrays have one entry an arrival."""

    users: Ints
    """Index of the user, or NOBODY."""
    kinds: npt.NDArray[np.int8]
    """Indices into `kind_names`."""
    times_ms: npt.NDArray[np.int32]
    """Within the day."""
    sigs: npt.NDArray[np.int8]
    """`GOOD_SIG`, or 1 + an index into `BAD_SIG_CODES`."""
    verbs: npt.NDArray[np.int8]
    """Indices into `VERBS`."""
    groups: Ints
    """Number of the group or call that is named, or NOBODY."""
    players: Ints
    """Whose order counts: mostly the user."""
    devices: npt.NDArray[np.int8]
    """1 for a user's first device, 2 for the second: the session's instance."""
    doors: npt.NDArray[np.int8]
    """GATEWAY, REST or CONTROL."""
    kind_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.users)

    def share(self, number: int, count: int) -> Ints:
        """Places of the arrivals that driver `number` of `count` plays: all those of its players, in order."""
        return np.flatnonzero(self.players % count == number)

    def between(self, first: int, end: int) -> "Arrivals":
        """Those at some places, as arrivals of their own."""
        columns = {
            column.name: getattr(self, column.name)[first:end] for column in fields(self) if column.name != "kind_names"
        }
        return Arrivals(**columns, kind_names=self.kind_names)

    def codes(self) -> dict[int, int]:
        """How many answers of each code are due where only spoilt UserSigs are refused."""
        table = (0, *BAD_SIG_CODES)
        return {table[sig]: count for sig, count in sorted(Counter(self.sigs.tolist()).items())}


def arrivals(  # noqa: PLR0913 -- columns by name; what is one number for all may be given as one
    kind: str,
    verbs: int | npt.ArrayLike,
    *,
    count: int,
    users: int | npt.ArrayLike = NOBODY,
    groups: int | npt.ArrayLike = NOBODY,
    players: npt.ArrayLike | None = None,
    times_ms: int | npt.ArrayLike = 0,
    doors: int | npt.ArrayLike | None = None,
) -> Arrivals:
    """Columns of one kind; `players` are the users and each verb goes where it belongs, unless given."""

    def column(values: int | npt.ArrayLike, dtype: type[np.generic]) -> npt.NDArray[np.generic]:
        return np.broadcast_to(np.asarray(values, dtype=dtype), (count,))

    return Arrivals(
        users=column(users, np.int64),  # type: ignore[arg-type]  # the dtype is the one that was asked for
        kinds=column(0, np.int8),  # type: ignore[arg-type]
        times_ms=column(times_ms, np.int32),  # type: ignore[arg-type]
        sigs=column(GOOD_SIG, np.int8),  # type: ignore[arg-type]
        verbs=column(verbs, np.int8),  # type: ignore[arg-type]
        groups=column(groups, np.int64),  # type: ignore[arg-type]
        players=column(users if players is None else players, np.int64),  # type: ignore[arg-type]
        devices=column(1, np.int8),  # type: ignore[arg-type]
        doors=column(np.array(DOORS)[np.asarray(verbs)] if doors is None else doors, np.int8),  # type: ignore[arg-type]
        kind_names=(kind,),
    )


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to come of a phase, as far as it can be said beforehand."""

    codes: Mapping[int, int] | None
    """How many answers of each code; None where it is a race."""
    admitted: Mapping[str, type_range] = field(default_factory=dict)
    """The least and most successes, by verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a billing day. All its arrivals are answered before the next phase begins."""

    day: int
    """Days after the month's first; may lie beside the month."""
    make: Callable[[], Arrivals]
    count: int | None = None
    """How many arrivals; None: as many as are made."""
    outcome: Expected | None = None
    """None: all are admitted but those with a spoilt UserSig."""
    from_ms: int = 0
    until_ms: int = DAY_MS
    """The app's clock is moved through the hours of this span while the phase is played."""
    changes_ms: tuple[int, ...] = ()
    """Further instants at which the clock stands: something happens then."""
    is_at_once: bool = False
    """All are planned at the phase's first instant: a race. Otherwise at the run's rate, one after the other."""

    @property
    def size(self) -> int:
        return len(self.make()) if self.count is None else self.count

    @property
    def expected(self) -> Expected:
        return self.outcome or Expected(self.make().codes())

    def steps_ms(self) -> tuple[int, ...]:
        """Where the app's clock stands while the phase is played.

        >>> phase = Phase(day=0, make=lambda: None, from_ms=HOUR_MS + 1, until_ms=3 * HOUR_MS + 1)
        >>> [step / HOUR_MS for step in phase.steps_ms()[1:]]
        [2.0, 3.0]
        """
        stands = sorted({*STEPS_MS, *self.changes_ms})
        return (self.from_ms, *(step for step in stands if self.from_ms < step < self.until_ms))

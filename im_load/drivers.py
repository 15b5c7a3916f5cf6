"""A driver: plays many simulated users, sends their requests when they are due, and books the answers.

Where a request goes is a door's business: `gateway` and `rest`. What is due, and what became of it, stands here.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from im_load import chance, population
from im_load.gateway import Gateway
from im_load.ledger import PhaseColumns, type_row, type_unplanned_row
from im_load.plans.arrivals import CONTROL, GATEWAY, LOGIN, REST, Arrivals, Phase
from im_load.requests import ControlCalls, Frames, RestCalls
from im_load.rest import Lanes
from im_load.roaming import Roaming
from im_load.sockets import in_turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from im_load.worker import Assignment, Worker

BURST_MAX: Final = 100
"""Requests made before the hub may read answers again: keeps both directions moving."""
MIXED_BURST_MAX: Final = 20
"""The same where requests go through several doors: a login over the gateway must not outrun an import over REST."""
TICK_S: Final = 0.001
USERSIG_AGE_S: Final = 60
"""UserSigs are dated a little back, so that clocks a few seconds apart do not matter."""


@dataclass(frozen=True, slots=True)
class Share:
    """A driver's arrivals of a phase, as plain lists: indexing numpy one by one is several times dearer."""

    places: list[int]
    users: list[int]
    verbs: list[int]
    doors: list[int]
    groups: list[int]
    players: list[int]
    sigs: list[int]
    devices: list[int]
    platforms: list[int]
    """The vendor's numbers."""
    routes: list[int]
    """Numbers of the worker's `Routes`: where each goes; none where users ask dispatch for themselves."""
    homes: list[int]
    """Places of the plan's world."""
    keeps: list[bool]
    """Whether the session that begins with it is used later."""
    steps: list[int]
    """For each step of the clock, how many arrivals lie before its end; at −1 none, as the phase has not begun."""
    day: int
    is_at_once: bool


class Door(Protocol):
    """A way to the server."""

    def open(self, share: Share) -> None:
        """Connect before it is needed, so that a race begins for all at the same instant."""

    def put(self, at: int) -> None:
        """Queue an arrival that is due; `at` is its place in the share."""

    def send(self) -> None:
        """Hand over what has been queued; returns as soon as more may be put."""

    def wait(self) -> None:
        """Until everything is answered or given up."""

    def give_up(self) -> None:
        """What is in flight has an unknown outcome from now on."""

    def close(self) -> None:
        """Leave in order."""


class Driver:
    """One of the run's drivers, with its share of the plan."""

    def __init__(self, worker: "Worker", assignment: "Assignment", number: int) -> None:
        plan = worker.plan
        self.worker = worker
        self.issued = 0
        self.answered = 0
        self.admitted = 0
        self.unplanned = 0
        """Requests that the plan did not ask for."""
        self.failure: str | None = None
        self.share: Share
        self._number = number
        self._drivers = assignment.drivers
        self._rate = assignment.rate
        self._connections = 0
        self._sources = in_turn(assignment.sources)
        key = assignment.sdkappid, assignment.key
        self._frames, self._calls = Frames(plan, *key), RestCalls(plan, *key)
        control = ControlCalls(plan, assignment.sdkappid, assignment.control_prefix)
        headers = {"Authorization": f"Bearer {assignment.control_token}"}
        self._doors: dict[int, Door] = {
            GATEWAY: Roaming(self, assignment, self._frames) if plan.roams else Gateway(self, assignment, self._frames),
            REST: Lanes(self, "REST", assignment.rest_address, self._calls),
            CONTROL: Lanes(self, "CONTROL", assignment.control_address, control, headers),
        }
        self._in_use: list[Door] = []

    def prepare(self, phase: Phase, arrivals: Arrivals, columns: PhaseColumns) -> None:
        """Take this driver's arrivals of a phase, and connect for them."""
        places = arrivals.share(self._number, self._drivers)
        numbers = np.array(population.PLATFORM_NUMBERS)
        self.share = Share(
            places=places.tolist(),
            users=arrivals.users[places].tolist(),
            verbs=arrivals.verbs[places].tolist(),
            doors=arrivals.doors[places].tolist(),
            groups=arrivals.groups[places].tolist(),
            players=arrivals.players[places].tolist(),
            sigs=arrivals.sigs[places].tolist(),
            devices=arrivals.devices[places].tolist(),
            platforms=numbers[columns.platforms[places]].tolist(),
            routes=self.worker.routes_of(arrivals, columns, places),
            homes=columns.homes[places].tolist(),
            keeps=self._keeps(arrivals)[places].tolist(),
            day=phase.day,
            steps=_steps(arrivals.times_ms[places], phase.steps_ms()),
            is_at_once=phase.is_at_once,
        )
        signed_s = self.worker.real_s() - USERSIG_AGE_S
        self._frames.sign_from(signed_s)
        self._calls.sign_from(signed_s)
        # The slower doors first, for the same reason.
        self._in_use = [self._doors[door] for door in sorted(set(self.share.doors), reverse=True)]
        for door in self._in_use:
            door.open(self.share)

    def _keeps(self, arrivals: Arrivals) -> "NDArray[np.bool_]":
        plan = self.worker.plan
        kinds = [
            kind for kind, name in enumerate(arrivals.kind_names) if plan.keeps_sessions or name == plan.resumed_kind
        ]
        keeps: NDArray[np.bool_] = (arrivals.verbs == LOGIN) & np.isin(arrivals.kinds, kinds)
        return keeps

    def play(self, zero_us: int) -> None:
        """Send every arrival of the phase no earlier than planned, then wait for all answers."""
        self._zero_us = zero_us
        self._us_each = 0 if self.share.is_at_once else 1_000_000 / self._rate
        self._each_due()
        for door in self._in_use:
            door.wait()

    def abort(self) -> None:
        self.fail("stopped by the conductor")

    def fail(self, text: str) -> None:
        """The first failure ends the driver's part in the run."""
        self.failure = self.failure or text
        for door in self._doors.values():
            door.give_up()

    def close(self) -> None:
        for door in self._doors.values():
            door.give_up()
            door.close()

    def planned_us(self, at: int) -> int:
        """When an arrival of the share was to be sent, in µs since the run's zero."""
        return self._zero_us + int(self.share.places[at] * self._us_each)

    def book(self, rows: Sequence[type_row], *, answered: int, admitted: int) -> None:
        """Answers, and requests that nobody hopes for any more."""
        self.worker.ledger.extend(rows)
        self.answered += answered
        self.admitted += admitted

    def book_unplanned(self, rows: Sequence[type_unplanned_row], *, answered: int) -> None:
        """The same for requests that the plan did not ask for."""
        self.worker.ledger.extend_unplanned(rows)
        self.answered += answered

    def unplanned_number(self) -> int:
        """A row number above all of the plan's, unlike any other of the run."""
        number = self.worker.arrivals + self.unplanned * self._drivers + self._number
        self.unplanned += 1
        return number

    def connection_id(self) -> str:
        """32 hex digits, unlike any other of this run, and the same in the next run with the same seed."""
        self._connections += 1
        return chance.hex_digits(self.worker.plan.options.seed, self._number, self._connections)

    def source(self) -> str | None:
        """The address from which its next connection comes; None: as the kernel pleases."""
        return next(self._sources)

    def _each_due(self) -> None:
        share, worker = self.share, self.worker
        at, count = 0, len(share.places)
        burst = BURST_MAX if len(self._in_use) == 1 else MIXED_BURST_MAX
        put: list[Callable[[int], None]] = [self._doors[door].put for door in (GATEWAY, REST, CONTROL)]
        while at < count and not self.failure:
            limit = min(share.steps[worker.step], self._due(count))
            if at >= limit:
                worker.wait_for_move(TICK_S)
                continue
            end = min(limit, at + burst)
            while at < end and not self.failure:
                put[share.doors[at]](at)
                at += 1
            for door in self._in_use:
                door.send()

    def _due(self, count: int) -> int:
        """How many arrivals of this driver are planned by now."""
        passed_us = self.worker.now_us() - self._zero_us
        if passed_us < 0:
            return 0
        if self.share.is_at_once:
            return count
        return bisect_right(self.share.places, int(passed_us / self._us_each))


def _steps(times_ms: "np.ndarray[tuple[int], np.dtype[np.int32]]", steps_ms: Sequence[int]) -> list[int]:
    ends = [int(times_ms.searchsorted(start)) for start in steps_ms[1:]]
    return [*ends, len(times_ms), 0]

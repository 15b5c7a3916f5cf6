"""The part of a run that one process plays: drivers that send a share of the plan and keep its ledger.

Knows the plan, drivers and the ledger. Talks to the conductor through messages that somebody else carries, and knows
nothing of Locust: samples go to a callback.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import gevent
import numpy as np
from gevent.event import Event

from im_load.dispatch import Dispatch
from im_load.drivers import Driver
from im_load.ledger import LedgerWriter, PhaseColumns
from im_load.plans import Plan, plan_from_json
from im_load.plans.arrivals import DAY_MS, GATEWAY, Arrivals, Ints
from im_load.rest import type_address
from im_load.routes import NOWHERE, Route, Routes

HAND_OVER_S: Final = 0.5
"""For messages that have been sent to leave the process before it ends."""
INTERRUPTED: Final = "the run was stopped before its end"

type_send = Callable[[str, dict[str, Any]], None]
type_sample = Callable[[str, str, float, int, str | None], None]
"""Door, name, service time in ms, bytes, and what went wrong."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the conductor tells a worker before the first phase."""

    plan: dict[str, Any]
    sdkappid: int
    key: str
    gateway_url: str
    rest_address: type_address
    control_address: type_address
    control_prefix: str
    control_token: str
    access_points: list[str]
    """The nearest point's code for each place of the plan's world; "" where a server has none."""
    routing_version: int | None
    """Of the table that said so."""
    probes: list[dict[str, float]]
    """For each place what a client there has measured, in ms by access point; empty for nothing."""
    back_off_s: float
    """The longest that a user waits before reconnecting for the first time."""
    first_rows: list[int]
    """Number of each phase's first arrival in the run."""
    month_start_ms: int
    rate: float
    connections: str
    sources: list[str]
    """Addresses that connections come from, in turn; none: the kernel's choice."""
    zero_ns: int
    """The run's zero on the monotonic clock, which processes of one machine share."""
    shares: list[int]
    drivers: int


class Worker:
    """One process's share of a run."""

    def __init__(self, index: int, send: type_send, sample: type_sample) -> None:
        self.index = index
        self._send = send
        self.sample = sample
        self.drivers_wanted = 0
        self._assignment: Assignment | None = None
        self.floor_ms = 0
        self.ceiling_ms = 0
        self.step = 0
        self._moved = Event()
        self._drained = Event()
        self._drivers: list[Driver] = []

    def ready(self) -> None:
        """A driver has been spawned and waits for its share."""
        self.drivers_wanted += 1
        self._send("im_ready", {"worker": self.index})

    def assign(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._zero_ns = assignment.zero_ns
        self.plan: Plan = plan_from_json(assignment.plan)
        self.drivers = assignment.drivers
        """Of the whole run."""
        self.ledger = LedgerWriter(self._hand_over)
        self.arrivals = assignment.first_rows[-1]
        """Of the whole run."""
        self.routes = Routes()
        version = assignment.routing_version
        numbers = [self.routes.number(Route(point, version)) for point in assignment.access_points]
        self._route_of = np.array([*numbers, self.routes.number(NOWHERE)])
        """For each place of the world; the last is for what does not go to an access point."""
        self.dispatch = Dispatch(
            assignment.rest_address, assignment.sdkappid, self.plan.world, self.routes, probes=assignment.probes
        )
        self._drivers = [Driver(self, assignment, share) for share in assignment.shares]
        self._acknowledge("assign")

    def prepare_phase(self, index: int) -> None:
        """Compute this process's share of a phase, and connect for it, before its clock starts to run."""
        assignment = self._assignment
        assert assignment is not None, "a worker is assigned before it plays"
        phase = self.plan.phases[index]
        arrivals = phase.make()
        columns = PhaseColumns(
            arrivals,
            self.plan,
            routes=self.routes,
            first_row=assignment.first_rows[index],
            day_start_ms=assignment.month_start_ms + phase.day * DAY_MS,
        )
        self.ledger.begin_phase(columns)
        for driver in self._drivers:
            driver.prepare(phase, arrivals, columns)
        self.step = -1
        self._acknowledge("phase")

    def routes_of(self, arrivals: Arrivals, columns: PhaseColumns, places: Ints) -> list[int]:
        """Numbers of the routes of some arrivals, by where their users live; none where users ask for themselves."""
        if self.plan.roams:
            return []
        goes = arrivals.doors[places] == GATEWAY
        return list(self._route_of[np.where(goes, columns.homes[places], -1)].tolist())

    def begin_phase(self, index: int, zero_us: int, app_ms: int) -> None:
        """Start sending: the phase's first arrival is planned at `zero_us`."""
        self.raise_ceiling(app_ms)
        self.raise_floor(0, app_ms)
        gevent.spawn(self._play, index, zero_us)

    def raise_ceiling(self, app_ms: int) -> None:
        """The app's clock may stand at `app_ms` from now on."""
        self.ceiling_ms = app_ms
        self._acknowledge("ceiling")

    def raise_floor(self, step: int, app_ms: int) -> None:
        """The app's clock has reached `app_ms`; arrivals of this step may go."""
        self.floor_ms = app_ms
        self.step = step
        self._moved.set()
        self._moved.clear()

    def know_routing(self, version: int) -> None:
        """An access point has changed."""
        self.dispatch.know(version)

    def wait_for_move(self, timeout_s: float) -> None:
        self._moved.wait(timeout_s)

    def now_us(self) -> int:
        return (time.monotonic_ns() - self._zero_ns) // 1_000

    @staticmethod
    def real_s() -> int:
        """Real time in Unix seconds, by which signatures are dated."""
        return int(time.time())

    def drain(self) -> None:
        """Finish: hand over what is left of the ledger, then the totals."""
        if self._assignment is None or self._drained.is_set():
            return
        for driver in self._drivers:
            driver.close()
        self.ledger.close()
        self._send("im_totals", {"worker": self.index, "rows": self.ledger.rows, **self._counts()})
        self._drained.set()

    def leave(self, timeout_s: float) -> None:
        """This process has been told to end: ask for the end of the run, and wait until the ledger is handed over."""
        if self._assignment is None or self._drained.is_set():
            return
        self._send("im_failed", {"worker": self.index, "code": "interrupted", "text": INTERRUPTED})
        self._drained.wait(timeout_s)
        gevent.sleep(HAND_OVER_S)

    def abort(self) -> None:
        """Stop sending; what is still in flight becomes a row with an unknown outcome."""
        for driver in self._drivers:
            driver.abort()

    def report(self) -> None:
        """Tell the conductor how far this worker is."""
        if self._drivers:
            self._send("im_progress", {"worker": self.index, **self._counts()})

    def _play(self, index: int, zero_us: int) -> None:
        plays = [gevent.spawn(driver.play, zero_us) for driver in self._drivers]
        gevent.joinall(plays)
        failures = [driver.failure for driver in self._drivers if driver.failure]
        errors = [repr(play.exception) for play in plays if play.exception is not None]
        if errors:
            self._send(
                "im_failed",
                {"worker": self.index, "code": "harness_error", "text": f"worker {self.index}: {errors[0]}"},
            )
        elif failures:
            self._send(
                "im_failed",
                {"worker": self.index, "code": "server_lost", "text": f"worker {self.index}: {failures[0]}"},
            )
        else:
            self._send("im_phase_done", {"worker": self.index, "phase": index, **self._counts()})

    def _counts(self) -> dict[str, int]:
        return {
            "issued": sum(driver.issued for driver in self._drivers),
            "answered": sum(driver.answered for driver in self._drivers),
            "admitted": sum(driver.admitted for driver in self._drivers),
            "reconnects": sum(driver.unplanned for driver in self._drivers),
        }

    def _acknowledge(self, what: str) -> None:
        self._send("im_ack", {"worker": self.index, "what": what})

    def _hand_over(self, data: bytes) -> None:
        if data:
            self._send("im_ledger", {"worker": self.index, "data": data})


def assignment_from(data: Mapping[str, Any]) -> Assignment:
    return Assignment(**data)

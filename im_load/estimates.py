"""What a load needs and how long it takes, by figures that were measured on the machine of the README.

They are rough, and no more is needed: to see beforehand what cannot go well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from im_load.gateway import FRESH_CONNECTIONS_MAX
from im_load.machine import Machine, Needs
from im_load.plans.arrivals import CONTROL, GATEWAY, REST
from im_load.rest import LANES

ACCESS_POINTS: Final = 29

# Requests that both cores carry in a second, by door; a login with a connection of its own is dearest.
GATEWAY_PER_S: Final = 30_000
FRESH_PER_S: Final = 2_000
REST_PER_S: Final = 5_000
MIXED_PER_S: Final = 12_500
"""Over the gateway and REST at once, most of them over the gateway."""
CONTROL_PER_S: Final = 800
START_S: Final = 3.0
STEP_S: Final = 0.0015
"""For a step of the clock, whatever happens in it."""
PHASE_S: Final = 0.01
"""To prepare it and to end it."""
AUDIT_S: Final = 2.0
AUDIT_PER_ROW_S: Final = 6e-6
REPLAY_PER_ROW_S: Final = 27e-6
"""Where the journal is replayed at a cap, or every login is routed again."""

LEDGER_ROW_BYTES: Final = 125
JOURNAL_ROW_BYTES: Final = 100
FRESH_LEDGER_ROW_BYTES: Final = 160
FRESH_JOURNAL_ROW_BYTES: Final = 450
GROUP_JOURNAL_ROW_BYTES: Final = 300
"""Where most rows are of groups."""
RUN_BYTES: Final = 3_000_000
"""Of what does not grow with the requests."""
PROCESS_BYTES: Final = 110_000_000
"""Of a worker or server before its first request."""
PLAN_ROW_BYTES: Final = 80
"""Of a plan's computed days, in each worker."""
DAY_ROW_BYTES: Final = 250
"""Of the busiest day's requests on top, shared by the workers."""
USER_BYTES: Final = 350
"""Of a user whom the server knows and who is online."""
GROUP_BYTES: Final = 1_200
"""Of a group on the server."""
ROAMER_BYTES: Final = 400
"""Of a user online who has to find the way back when an access point is lost."""
AUDIT_BYTES: Final = 250_000_000
AUDIT_ROW_BYTES: Final = 730
REPLAY_ROW_BYTES: Final = 1_000
DESCRIPTORS: Final = 60
"""Of a process before its first connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A part of a load: requests and the clock's steps through them."""

    rows: int
    steps: int = 1
    is_at_once: bool = False
    """As fast as it goes, whatever the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of a machine; requests and users are counted, not made."""

    paces: Sequence[Pace]
    busiest_rows: int
    """Of a day."""
    users: int
    """On the busiest day."""
    rate: float
    doors: frozenset[int] = frozenset({GATEWAY})
    has_own_connections: bool = False
    """Whether every login makes a connection."""
    roams: bool = False
    groups: int = 0
    """At once."""
    is_embedded: bool = True
    """Whether the server runs here too."""
    workers: int = 1
    drivers: int = 1

    @property
    def rows(self) -> int:
        return sum(pace.rows for pace in self.paces)

    @property
    def is_replayed(self) -> bool:
        """Whether the audit does more than to count logins: groups and calls, or each login's route."""
        return self.roams or self.doors != {GATEWAY}

    @property
    def run_bytes(self) -> int:
        """What the run's directory holds in the end."""
        ledger = FRESH_LEDGER_ROW_BYTES if self.has_own_connections else LEDGER_ROW_BYTES
        return RUN_BYTES + ledger * self.rows + self._journal_bytes

    @property
    def connections(self) -> int:
        """Open at once."""
        trunks = FRESH_CONNECTIONS_MAX if self.has_own_connections else ACCESS_POINTS
        lanes = LANES * len(self.doors - {GATEWAY})
        return self.drivers * (trunks * (GATEWAY in self.doors) + lanes)

    def needs(self) -> Needs:
        """What it asks of a machine at its worst moment."""
        planned = self.workers * (PROCESS_BYTES + PLAN_ROW_BYTES * self.rows)
        played = DAY_ROW_BYTES * self.busiest_rows + ROAMER_BYTES * self.users * self.roams
        server = (PROCESS_BYTES + USER_BYTES * self.users + GROUP_BYTES * self.groups) * self.is_embedded
        audit = AUDIT_BYTES + (REPLAY_ROW_BYTES if self.is_replayed else AUDIT_ROW_BYTES) * self.rows
        return Needs(
            # The server has ended when the audit begins, and the days have been handed over.
            memory_bytes=planned + max(played + server, audit),
            # The embedded server's own journal goes when the run has its copy.
            disk_bytes=self.run_bytes + self._journal_bytes * self.is_embedded,
            descriptors=DESCRIPTORS + (self.connections if self.is_embedded else -(-self.connections // self.workers)),
            connections=self.connections,
        )

    def fastest(self, machine: Machine) -> float:
        """Requests a second, at most."""
        by_doors = {frozenset({GATEWAY}): GATEWAY_PER_S, frozenset({REST}): REST_PER_S}
        by_doors |= {frozenset({CONTROL}): CONTROL_PER_S}
        fastest = FRESH_PER_S if self.has_own_connections else by_doors.get(self.doors, MIXED_PER_S)
        # Client and server have a core each; what more there is does not help either.
        return fastest * machine.speed * min(1.0, machine.cores / 2)

    def reached(self, machine: Machine) -> float:
        """Requests a second: as planned, or as fast as this machine can."""
        fastest = self.fastest(machine)
        return fastest if all(pace.is_at_once for pace in self.paces) else min(self.rate, fastest)

    def seconds(self, machine: Machine) -> float:
        """Roughly how long it takes here, audit included."""
        played = sum(
            PHASE_S
            + STEP_S * pace.steps
            + pace.rows / (self.fastest(machine) if pace.is_at_once else self.reached(machine))
            for pace in self.paces
        )
        each_s = REPLAY_PER_ROW_S if self.is_replayed else AUDIT_PER_ROW_S
        return START_S + played + (AUDIT_S + each_s * self.rows) / machine.speed

    @property
    def _journal_bytes(self) -> int:
        if self.has_own_connections:
            return FRESH_JOURNAL_ROW_BYTES * self.rows
        return (GROUP_JOURNAL_ROW_BYTES if self.groups else JOURNAL_ROW_BYTES) * self.rows

"""What this machine lets a load test do: each limit with what it allows, then the load that is feasible.

By the same figures as a dry run: measured ones, times the speed of a core here.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from im_load.dry_run import duration
from im_load.estimates import DESCRIPTORS, Load, Pace
from im_load.machine import Machine, Needs, size
from im_load.options import DAU_MAX, DEFAULT_RATE
from im_load.plans.arrivals import GATEWAY, REST, STEPS_MS
from im_load.plans.month import ARRIVALS_PERMILLE

USERS: Final = 1_000_000
"""Of the day that is looked at unless another is wanted: that of `make demo`."""
ROUND: Final = 10_000
"""To so many users the largest feasible day is found."""
CORES_GOOD: Final = 2
SPEED_GOOD: Final = 0.5
DESCRIPTORS_GOOD: Final = 10_000
PORTS_GOOD: Final = 10_000
BACKLOG_GOOD: Final = 1_024
FINE, LOW = "ok", "low"
_PLENTY: Final = 2**62


@dataclass(frozen=True, slots=True)
class Check:
    """One limit of the machine."""

    name: str
    value: str
    allows: str
    remedy: str = ""
    """What to do about it, where it is low."""

    def text(self) -> str:
        """Write it for the terminal: a line, and one more where something is to be done."""
        line = f"{LOW if self.remedy else FINE:4} {self.name:12} {self.value:15} {self.allows}"
        return f"{line}\n{'':34}{self.remedy}" if self.remedy else line


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A load that somebody wants to play here: a day, on a server of the harness's own."""

    users: int = USERS
    connections: int = 0
    """Open at once; 0: as many as that takes."""
    rate: float = 0.0
    """Requests a second; 0: as many as it may be."""
    is_per_user: bool = False
    """Whether every login makes a connection."""


@dataclass(frozen=True, slots=True)
class Examination:
    """A machine, looked at."""

    machine: Machine
    wish: Wish = field(default_factory=Wish)

    def lacks(self) -> list[str]:
        """Why the wanted load is not feasible here, a sentence each; empty when it is."""
        wish, machine = self.wish, self.machine
        load = _day(wish.users, wish)
        lacks = machine.lacks(_with(load.needs(), wish.connections))
        if wish.rate > (fastest := load.fastest(machine)):
            lacks.append(f"speed: {wish.rate:,.0f}/s are wanted, some {fastest:,.0f}/s can be had")
        return lacks

    def text(self) -> str:
        """Say all of it, for the terminal."""
        found = [check.text() for check in checks(self.machine)]
        return "\n".join([*found, "", "feasible here, with client and server on this machine", *self._feasible()])

    def verdict(self) -> str:
        """Say whether the wanted load is feasible, in one line."""
        lacks = self.lacks()
        load = _day(self.wish.users, self.wish)
        if lacks:
            return f"not feasible here: {self._wanted()}\n  " + "\n  ".join(lacks)
        return f"feasible: {self._wanted()}, in about {duration(load.seconds(self.machine))}"

    def _wanted(self) -> str:
        wish = self.wish
        each = ", each login with a connection of its own" if wish.is_per_user else ""
        rate = f" at {wish.rate:,.0f}/s" if wish.rate else ""
        connections = f" and {wish.connections:,} connections at once" if wish.connections else ""
        return f"a day of {wish.users:,} users{rate}{connections}{each}"

    def _feasible(self) -> Iterator[str]:
        machine = self.machine
        trunks, alone = _day(USERS), _day(USERS, Wish(is_per_user=True))
        rest = replace(trunks, doors=frozenset({REST}))
        yield f"  {trunks.fastest(machine):,.0f} logins/s over trunks that carry the sessions of many"
        yield f"  {alone.fastest(machine):,.0f} logins/s with a connection each"
        yield f"  {rest.fastest(machine):,.0f} REST calls/s"
        yield f"  {connections_max(machine):,} connections at once on one server process"
        most = users_max(machine)
        yield f"  a day of {most:,} users, in about {duration(_day(most).seconds(machine))}"


def checks(machine: Machine) -> Iterator[Check]:
    """Look at each limit."""
    has_one = machine.cores < CORES_GOOD
    yield Check(
        "cores",
        str(machine.cores),
        "client and server share one" if has_one else "client and server have one each",
        "two or more nearly double the logins/s; or run the server elsewhere (--host)" if has_one else "",
    )
    yield Check(
        "speed",
        f"{machine.speed:.2f}",
        "of a core of the machine of the README's figures, as it is now",
        "end what else is running here, or plan a lower --rate" if machine.speed < SPEED_GOOD else "",
    )
    for name, bytes_free, needs in (
        ("memory", machine.memory_bytes, replace(machine, disk_bytes=_PLENTY)),
        ("disk", machine.disk_bytes, replace(machine, memory_bytes=_PLENTY)),
    ):
        users = users_max(needs)
        remedy = "" if users >= USERS else f"free some {name}, or play fewer users; a dry run says what a run needs"
        yield Check(name, f"{size(bytes_free)} free", f"a day of {users:,} users", remedy)
    few = machine.descriptors < DESCRIPTORS_GOOD
    yield Check(
        "descriptors",
        f"{machine.descriptors:,}",
        f"{max(0, machine.descriptors - DESCRIPTORS):,} connections in one process",
        f"ulimit -n {DESCRIPTORS_GOOD} allows more; a lasting limit stands in /etc/security/limits.conf" if few else "",
    )
    narrow = machine.ports < PORTS_GOOD
    yield Check(
        "ports",
        f"{machine.ports:,}",
        f"of an address, and {machine.addresses} addresses from which a server here can be reached",
        "sysctl net.ipv4.ip_local_port_range widens the range" if narrow else "",
    )
    short = machine.backlog < BACKLOG_GOOD
    yield Check(
        "backlog",
        f"{machine.backlog:,}",
        "connections may come at the same instant",
        "sysctl net.core.somaxconn=4096 allows more; beyond it they come a second late" if short else "",
    )


def connections_max(machine: Machine) -> int:
    """How many may be open at once, all on one server process."""
    return max(0, min(machine.descriptors - DESCRIPTORS, machine.ports * machine.addresses))


def users_max(machine: Machine) -> int:
    """The largest day that memory and disk allow, in steps of ten thousand users."""
    steps = range(1, DAU_MAX // ROUND + 1)
    return ROUND * bisect_left(steps, True, key=lambda step: bool(machine.lacks(_day(ROUND * step).needs())))  # noqa: FBT003 -- the first that lacks


def _day(users: int, wish: Wish | None = None) -> Load:
    rows = users * ARRIVALS_PERMILLE // 1_000
    return Load(
        paces=[Pace(rows=rows, steps=len(STEPS_MS))],
        busiest_rows=rows,
        users=users,
        rate=(wish and wish.rate) or DEFAULT_RATE,
        doors=frozenset({GATEWAY}),
        has_own_connections=wish is not None and wish.is_per_user,
    )


def _with(needs: Needs, connections: int) -> Needs:
    """The same with at least so many connections, which client and server hold in a process each."""
    more = max(0, connections - needs.connections)
    return replace(needs, connections=needs.connections + more, descriptors=needs.descriptors + more)

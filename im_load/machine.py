"""What this machine has to give: cores, memory, disk, descriptors, ports and speed; and what a load of it lacks."""

import hmac
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

PORT_RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
BACKLOG_FILE: Final = Path("/proc/sys/net/core/somaxconn")
CGROUP: Final = Path("/sys/fs/cgroup")
PORTS_USUAL: Final = 28_232
"""Of Linux, where the machine does not say."""
BACKLOG_USUAL: Final = 128
"""Of systems that do not say: what the oldest of them allow."""
DESCRIPTORS_RAISED: Final = 10_000
"""To so many Locust raises a lower limit, where it may; the server inherits it."""
MEMORY_SHARE: Final = 0.9
"""Of what is free; the rest is for everybody else."""
REFERENCE_S: Final = 0.0168
"""What `_work` takes on the 2-core machine of the README's figures."""
_TRIES: Final = 9
_ROUNDS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Needs:
    """What a load asks of a machine at its worst moment."""

    memory_bytes: int
    disk_bytes: int
    descriptors: int
    """Of the process that holds most."""
    connections: int
    """Open at once."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is free of it now."""

    cores: int
    memory_bytes: int
    disk_bytes: int
    descriptors: int
    ports: int
    """Of one source address."""
    addresses: int
    """From which the target can be reached."""
    backlog: int
    """Connections that may wait until a server accepts them."""
    speed: float
    """Of one core; that of the README's machine is 1."""

    def lacks(self, needs: Needs) -> list[str]:
        """Say what it cannot carry, a sentence each."""
        return list(self._lacks(needs))

    def _lacks(self, needs: Needs) -> Iterator[str]:
        memory, ports = int(self.memory_bytes * MEMORY_SHARE), self.ports * self.addresses
        if needs.memory_bytes > memory:
            yield f"memory: {size(needs.memory_bytes)} are needed, {size(memory)} can be had"
        if needs.disk_bytes > self.disk_bytes:
            yield f"disk: {size(needs.disk_bytes)} are needed, {size(self.disk_bytes)} are free"
        if needs.descriptors > self.descriptors:
            yield (
                f"descriptors: {needs.descriptors:,} are needed in one process, {self.descriptors:,} are allowed "
                f"(ulimit -n {needs.descriptors} raises it)"
            )
        if needs.connections > ports:
            yield f"ports: {needs.connections:,} are needed at once, {ports:,} are there (net.ipv4.ip_local_port_range)"


def here(folder: Path, addresses: int) -> Machine:
    """Look at this machine; `folder` says which disk is meant. Takes some tenths of a second."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        disk_bytes=shutil.disk_usage(_existing(folder)).free,
        descriptors=_descriptors(),
        ports=_ports(),
        addresses=addresses,
        backlog=int(_says(BACKLOG_FILE, str(BACKLOG_USUAL))),
        speed=REFERENCE_S / min(_work() for _ in range(_TRIES)),
    )


def size(count: float) -> str:
    """Write bytes for people.

    >>> size(512), size(81_234_567), size(3_000_000_000)
    ('1 kB', '81 MB', '3.0 GB')
    """
    if count >= 1e9:  # noqa: PLR2004 -- a gigabyte
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"  # noqa: PLR2004 -- a megabyte


def _descriptors() -> int:
    soft, hard = (
        sys.maxsize if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return DESCRIPTORS_RAISED if soft < DESCRIPTORS_RAISED <= hard else soft


def _memory_bytes() -> int:
    """What is free, in a container no more than what is left of its share."""
    free = int(psutil.virtual_memory().available)
    most, used = (_says(CGROUP / name, "") for name in ("memory.max", "memory.current"))
    return min(free, int(most) - int(used)) if most.isdecimal() and used.isdecimal() else free


def _ports() -> int:
    first, _, last = _says(PORT_RANGE_FILE, "").partition("\t")
    return int(last) - int(first) + 1 if last else PORTS_USUAL


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _says(file: Path, otherwise: str) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return otherwise


def _work() -> float:
    """Take the CPU time of what a driver does most: small strings and digests."""
    began_s = time.thread_time()
    for number in range(_ROUNDS):
        hmac.digest(b"key", f"user_{number:07d}".encode(), "sha256")
    return time.thread_time() - began_s

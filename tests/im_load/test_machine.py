"""What a machine has, and what it says it lacks."""

from dataclasses import replace
from pathlib import Path

import pytest

from im_load import machine
from im_load.machine import Machine, Needs

ROOMY = Machine(
    cores=2,
    memory_bytes=10_000_000_000,
    disk_bytes=1_000_000_000,
    descriptors=1_000,
    ports=28_232,
    addresses=1,
    backlog=4_096,
    speed=1.0,
)
NEEDS = Needs(memory_bytes=9_000_000_000, disk_bytes=1_000_000_000, descriptors=1_000, connections=28_232)


def test_what_just_fits_is_carried() -> None:
    assert ROOMY.lacks(NEEDS) == []


@pytest.mark.parametrize(
    ("too_much", "says"),
    [
        ({"memory_bytes": 9_100_000_000}, "memory: 9.1 GB are needed, 9.0 GB can be had"),
        ({"disk_bytes": 1_000_000_001}, "disk: 1.0 GB are needed, 1.0 GB are free"),
        ({"descriptors": 1_001}, "descriptors: 1,001 are needed in one process, 1,000 are allowed (ulimit -n 1001"),
        ({"connections": 28_233}, "ports: 28,233 are needed at once, 28,232 are there"),
    ],
)
def test_what_does_not_fit_is_said_with_its_reason(too_much: dict[str, int], says: str) -> None:
    (said,) = ROOMY.lacks(replace(NEEDS, **too_much))
    assert said.startswith(says)


def test_all_that_is_missing_is_said_at_once() -> None:
    assert len(ROOMY.lacks(Needs(10**12, 10**12, 10**6, 10**6))) == 4


def test_each_address_has_its_own_ports() -> None:
    busy = replace(NEEDS, connections=100_000)
    assert len(replace(ROOMY, addresses=3).lacks(busy)) == 1
    assert replace(ROOMY, addresses=4).lacks(busy) == []


def test_this_machine_has_something_of_everything(tmp_path: Path) -> None:
    found = machine.here(tmp_path / "not" / "yet", addresses=1)
    assert min(found.cores, found.memory_bytes, found.disk_bytes, found.descriptors, found.ports, found.speed) > 0


def test_a_container_has_no_more_memory_than_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.here(tmp_path, addresses=1).memory_bytes == 2_000_000

"""The doctor says of each limit what it allows, of a low one what to do, and of a load whether it is feasible."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from im_load.__main__ import main
from im_load.doctor import Examination, Wish, checks, connections_max, users_max
from im_load.machine import Machine
from tests.im_load.test_machine import ROOMY

GOOD = replace(ROOMY, disk_bytes=10**12, descriptors=20_000, addresses=64)


def low(machine: Machine) -> dict[str, str]:
    return {check.name: check.remedy for check in checks(machine) if check.remedy}


def test_each_limit_is_a_line_that_says_what_it_allows() -> None:
    lines = Examination(GOOD).text().splitlines()

    assert [line.split()[:2] for line in lines[:7]] == [
        ["ok", name] for name in ("cores", "speed", "memory", "disk", "descriptors", "ports", "backlog")
    ]
    assert lines[4] == "ok   descriptors  20,000          19,940 connections in one process"
    assert "  30,000 logins/s over trunks that carry the sessions of many" in lines


@pytest.mark.parametrize(
    ("changed", "name", "says"),
    [
        ({"cores": 1}, "cores", "--host"),
        ({"speed": 0.4}, "speed", "--rate"),
        ({"memory_bytes": 10**9}, "memory", "free some memory"),
        ({"disk_bytes": 10**8}, "disk", "free some disk"),
        ({"descriptors": 1_024}, "descriptors", "ulimit -n 10000"),
        ({"ports": 5_000}, "ports", "net.ipv4.ip_local_port_range"),
        ({"backlog": 128}, "backlog", "net.core.somaxconn"),
    ],
)
def test_a_low_limit_is_said_with_what_to_do(changed: dict[str, int], name: str, says: str) -> None:
    assert low(GOOD) == {}
    found = low(replace(GOOD, **changed))
    assert list(found) == [name]
    assert says in found[name]


def test_the_largest_day_is_just_feasible() -> None:
    most = users_max(GOOD)
    assert Examination(GOOD, Wish(users=most)).lacks() == []
    assert Examination(GOOD, Wish(users=most + 10_000)).lacks()[0].startswith("memory: ")


def test_as_many_connections_as_it_says_are_just_feasible() -> None:
    most = connections_max(GOOD)
    assert most == 19_940
    assert Examination(GOOD, Wish(connections=most)).lacks() == []
    assert Examination(GOOD, Wish(connections=most + 1)).lacks()[0].startswith("descriptors: 20,001 are needed")


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish(users=50_000_000), "memory: "),
        (Wish(rate=30_001), "speed: 30,001/s are wanted, some 30,000/s can be had"),
        (Wish(rate=2_001, is_per_user=True), "speed: 2,001/s are wanted, some 2,000/s can be had"),
        (Wish(connections=2_000_000), "descriptors: "),
    ],
)
def test_what_is_not_feasible_is_refused_with_the_reason(wish: Wish, says: str) -> None:
    verdict = Examination(GOOD, wish).verdict()
    assert verdict.startswith("not feasible here: a day of ")
    assert f"\n  {says}" in verdict


def test_ports_are_enough_only_from_many_addresses() -> None:
    narrow = replace(GOOD, ports=1_000)
    assert Examination(narrow, Wish(connections=10_000)).lacks() == []
    assert Examination(replace(narrow, addresses=1), Wish(connections=10_000)).lacks()[0].startswith("ports: ")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--users", "10000"], 0, "feasible: a day of 10,000 users, in about "),
        (["--rate", "10000000"], 1, "not feasible here: a day of 1,000,000 users at 10,000,000/s"),
        (["--users", "many"], 3, "doctor: argument --users: 'many': a whole number from 1 to 50000000 is needed"),
    ],
)
def test_the_command_ends_with_what_it_found(
    words: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["doctor", "--runs", str(tmp_path / "runs"), *words]))

    assert ended.value.code == code
    assert says in "".join(capsys.readouterr())
    assert list(tmp_path.iterdir()) == []

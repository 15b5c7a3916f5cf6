"""Each figure of the README: how it is measured, and what it should reach. Ratios are taken in one run."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from analysis.comparison import compare
from benchmarks import noisy_runs, pipelined_client, rest_client, servers
from benchmarks.login_frames import frames

ROUNDS = 5
SPIKE = ("--peak-dau", "1000000", "--month", "2026-10", "--seed", "7")


@dataclass(frozen=True, slots=True)
class Result:
    """A measured figure."""

    name: str
    value: float
    unit: str
    reach: str
    is_reached: bool
    detail: str


def spike_day() -> list[Result]:
    """Logins a second on the spike day, arrivals being planned faster than anybody answers; and the audit's time."""
    with tempfile.TemporaryDirectory() as runs:
        play_spike(runs, "--rate", "100000")
        run = next(path.resolve() for path in Path(runs).iterdir() if path.name == "latest")
        spike = json.loads((run / "manifest.json").read_text())["spike"]
        rate = spike["logins"] / spike["duration_s"]
        began = time.perf_counter()
        command = [sys.executable, "-m", "analysis", "audit", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        audit_s = time.perf_counter() - began
    return [
        Result(
            "acknowledged logins/s on the spike day",
            rate,
            "/s",
            "≥ 25,000",
            rate >= 25_000,
            f"{spike['logins']:,} logins in {spike['duration_s']:.1f} s, server and Locust on the same cores",
        ),
        Result("audit of the demo's run", audit_s, "s", "≤ 10", audit_s <= 10, "python -m analysis audit"),
    ]


def demo() -> list[Result]:
    """The wall time of what `make demo` runs, after set-up."""
    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        play_spike(runs)
        duration = time.perf_counter() - began
    return [
        Result("make demo after set-up", duration, "s", "≤ 100", duration <= 100, "from the command to the verdict")
    ]


def login_cpu() -> list[Result]:
    """Server CPU of a login against an echo of the same bytes: pairs of runs in turn, median of their ratios."""
    return [
        _login_cpu("one in flight on 100 connections", 100, 1, 3.5),
        _login_cpu("20 in flight on 50 connections", 50, 20, 5.0),
    ]


def _login_cpu(name: str, connections: int, in_flight: int, reach: float) -> Result:
    count = 100_000
    ratios, logins, echoes = [], [], []
    with servers.echo() as echo, servers.mock() as mock:
        for number in range(ROUNDS):
            made = frames(number * count, count)
            costs = []
            for server in (echo, mock):
                before = server.cpu_s()
                pipelined_client.run(server.port, made, connections, in_flight)
                costs.append((server.cpu_s() - before) / count * 1e6)
            echoes.append(costs[0])
            logins.append(costs[1])
            ratios.append(costs[1] / costs[0])
    ratio = median(ratios)
    detail = (
        f"{median(logins):.1f} µs a login, {median(echoes):.1f} µs an echo; ratios {min(ratios):.2f}–{max(ratios):.2f}"
    )
    return Result(f"server CPU of a login against an echo, {name}", ratio, "×", f"≤ {reach}", ratio <= reach, detail)


def memory() -> list[Result]:
    """What a user costs who has logged in once and left."""
    count, part = 1_000_000, 100_000
    with servers.mock() as mock:
        pipelined_client.run(mock.port, frames(0, part), 50, 20)
        before = mock.rss_bytes()
        for first in range(part, part + count, part):
            pipelined_client.run(mock.port, frames(first, part), 50, 20)
        time.sleep(1)
        each = (mock.rss_bytes() - before) / count
    detail = f"{count:,} users beyond the first {part:,}, connections closed"
    return [Result("server memory per known user who is offline", each, "bytes", "≤ 250", each <= 250, detail)]


def fresh_connections() -> list[Result]:
    """Logins a second with a connection each, against the same client on the echo."""
    count = 8_000
    ratios, rates = [], []
    with servers.echo() as echo, servers.mock() as mock:
        for number in range(ROUNDS):
            durations = [_fresh(server.port, number * count, count) for server in (echo, mock)]
            ratios.append(durations[0] / durations[1])
            rates.append(count / durations[1])
    ratio = median(ratios)
    detail = f"{median(rates):,.0f} logins/s; ratios {min(ratios):.2f}–{max(ratios):.2f}"
    return [Result("one connection per login, against echo", ratio, "×", "≥ 0.85", ratio >= 0.85, detail)]


def _fresh(port: int, first: int, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.fresh_client", str(port), str(first), str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rest() -> list[Result]:
    """REST `account_import` over kept connections, against a bare aiohttp handler and against moto's `put_item`."""
    count, connections = 20_000, 50
    costs: dict[str, list[float]] = {"mock": [], "bare": [], "moto": []}
    with servers.json_answers() as bare, servers.mock() as mock, servers.moto() as moto:
        rest_client.run(moto.port, [rest_client.table()], 1)
        for number in range(ROUNDS):
            imports = rest_client.imports(number * count, count)
            puts = rest_client.puts(number * count // 20, count // 20)
            for name, server, requests in (("bare", bare, imports), ("mock", mock, imports), ("moto", moto, puts)):
                before = server.cpu_s()
                rest_client.run(server.port, requests, connections)
                costs[name].append((server.cpu_s() - before) / len(requests))
    return [
        _rest("a bare aiohttp JSON handler", costs["mock"], costs["bare"], 0.6),
        _rest("moto's DynamoDB put_item", costs["mock"], costs["moto"], 12.0),
    ]


def _rest(against: str, mine: list[float], others: list[float], reach: float) -> Result:
    # Requests that a server can answer in a second of a core of its own: neighbours on the machine change it little.
    ratios = [other / one for one, other in zip(mine, others, strict=True)]
    ratio = median(ratios)
    rates = f"{1 / median(mine):,.0f} imports/s of server CPU against {1 / median(others):,.0f}/s"
    detail = f"{rates}; ratios {min(ratios):.2f}–{max(ratios):.2f}"
    return Result(f"REST account_import against {against}", ratio, "×", f"≥ {reach:g}", ratio >= reach, detail)


def comparison() -> list[Result]:
    """How often the comparison of runs cries wolf, and whether it hears one: simulated runs, 200 pairs of sides."""
    return [part for runs in (6, 10) for part in _comparison(runs)]


def _comparison(runs: int) -> list[Result]:
    false, found = (
        sum(bool(compare(*pair).worse) for pair in noisy_runs.pairs(200, runs, slower, seed=7)) / 200
        for slower in (1.0, 1.2)
    )
    detail = f"{runs} runs a side, {noisy_runs.REQUESTS:,} requests each, {noisy_runs.NOISE:.0%} of noise between runs"
    return [
        Result("false alarms of 200 comparisons of unchanged runs", 100 * false, "%", "≤ 1", false <= 0.01, detail),
        Result("20 % slow-downs found of 200", 100 * found, "%", "≥ 95", found >= 0.95, detail),
    ]


def play_spike(runs: str, *more: str) -> None:
    command = [str(Path(sys.executable).with_name("locust")), "-f", "locustfiles/dau_spike.py", "--headless"]
    subprocess.run([*command, "--runs", runs, *SPIKE, *more], check=True, stdout=subprocess.DEVNULL)


FIGURES: dict[str, Callable[[], list[Result]]] = {
    "spike_day": spike_day,
    "demo": demo,
    "login_cpu": login_cpu,
    "memory": memory,
    "fresh_connections": fresh_connections,
    "rest": rest,
    "compare": comparison,
}

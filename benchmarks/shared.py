"""Figures of several server processes on one Redis."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import psutil

from benchmarks import login_frames, pipelined_client, servers
from benchmarks.figures import ROUNDS, Result
from proofs.redis_server import redis_server

LOGINS = 60_000
CONNECTIONS = 50
IN_FLIGHT = 60
PROCESSES = 4
IDLE_CONNECTIONS = 50_000
KIB = 1_024
DAYS = (10_000, 100_000, 1_000_000)
FEW_USERS, MANY_USERS = 100_000, 20_000_000


def shared_store() -> list[Result]:
    """Logins a second of one server process with its counts in Redis against the same with its counts in memory."""
    rates: dict[str, list[float]] = {"memory": [], "redis": []}
    costs: dict[str, list[float]] = {"memory": [], "redis": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder)) as redis,
        servers.mock() as memory,
        servers.mock("--store", redis.url) as far,
    ):
        for number in range(ROUNDS):
            made = login_frames.frames(number * LOGINS, LOGINS)
            for name, server in (("memory", memory), ("redis", far)):
                before, began = server.cpu_s(), time.perf_counter()
                pipelined_client.run(server.port, made, CONNECTIONS, IN_FLIGHT)
                rates[name].append(LOGINS / (time.perf_counter() - began))
                costs[name].append((server.cpu_s() - before) / LOGINS * 1e6)
    ratio = median(rates["redis"]) / median(rates["memory"])
    detail = (
        f"{median(rates['redis']):,.0f} against {median(rates['memory']):,.0f} logins/s, {CONNECTIONS * IN_FLIGHT:,} "
        f"in flight; CPU of the server {median(costs['redis']):.1f} against {median(costs['memory']):.1f} µs a login"
    )
    return [
        Result(
            "logins/s with counts in Redis against in memory, one process", ratio, "×", "≥ 0.7", ratio >= 0.7, detail
        )
    ]


def idle_connections() -> list[Result]:
    """Memory of 50,000 idle connections on four server processes at one port."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server(folder))
        options = ("--store", redis.url, "--workers", str(PROCESSES), "--data-dir", str(folder / "data"))
        mock = stack.enter_context(servers.mock(*options))
        processes = [psutil.Process(pid) for pid in mock.ready["pids"]]
        before = _own_bytes(processes)
        for number in range(PROCESSES):
            stack.enter_context(_idle(mock.port, f"127.0.0.{10 + number}", IDLE_CONNECTIONS // PROCESSES))
        each = (_own_bytes(processes) - before) / IDLE_CONNECTIONS / KIB
        counts = [len(process.net_connections("tcp")) for process in processes]
    detail = f"memory of {PROCESSES} server processes that is theirs alone; they had {sorted(counts)} sockets"
    return [Result("an idle connection, server side", each, "KiB", "≤ 16", each <= 16, detail)]


def user_days() -> list[Result]:
    """What a login and a logout cost a server on days of ten thousand users to a million, counts in memory."""
    costs_us = {users: _day(users)[0] for users in DAYS}
    most = max(costs_us.values())
    detail = ", ".join(f"{users:,}: {cost_us:.1f} µs" for users, cost_us in costs_us.items())
    return [Result("server CPU of a login and logout, the dearest of the days", most, "µs", "–", True, detail)]  # noqa: FBT003 -- a column


def user_day() -> list[Result]:
    """A day of 20,000,000 users who log in and out again, counts in memory; about twenty minutes."""
    few_us, _ = _day(FEW_USERS)
    many_us, rss_bytes = _day(MANY_USERS)
    ratio, gib = many_us / few_us, rss_bytes / KIB**3
    users = f"{MANY_USERS:,} distinct users on one day, each out again"
    return [
        Result(
            f"server CPU of a login and logout on a day of {MANY_USERS:,} users against one of {FEW_USERS:,}",
            ratio,
            "×",
            "≤ 1.2",
            ratio <= 1.2,
            f"{many_us:.1f} against {few_us:.1f} µs; {users}",
        ),
        Result("server memory at the end of that day", gib, "GiB", "≤ 5", gib <= 5, users),
    ]


def _day(users: int) -> tuple[float, int]:
    """Server CPU in µs for each user, and the memory at the end."""
    with tempfile.TemporaryDirectory() as folder, servers.mock("--data-dir", folder, "--no-checkpoints") as server:
        before = server.cpu_s()
        command = [sys.executable, "-m", "benchmarks.day_client", str(server.port), "0", str(users)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            for line in client.stdout:
                print(f"  {int(line):,} of {users:,} users", end="\r", file=sys.stderr, flush=True)
        assert client.returncode == 0, "every login and logout succeeds"
        return (server.cpu_s() - before) / users * 1e6, server.rss_bytes()


def _own_bytes(processes: list[psutil.Process]) -> int:
    return sum(process.memory_full_info().uss for process in processes)


@contextmanager
def _idle(port: int, source: str, count: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.idle_client", str(port), source, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n", "all connections are open"
        yield


FIGURES: dict[str, Callable[[], list[Result]]] = {"shared_store": shared_store, "idle_connections": idle_connections}
LONG_FIGURES: dict[str, Callable[[], list[Result]]] = {"user_days": user_days, "user_day": user_day}

"""The harness as a process: commands that are played to their end, shared between tests, or disturbed on the way."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pyarrow as pa
import pytest

from analysis import run_files

LOCUST = str(Path(sys.executable).with_name("locust"))
SPIKE = ("--peak-dau", "30000", "--baseline-dau", "300", "--month", "2026-10", "--seed", "7")
LIVE_GROUPS = ("live_group_cap", "--attempts", "4000", "--rounds", "1")
SPIKE_STARTS_MS = 1_792_080_000_000
"""2026-10-16 00:00 in UTC+8."""
PLAYS_S_MAX = 150
BEGINS_S_MAX = 60
ENDS_S_MAX = 90


class Played(NamedTuple):
    """A command that has ended: its exit code, its run's directory and what it said."""

    code: int
    run: Path
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def command(scenario: str, runs: Path, *options: str) -> list[str]:
    return [LOCUST, "-f", f"locustfiles/{scenario}.py", "--headless", "--runs", str(runs), *options]


def played(scenario: str, runs: Path, *options: str, **environment: str) -> Played:
    done = subprocess.run(
        command(scenario, runs, *options),
        capture_output=True,
        text=True,
        timeout=PLAYS_S_MAX,
        check=False,
        env=os.environ | environment,
    )
    return Played(done.returncode, (runs / run_files.LATEST).resolve(), done.stdout, done.stderr)


def played_once(factory: pytest.TempPathFactory, name: str, *options: str, scenario: str = "dau_spike") -> Played:
    """One run for all of pytest's processes: the first that wants it plays it, the others wait for it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    kept, runs = root / f"{name}.json", root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            runs.mkdir()
            kept.write_text(json.dumps(played(scenario, runs, *options), default=str))
    code, run, out, err = json.loads(kept.read_text())
    return Played(code, Path(run), out, err)


def disturbed(runs: Path, disturb: Callable[[subprocess.Popen[str]], None], *options: str) -> tuple[int, Path]:
    """Start a long run, do something to it while it plays its spike, and wait for its end."""
    options = ("--peak-dau", "400000", "--baseline-dau", "200", *options)
    with subprocess.Popen(
        command("dau_spike", runs, *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for(lambda: any(path.stat().st_size > 2_000_000 for path in runs.glob("*/server/*/journal/*")))
        disturb(process)
        code = process.wait(ENDS_S_MAX)
    return code, (runs / run_files.LATEST).resolve()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + BEGINS_S_MAX
    while not is_so():
        assert time.monotonic() < deadline_s, "the run gets on"
        time.sleep(0.05)


def children(process: subprocess.Popen[str], part: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children():
        # One that has ended meanwhile has no command any more.
        with suppress(psutil.NoSuchProcess):
            if part in " ".join(child.cmdline()):
                found.append(child)
    return found


def document(run: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / name).read_text())
    return content


def verdict_of(run: Path) -> dict[str, Any]:
    return document(run, run_files.VERDICT)


def ledger_table(run: Path) -> pa.Table:
    """All workers' rows."""
    tables = []
    for path in sorted((run / run_files.LEDGER_FOLDER).iterdir()):
        with pa.ipc.open_stream(str(path)) as reader:
            tables.append(reader.read_all())
    return pa.concat_tables(tables)


def ledger_of(run: Path) -> list[tuple[Any, ...]]:
    """What does not depend on who played it, in the order of the plan."""
    table = ledger_table(run)
    columns = [table[name].to_pylist() for name in ("row", "user_id", "kind", "planned_app_ms", "code")]
    return sorted(zip(*columns, strict=True))

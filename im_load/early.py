"""Early abort: asks the analysis now and then whether the ledgers so far break a gate that may end the run.

In a process of its own, for pandas must not be imported under gevent's patches; and only for a gate file that has such
gates, for the machine is busy with the load.
"""

import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import gevent

INTERVAL_S: Final = 5.0
PAUSE_BY_WORK: Final = 10.0
"""Judging takes at most a tenth of the time, however large the ledgers have become."""

_BROKEN: Final = 1


def may_abort(gates: Path | None) -> bool:
    """Whether a gate file that has been checked holds a gate with `abort`."""
    if gates is None:
        return False
    return any(gate.get("abort") for gate in tomllib.loads(gates.read_text(encoding="utf-8"))["gate"])


def watch(folder: Path, gates: Path, on_broken: Callable[[str], None]) -> None:
    """Judge again and again until a gate is broken; then say which, once."""
    command = [sys.executable, "-m", "analysis", "early", str(folder), "--gates", str(gates)]
    pause_s = INTERVAL_S
    while True:
        gevent.sleep(pause_s)
        began_s = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own interpreter and module
        if done.returncode == _BROKEN:
            on_broken("; ".join(done.stdout.split("\n")).strip("; "))
            return
        # Another code means that there was nothing to read yet.
        pause_s = max(INTERVAL_S, PAUSE_BY_WORK * (time.monotonic() - began_s))

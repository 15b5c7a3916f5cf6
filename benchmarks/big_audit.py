"""The audit of a run that is too big for memory: generated, judged, and deleted again."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import big_run
from benchmarks.figures import Result

ROWS: Final = 100_000_000
ROWS_MIN: Final = 10_000
_ROW_BYTES: Final = 200
"""Of ledger and journal together, on disk."""
_KIB: Final = 1024


def big_audit(rows: int = ROWS) -> list[Result]:
    """Seconds and peak memory of the audit of a ledger of 100,000,000 rows and its journal (--rows), on all cores."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < rows * _ROW_BYTES:
        sys.exit(
            f"big_audit needs {rows * _ROW_BYTES / 1e9:,.0f} GB in {tempfile.gettempdir()}, {free / 1e9:,.0f} are free"
        )
    with tempfile.TemporaryDirectory(prefix="big-audit-") as folder:
        run = big_run.write(Path(folder) / "run", rows, progress=_say)
        size = sum(path.stat().st_size for path in run.rglob("*.arrow"))
        _say("auditing")
        seconds, peak_gib = _audited(run)
    detail = f"{rows:,} rows of the ledger, {size / 1e9:.1f} GB with the journal; {os.cpu_count()} cores"
    return [
        Result("audit of a big run", seconds, "s", "≤ 240", seconds <= 240, detail),
        Result("its peak memory", peak_gib, "GiB", "≤ 6", peak_gib <= 6, "most resident memory; it is one process"),
    ]


def _audited(run: Path) -> tuple[float, float]:
    """Audit a run with the command that users have. Raises CalledProcessError unless it passes."""
    command = [sys.executable, "-m", "analysis", "audit", str(run), "--big-from", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command) as audit:
        # The kernel's own figure, so that no short peak is missed.
        _, status, used = os.wait4(audit.pid, 0)
        audit.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if audit.returncode:
        raise subprocess.CalledProcessError(audit.returncode, command)
    return seconds, used.ru_maxrss * _KIB / 2**30


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


FIGURES: Final[dict[str, Callable[[int], list[Result]]]] = {"big_audit": big_audit}

"""What people look at: how long the report takes and how large it is, and what the web UI's tabs cost."""

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.figures import Result, play_spike
from benchmarks.servers import free_port

TABS_PEAK_DAU = 1_500_000
"""So many logins are a minute of turns."""
AMPLIFIED = 20
"""As in `tabs_in_turns`."""
PAGE_ASKS_EVERY_S = 2.0


def report() -> list[Result]:
    """The report of the demo's run, made twice, each time by a process of its own that has audited the run before."""
    with tempfile.TemporaryDirectory() as runs:
        play_spike(runs, "--rate", "100000")
        run = (Path(runs) / "latest").resolve()
        times, pages = [], []
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.report_time", str(run)], check=True, capture_output=True, text=True
            )
            times.append(float(done.stdout))
            pages.append((run / "report.html").read_bytes())
    slowest, size_mb, is_same = max(times), len(pages[0]) / 1e6, pages[0] == pages[1]
    digest = hashlib.sha256(pages[0]).hexdigest()[:12]
    return [
        Result("report of the demo's run", slowest, "s", "≤ 5", slowest <= 5, "from the audited run to the file"),
        Result("its size", size_mb, "MB", "≤ 2", size_mb <= 2, "one page, with all figures"),
        Result("made twice, the same bytes", float(is_same), "", "= 1", is_same, f"SHA-256 {digest}… by two processes"),
    ]


def live_tab() -> list[Result]:
    """What the web UI's tabs cost in logins/s: shown and hidden in turns within a spike, amplified to be measurable."""
    pairs = _pairs_of_turns()
    ratios = [pair["shown_per_s"] / pair["hidden_per_s"] for pair in pairs]
    cost = 100 * (1 - median(ratios)) / AMPLIFIED
    rate = median(pair["hidden_per_s"] for pair in pairs)
    detail = (
        f"asked {AMPLIFIED} times as often as by a page, {median(ratios):.3f} × the {rate:,.0f} logins/s without; "
        f"{len(pairs)} pairs of turns"
    )
    return [Result("logins/s that the web UI's tabs cost", cost, "%", "≤ 2", cost <= 2, detail)]


def _pairs_of_turns() -> list[dict[str, float]]:
    """Those of the spike day, which is the month's first; the run is stopped after it."""
    port = free_port()
    options = ("--autostart", "--web-host", "127.0.0.1", "--web-port", str(port), "--rate", "100000")
    with tempfile.TemporaryDirectory() as runs:
        days = ("--peak-dau", str(TABS_PEAK_DAU), "--baseline-dau", "10", "--spike-day", "1", "--month", "2026-10")
        command = [
            str(Path(sys.executable).with_name("locust")),
            "-f",
            "benchmarks/tabs_in_turns.py",
            *days,
            *options,
            "--runs",
            runs,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None, "it is a pipe"
            page = threading.Thread(target=_watch, args=(f"http://127.0.0.1:{port}/stats/requests", process))
            page.start()
            pairs: list[dict[str, float]] = []
            for line in process.stdout:
                pair = json.loads(line)
                if pairs and sum(pair.values()) < max(sum(one.values()) for one in pairs) / 10:
                    break
                if min(pair.values()):
                    pairs.append(pair)
            process.send_signal(signal.SIGINT)
            process.wait(60)
            page.join()
    # In the first pair the day was beginning, in the last it ended.
    return pairs[1:-1]


def _watch(url: str, process: subprocess.Popen[str]) -> None:
    """Ask what Locust's page asks for."""
    while process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
        time.sleep(PAGE_ASKS_EVERY_S / AMPLIFIED)


FIGURES: dict[str, Callable[[], list[Result]]] = {"report": report, "live_tab": live_tab}

"""Figures of what is left after a server was killed."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

import msgspec

from benchmarks import login_frames, pipelined_client, servers
from benchmarks.figures import Result
from mock_im_server import checkpoints
from mock_im_server import journal as log
from mock_im_server.domain.calendar import BillingCalendar, day_of
from mock_im_server.journal import Journal, Row
from mock_im_server.settings import DEMO_APP

ACCOUNTS = 1_000_000
LOGINS = 10_000_000
CONNECTIONS = 50
IN_FLIGHT = 20
TICK_ROWS = 500
"""What a busy server writes at once."""


def recovery() -> list[Result]:
    """How long a server with 1,000,000 accounts and 10,000,000 journal rows takes until it is ready again.

    With all rows to read, and with a checkpoint.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ("--data-dir", folder)
        with servers.mock(*options):
            pass
        journal = Path(folder) / str(DEMO_APP.sdkappid) / "journal"
        _write_logins(journal)
        whole_s = _ready_s(*options)
        took = _checkpoint(journal)
        ready_s = _ready_s(*options)
    detail = f"{LOGINS:,} logins of {ACCOUNTS:,} users over a month, from the start of the process to its ready line"
    return [
        Result("server back after a kill, no checkpoint", whole_s, "s", "≤ 10", whole_s <= 10, detail),
        Result(
            "server back after a kill, from its checkpoint", ready_s, "s", f"< {whole_s:.1f}", ready_s < whole_s, took
        ),
    ]


def _ready_s(*options: str) -> float:
    began = time.perf_counter()
    with servers.mock(*options) as mock:
        ready_s = time.perf_counter() - began
        accounts = _accounts(mock)
    assert accounts == ACCOUNTS, f"{accounts} accounts came back"
    return ready_s


def _checkpoint(journal: Path) -> str:
    """Fold all segments but the last three, the most that a server leaves, as it does beside its work."""
    began = time.perf_counter()
    segments = [path.name for path in log.segments(journal)]
    subprocess.run([sys.executable, "-m", checkpoints.__name__, str(journal), *segments[:-3]], check=True)
    took_s, size = time.perf_counter() - began, (journal / checkpoints.FILE).stat().st_size
    return f"of all but three of {len(segments)} segments; {took_s:.1f} s to make, {size / 1e6:.0f} MB"


def fsync() -> list[Result]:
    """What it costs to have each tick's rows on the disk before anybody is answered."""
    count, rounds = 20_000, 6
    rates: dict[str, list[float]] = {"off": [], "on": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.mock("--data-dir", f"{folder}/off") as off,
        servers.mock("--data-dir", f"{folder}/on", "--fsync") as on,
    ):
        made = login_frames.frames(0, count)
        for _ in range(rounds):
            for name, mock in (("off", off), ("on", on)):
                began = time.perf_counter()
                pipelined_client.run(mock.port, made, CONNECTIONS, IN_FLIGHT)
                rates[name].append(count / (time.perf_counter() - began))
    without, with_fsync = median(rates["off"]), median(rates["on"])
    detail = f"{with_fsync:,.0f}/s against {without:,.0f}/s, {IN_FLIGHT} in flight on {CONNECTIONS} connections"
    return [
        Result("logins/s with --fsync against without", with_fsync / without, "×", "–", is_reached=True, detail=detail)
    ]


def _write_logins(folder: Path) -> None:
    contents = log.read(folder)
    journal = Journal(folder)
    journal.resume_after(contents.head, contents.rows, contents.last_seq)
    logins = _logins(contents.last_seq)
    while rows := list(islice(logins, TICK_ROWS)):
        journal.extend(rows)
        journal.write()
    journal.close()


def _logins(last_seq: int) -> Iterator[Row]:
    """A month's logins, as many on each day; users take turns."""
    first_day = day_of("2026-10-01")
    of_a_day = LOGINS // 31 + 1
    for number in range(LOGINS):
        day = number // of_a_day
        user, is_known = number % ACCOUNTS, number >= ACCOUNTS
        time_ms = BillingCalendar().start_ms(first_day + day)
        name = None if is_known else f"user_{user:07d}"
        seq = last_seq + 1 + number
        yield Row(seq, time_ms, log.LOGGED_IN, user + 1, name, 1, 7, 1, number, first_day + day)


def _accounts(mock: servers.Measured) -> int:
    url = f"{mock.ready['control_url']}/apps/{DEMO_APP.sdkappid}"
    with urlopen(Request(url, headers={"Authorization": f"Bearer {mock.ready['control_token']}"})) as response:
        return int(msgspec.json.decode(response.read())["accounts"])


FIGURES: dict[str, Callable[[], list[Result]]] = {"recovery": recovery, "fsync": fsync}

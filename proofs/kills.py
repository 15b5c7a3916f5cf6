"""What is left when a process is killed at a chance moment: everything that somebody was told of.

Users log in as fast as answers come; each success is noted by the client. A process is killed, what must come back
comes back, and in the end every noted success has its row in the journal.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import psutil
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse

from benchmarks.login_frames import payload
from im_load.control import Control, ServerError
from mock_im_server import journal as log
from mock_im_server.settings import DEMO_APP
from proofs.redis_server import redis_server

SEED: Final = 7
CONNECTIONS: Final = 4
IN_FLIGHT: Final = 20
LIFE_S: Final = (0.02, 0.3)
"""How long logins go on before a kill."""
AWAY_S: Final = (0.0, 0.2)
RUN_S: Final = (1.5, 6.0)
"""When, from its start, a run of Locust loses a worker."""
AGAIN_S_MAX: Final = 30.0
INVALID: Final = 2
"""Exit code of a run that missed something."""
POLL_S: Final = 0.005

type_say = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What clients were told."""

    next_user: int = 0
    told: set[str] = field(default_factory=set)

    async def log_in(self, url: str) -> None:
        """Log new users in until the connection breaks or this is cancelled."""
        try:
            async with ClientSession() as http, asyncio.TaskGroup() as group:
                for _ in range(CONNECTIONS):
                    group.create_task(self._log_in(http, url))
        except* (ClientError, OSError):
            pass

    async def _log_in(self, http: ClientSession, url: str) -> None:
        async with http.ws_connect(f"{url}/binfo?sdkappid={DEMO_APP.sdkappid}") as socket:
            asked: dict[int, str] = {}
            for _ in range(IN_FLIGHT):
                await self._ask(socket, asked)
            async for message in socket:
                answer = json.loads(message.data)
                user_id = asked.pop(answer["head"]["seq"])
                if not answer["body"].get("ErrorCode"):
                    self.told.add(user_id)
                await self._ask(socket, asked)

    async def _ask(self, socket: ClientWebSocketResponse, asked: dict[int, str]) -> None:
        self.next_user += 1
        asked[self.next_user] = f"user_{self.next_user:08d}"
        await socket.send_bytes(payload(self.next_user, self.next_user))

    def missing(self, folder: Path) -> int:
        """How many that were told of their login have no row; all numbers stand in the journal without a gap."""
        batches = log.read(folder).batches
        rows = [row for batch in batches for row in batch.select(["seq", "kind", "user_id"]).to_pylist()]
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1)), "the journal has a gap"
        logged_in = {row["user_id"] for row in rows if row["kind"] == log.LOGGED_IN}
        return len(self.told - logged_in)


@dataclass(slots=True)
class Killed:
    """How a proof went."""

    points: int
    told: int
    missing: int


type_proof = Callable[[int, type_say], Killed]


def of_server(points: int, say: type_say) -> Killed:
    """The embedded server: killed, and started again on its journal."""
    chance, tally = Random(SEED), Tally()  # noqa: S311 -- chance that can be repeated, not secrets
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        for point in range(points):
            with _server("--data-dir", folder) as (process, ready):
                asyncio.run(_until(tally, ready["gateway_url"], chance.uniform(*LIFE_S), process.kill))
            say(f"{point + 1} of {points}, {len(tally.told):,} logins acknowledged")
        missing = tally.missing(Path(folder) / str(DEMO_APP.sdkappid) / "journal")
    return Killed(points, len(tally.told), missing)


def of_redis(points: int, say: type_say) -> Killed:
    """Redis with appendfsync always: killed, and started again, while one server goes on."""
    chance, tally = Random(SEED), Tally()  # noqa: S311 -- as above
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        durable = ("--appendonly", "yes", "--appendfsync", "always")
        with (
            redis_server(Path(folder), *durable) as redis,
            _server("--store", redis.url, "--data-dir", f"{folder}/data") as (_, ready),
        ):
            for point in range(points):
                asyncio.run(_until(tally, ready["gateway_url"], chance.uniform(*LIFE_S), redis.kill))
                time.sleep(chance.uniform(*AWAY_S))
                redis.start()
                say(f"{point + 1} of {points}, {len(tally.told):,} logins acknowledged")
            missing = tally.missing(_fetched_journal(ready, Path(folder) / "fetched"))
    return Killed(points, len(tally.told), missing)


def of_workers(points: int, say: type_say) -> Killed:
    """One of two server processes on one Redis: killed, and started again by its supervisor."""
    chance, tally = Random(SEED), Tally()  # noqa: S311 -- as above
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, redis_server(Path(folder)) as redis:
        options = ("--store", redis.url, "--workers", "2", "--data-dir", f"{folder}/data")
        with _server(*options) as (process, ready):
            family = psutil.Process(process.pid)
            for point in range(points):
                victim = chance.choice(_two_of(family))
                asyncio.run(_until(tally, ready["gateway_url"], chance.uniform(*LIFE_S), partial(_end, victim)))
                say(f"{point + 1} of {points}, {len(tally.told):,} logins acknowledged")
            _two_of(family)
            missing = tally.missing(_fetched_journal(ready, Path(folder) / "fetched"))
    return Killed(points, len(tally.told), missing)


def of_locust(points: int, say: type_say) -> Killed:
    """A worker of Locust: the run that missed something is invalid; `told` are the invalid ones, `missing` the others.

    A worker that had handed in its ledger before it died is missed by nobody: such a run passes.
    """
    chance = Random(SEED)  # noqa: S311 -- as above
    invalid = wrong = 0
    for point in range(points):
        with tempfile.TemporaryDirectory(prefix="kills-") as runs:
            after_s, which = chance.uniform(*RUN_S), chance.randrange(2)
            code, outcome = _run_without_a_worker(Path(runs), after_s, which)
        invalid += code == INVALID
        # Without a verdict nothing was played: it was gone before the run began.
        if (code, outcome) not in ((0, "passed"), (INVALID, "invalid"), (INVALID, None)):
            wrong += 1
            say(f"worker {which} killed after {after_s:.2f} s: exit code {code}, outcome {outcome}\n")
        say(f"{point + 1} of {points}, {invalid} invalid")
    return Killed(points, invalid, wrong)


def _run_without_a_worker(runs: Path, after_s: float, which: int) -> tuple[int, str | None]:
    command = [sys.executable, "-m", "locust", "-f", "locustfiles/dau_spike.py", "--headless", "--runs", str(runs)]
    options = ["--peak-dau", "20000", "--baseline-dau", "200", "--processes", "2"]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(after_s)
        workers = [
            child
            for child in psutil.Process(process.pid).children()
            if "locust" in " ".join(child.cmdline()) and "mock_im_server" not in child.cmdline()
        ]
        if len(workers) > which:
            workers[which].kill()
        code = process.wait()
    verdict = runs / "latest" / "verdict.json"
    outcome = json.loads(verdict.read_text(encoding="utf-8"))["outcome"] if verdict.exists() else None
    return code, outcome


async def _until(tally: Tally, url: str, life_s: float, kill: Callable[[], None]) -> None:
    """Let users log in for so long from the first success, kill, and let them find out."""
    before = len(tally.told)
    task = asyncio.create_task(tally.log_in(url))
    async with asyncio.timeout(AGAIN_S_MAX):
        while len(tally.told) == before:
            await asyncio.sleep(POLL_S)
            if task.done():  # Its connection went to a process that was just killed.
                task = asyncio.create_task(tally.log_in(url))
    await asyncio.sleep(life_s)
    kill()
    await asyncio.wait([task], timeout=0.2)
    task.cancel()
    await asyncio.wait([task])


@contextmanager
def _server(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--start", "2026-10-01", *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _end(victim: psutil.Process) -> None:
    """Kill it, and see it gone: it would be among those to choose from."""
    victim.kill()
    victim.wait(AGAIN_S_MAX)


def _two_of(family: psutil.Process) -> list[psutil.Process]:
    """Both server processes, once both are there."""
    give_up_s = time.monotonic() + AGAIN_S_MAX
    while len(children := [child for child in family.children() if child.status() != psutil.STATUS_ZOMBIE]) < 2:  # noqa: PLR2004 -- two
        assert time.monotonic() < give_up_s, "a killed process is not started again"
        time.sleep(0.02)
    return children


def _fetched_journal(ready: dict[str, Any], folder: Path) -> Path:
    """The journal up to here, as a run fetches it; from whichever process answers first."""
    give_up_s = time.monotonic() + AGAIN_S_MAX
    while True:
        control = Control(ready["control_url"], ready["control_token"])
        try:
            control.save_journal(DEMO_APP.sdkappid, folder)
        except ServerError:
            assert time.monotonic() < give_up_s, "no server answers any more"
            time.sleep(POLL_S)
        else:
            return folder
        finally:
            control.close()

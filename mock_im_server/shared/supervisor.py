"""Several server processes under one command: started, watched, started again when one dies, stopped together."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

STOP_TIMEOUT_S: Final = 20
"""So long processes may take to finish before they are killed."""
RESTART_DELAY_S: Final = 0.2
RESTART_DELAY_S_MAX: Final = 5.0


class ProcessFailedError(Exception):
    """Raised when a server process ends before it was ready; it has said why."""


class Supervisor:
    """Server processes that listen on the same ports."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        """`command` starts one; it prints a line of JSON when it is ready and stops when its input ends."""
        self._command = command
        self._count = count
        self._processes: list[asyncio.subprocess.Process] = []
        self._is_stopping = False

    async def run(self, tell: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
        """Run until `stop`; `tell` hears what the first process says of itself once all are ready."""
        try:
            # The first makes the apps, which the others then find.
            ready = await self._start()
            for _ in range(self._count - 1):
                await self._start()
            tell(ready | {"pids": [process.pid for process in self._processes]})
            watching = [asyncio.create_task(self._watch(at)) for at in range(self._count)]
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([stopped, *watching], return_when=asyncio.FIRST_COMPLETED)
            self._is_stopping = True
            for task in watching:
                if task.done() and not task.cancelled():
                    task.result()
                task.cancel()
            stopped.cancel()
        finally:
            self._is_stopping = True
            await self._stop()

    async def _start(self, at: int | None = None) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        if at is None:
            self._processes.append(process)
        else:
            self._processes[at] = process
        assert process.stdout is not None, "a pipe was asked for"
        line = await process.stdout.readline()
        if not line:
            raise ProcessFailedError(f"a server process has ended with {await process.wait()} before it was ready")
        ready: dict[str, Any] = json.loads(line)
        return ready

    async def _watch(self, at: int) -> None:
        """Start a process again whenever it dies: the others go on meanwhile."""
        while True:
            process = self._processes[at]
            code = await process.wait()
            if self._is_stopping:
                return
            print(f"mock_im_server: process {process.pid} ended with {code}; another one starts", file=sys.stderr)  # noqa: T201 -- a command's message
            delay_s = RESTART_DELAY_S
            while not self._is_stopping:
                await asyncio.sleep(delay_s)
                try:
                    await self._start(at)
                    break
                except ProcessFailedError as error:
                    # The store may be away: the others answer meanwhile, and so will this one.
                    print(f"mock_im_server: {error}; another one starts", file=sys.stderr)  # noqa: T201 -- as above
                    delay_s = min(delay_s * 2, RESTART_DELAY_S_MAX)

    async def _stop(self) -> None:
        running = [process for process in self._processes if process.returncode is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        done, late = await asyncio.wait(
            [asyncio.create_task(process.wait()) for process in running] or [asyncio.create_task(asyncio.sleep(0))],
            timeout=STOP_TIMEOUT_S,
        )
        del done
        if late:
            for process in running:
                if process.returncode is None:
                    process.kill()
            await asyncio.gather(*late)


@contextmanager
def shared_port(host: str, port: int) -> Iterator[int]:
    """A port that server processes may listen on together, kept from anybody else until the block ends.

    Raises OSError when it is taken.
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            kept.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host}:{port}: {error.strerror}"
            raise OSError(message) from error
        yield int(kept.getsockname()[1])

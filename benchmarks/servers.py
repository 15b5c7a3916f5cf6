"""Servers under measurement, as processes, with what the operating system says of them."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

MOTO: Final = Path("build/moto/bin/moto_server")
"""In an environment of its own (`requirements/moto.txt`), which `make build/moto` makes."""
STARTS_S_MAX: Final = 30


class Measured:
    """A server process and its port."""

    def __init__(self, process: subprocess.Popen[Any], port: int, ready: dict[str, Any] | None = None) -> None:
        self.port = port
        self.ready = ready or {}
        """What a mock says when it is ready."""
        self._process = psutil.Process(process.pid)

    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def rss_bytes(self) -> int:
        return int(self._process.memory_info().rss)


@contextmanager
def echo() -> Iterator[Measured]:
    with _started("-m", "benchmarks.echo_server") as (process, line):
        yield Measured(process, int(line))


@contextmanager
def mock(*options: str) -> Iterator[Measured]:
    arguments = ("-m", "mock_im_server", "--port", "0", "--start", "2026-10-01", "--rate-limits", "off")
    with _started(*arguments, *options) as (process, line):
        ready = json.loads(line)
        yield Measured(process, int(ready["url"].rpartition(":")[2]), ready)


@contextmanager
def webhook_receiver(delay_s: float) -> Iterator[str]:
    """The URL of a backend that answers after this time."""
    with _started("-m", "benchmarks.webhook_receiver", str(delay_s)) as (_, line):
        yield f"http://127.0.0.1:{int(line)}/"


@contextmanager
def json_answers() -> Iterator[Measured]:
    with _started("-m", "benchmarks.json_server") as (process, line):
        yield Measured(process, int(line))


@contextmanager
def moto() -> Iterator[Measured]:
    """Moto's server; FileNotFoundError says how to install it."""
    if not MOTO.exists():
        raise FileNotFoundError(f"{MOTO} is missing: make {MOTO.parent.parent}")
    port = free_port()
    command = [str(MOTO), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield Measured(process, port)
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(STARTS_S_MAX * 10):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"moto does not listen within {STARTS_S_MAX} s")


@contextmanager
def _started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.terminate()

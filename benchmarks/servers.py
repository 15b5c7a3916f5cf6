"""Servers under measurement, as processes, with what the operating system says of them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class Measured:
    """A server process and its port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
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
def mock() -> Iterator[Measured]:
    with _started("-m", "mock_im_server", "--port", "0", "--start", "2026-10-01") as (process, line):
        yield Measured(process, int(json.loads(line)["url"].rpartition(":")[2]))


@contextmanager
def _started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.terminate()

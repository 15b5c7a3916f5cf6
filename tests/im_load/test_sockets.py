"""Connections come from several addresses of this machine, and look their target up once."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gevent import socket

from im_load import trunk
from im_load.sockets import SOURCES_MAX, connected, in_turn, sources, sources_max
from tests.im_load.playing import played


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as made:
        yield made


def test_connections_come_from_each_address_in_turn(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    addresses = in_turn(sources(SOURCES_MAX, 42_000, ports=28_000))

    made = [connected("127.0.0.1", port, next(addresses)) for _ in range(7)]

    assert Counter(one.getsockname()[0] for one in made) == {"127.0.0.1": 3, "127.0.0.2": 2, "127.0.0.3": 2}
    accepted = [listener.accept() for _ in made]
    assert [where for _, where in accepted] == [one.getsockname() for one in made]
    for one in (*made, *(connection for connection, _ in accepted)):
        one.close()


def test_where_one_address_has_ports_enough_the_kernel_chooses(listener: socket.socket) -> None:
    addresses = in_turn(sources(SOURCES_MAX, 14_000, ports=28_000))

    with closing(connected("127.0.0.1", listener.getsockname()[1], next(addresses))) as made:
        assert made.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(("host", "most"), [("127.0.0.1", SOURCES_MAX), ("127.9.9.9", SOURCES_MAX), ("192.0.2.1", 1)])
def test_only_loopback_is_reached_from_many_addresses(host: str, most: int) -> None:
    assert sources_max(host) == (most if sys.platform == "linux" else 1)
    assert sources(1, 10**6, ports=28_000) == []


def test_a_port_that_serves_one_target_serves_another_too(listener: socket.socket) -> None:
    """Bound before it is connected, a port would be taken for all targets: half the ports for two servers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        made = [connected("127.0.0.1", one.getsockname()[1], "127.0.0.2") for one in (listener, other)]
        assert [one.getsockopt(socket.IPPROTO_IP, 24) for one in made] == [1, 1]
        for one in made:
            one.close()


@pytest.mark.slow
def test_a_run_is_the_same_from_several_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came_from: Counter[str] = Counter()

    def noted(host: str, port: int, source: str | None = None) -> socket.socket:
        made = connected(host, port, source)
        came_from[made.getsockname()[0]] += 1
        return made

    monkeypatch.setattr(trunk, "connected", noted)
    addresses = sources(SOURCES_MAX, 42_000, ports=28_000)
    done = played(tmp_path, connections="per-user", peak_dau="60", baseline_dau="0", sources=addresses)

    assert done.code == 0, done.text
    assert sorted(came_from) == addresses
    assert max(came_from.values()) - min(came_from.values()) <= 1


def test_what_cannot_be_reached_leaves_no_socket(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        connected("127.0.0.1", port)
    with pytest.raises(OSError, match="assign requested address"):
        connected("127.0.0.1", port, "192.0.2.1")

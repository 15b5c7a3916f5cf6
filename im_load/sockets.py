"""Outgoing connections: looked up once, without Nagle's delay, from as many addresses of this machine as are needed.

A connection takes one of its source address's ephemeral ports for as long as it is open. On loopback
there are other addresses, each with as many ports again.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import cycle
from typing import Any, Final

from gevent import socket

CONNECT_TIMEOUT_S: Final = 10.0
SOURCES_MAX: Final = 64
"""Loopback addresses that connections may come from: 127.0.0.1 and those after it."""
PORTS_SHARE: Final = 0.5
"""Of an address's ports that are used: the fuller they are, the longer the kernel looks for a free one."""
_LOOPBACK: Final = "127."
# Python names it from 3.12 on.
_IP_BIND_ADDRESS_NO_PORT: Final = 24


@lru_cache
def resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Address family and address, looked up once: gevent sends every look-up through a thread, a third of a connect."""
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, where


def connected(host: str, port: int, source: str | None = None) -> Any:  # noqa: ANN401 -- gevent's sockets are untyped
    """A connection from `source`, or from where the kernel pleases. Raises OSError."""
    family, where = resolved(host, port)
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if source is not None:
            # The port is chosen when the other end is known: one that serves another connection, or has just served
            # one, may be taken again then.
            made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            made.bind((source, 0))
        made.settimeout(CONNECT_TIMEOUT_S)
        made.connect(where)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        made.close()
        raise
    return made


def sources_max(host: str) -> int:
    """From how many addresses this machine can reach a host: several only on Linux's own loopback."""
    family, where = resolved(host, 0)
    is_loopback = family == socket.AF_INET and str(where[0]).startswith(_LOOPBACK)
    return SOURCES_MAX if is_loopback and sys.platform == "linux" else 1


def sources(most: int, ports_wanted: int, ports: int) -> list[str]:
    """Addresses to come from when so many ports are wanted at once; none where one address has enough.

    >>> sources(64, 14_000, ports=28_232)
    []
    >>> sources(64, 50_000, ports=28_232)
    ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']
    """
    count = min(most, -int(-ports_wanted // (ports * PORTS_SHARE)))
    return [f"127.0.0.{number}" for number in range(1, count + 1)] if count > 1 else []


def in_turn(addresses: Sequence[str]) -> Iterator[str | None]:
    """One address after the other, for ever."""
    return cycle(addresses or [None])

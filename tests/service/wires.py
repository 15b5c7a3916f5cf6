"""A connection without a socket, for tests below the doors."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from pyroaring import BitMap


@dataclass(eq=False)
class SilentWire:
    """Takes what is pushed and says nothing."""

    instance_id: str = "0" * 32
    access_point: str = ""
    client_ip: str = "127.0.0.1"
    number: int = 0
    users: BitMap = field(default_factory=BitMap)
    pushed: list[bytes] = field(default_factory=list)

    def push(self, *messages: bytes) -> None:
        self.pushed += messages


def answered(answer: bytes) -> dict[str, Any]:
    """The body of an answer."""
    return dict(msgspec.json.decode(answer)["body"])

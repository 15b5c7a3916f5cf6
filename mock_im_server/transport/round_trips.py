"""What is sent to a client arrives as late as its distance from the access point says.

Times are rounded up to steps: all that falls due in one is written by one timer, and all of a connection by one write,
so that waiting costs next to nothing. What is said first arrives first, whatever the jitter.
"""

import asyncio
from collections import defaultdict, deque
from math import ceil
from typing import Final, NamedTuple
from zlib import crc32

from mock_im_server.domain.latency import JITTERS, LatencyModel

STEP_S: Final = 0.005


class _Waiting(NamedTuple):
    """What is written in one step."""

    step: int
    parts: list[bytes]


class RoundTrips:
    """The steps that lie ahead, and the lines that have something to write in them."""

    def __init__(self, model: LatencyModel, seed: int) -> None:
        self._jitters = model.jitters(seed)
        self._due: defaultdict[int, list[DelayedLine]] = defaultdict(list)

    def line(self, transport: asyncio.Transport, round_trip_ms: float, name: str) -> "DelayedLine":
        """A transport that writes later. The same name meets the same jitter."""
        return DelayedLine(self, transport, round_trip_ms / 1_000, crc32(name.encode()))

    def due_step(self, round_trip_s: float, draw: int) -> int:
        """The step in which something sent now arrives."""
        delay_s = round_trip_s * self._jitters[draw % JITTERS]
        return ceil((asyncio.get_running_loop().time() + delay_s) / STEP_S)

    def await_step(self, step: int, line: "DelayedLine") -> None:
        """Call the line back in this step."""
        lines = self._due[step]
        if not lines:
            asyncio.get_running_loop().call_at(step * STEP_S, self._write, step)
        lines.append(line)

    def _write(self, step: int) -> None:
        for line in self._due.pop(step):
            line.write_due(step)


class DelayedLine(asyncio.Transport):
    """Stands before a connection's transport; knows what the gateway uses of one."""

    def __init__(self, trips: RoundTrips, transport: asyncio.Transport, round_trip_s: float, draw: int) -> None:
        super().__init__()
        self._trips = trips
        self._transport = transport
        self._round_trip_s = round_trip_s
        self.draw = draw
        """Which of the jitters is the next."""
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """In the step that its round trip leads to, and not before what was written earlier."""
        self.draw += 1
        step = self._trips.due_step(self._round_trip_s, self.draw)
        self._bytes += len(data)
        if self._waiting and step <= self._waiting[-1].step:
            self._waiting[-1].parts.append(bytes(data))
            return
        self._waiting.append(_Waiting(step, [bytes(data)]))
        self._trips.await_step(step, self)

    def write_due(self, step: int) -> None:
        """Called once for each step that the line has asked for."""
        if not self._waiting:
            return
        waiting = self._waiting.popleft()
        assert waiting.step == step, "steps come in their order"
        data = b"".join(waiting.parts)
        self._bytes -= len(data)
        if not self._transport.is_closing():
            self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """What waits here counts as unread, too."""
        return self._bytes + self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def abort(self) -> None:
        self._waiting.clear()
        self._bytes = 0
        self._transport.abort()

"""Answers that wait: never too early, never out of order, all of a step in one write."""

import asyncio

import pytest

from mock_im_server.domain.latency import LatencyModel
from mock_im_server.transport.round_trips import STEP_S, DelayedLine, RoundTrips

STEADY = LatencyModel(base_ms=0.0, fibre_km_per_ms=200.0, detour=2.2, jitter_sigma=0.0)
WAVERING = LatencyModel(base_ms=0.0, fibre_km_per_ms=200.0, detour=2.2, jitter_sigma=1.0)
LATENESS_MAX_S = 0.2
"""On a machine that is busy with other things."""


class Wrote(asyncio.Transport):
    """Keeps what is written, and when."""

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.writes: list[tuple[float, bytes]] = []
        self.is_gone = False
        self.unread_bytes = 7
        self._left = count
        self.done = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append((asyncio.get_running_loop().time(), bytes(data)))
        if len(self.said) >= self._left:
            self.done.set()

    @property
    def said(self) -> bytes:
        return b"".join(data for _, data in self.writes)

    def is_closing(self) -> bool:
        return self.is_gone

    def abort(self) -> None:
        self.is_gone = True

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes


def a_line(transport: Wrote, ms: float, *, model: LatencyModel = STEADY, name: str = "") -> DelayedLine:
    return RoundTrips(model, seed=7).line(transport, ms, name)


@pytest.mark.parametrize("ms", [0.0, 1.0, 12.0, 33.3])
async def test_an_answer_arrives_after_its_round_trip_and_within_a_step(ms: float) -> None:
    transport = Wrote()
    began = asyncio.get_running_loop().time()
    a_line(transport, ms).write(b"a")
    await transport.done.wait()
    (at, data), *_ = transport.writes
    assert data == b"a"
    # A timer may fire a clock tick early.
    assert ms / 1_000 - 0.002 <= at - began <= ms / 1_000 + STEP_S + LATENESS_MAX_S


async def test_what_falls_due_in_one_step_is_one_write() -> None:
    transport = Wrote(100)
    line = a_line(transport, 20.0)
    for _ in range(100):
        line.write(b"a")
    await transport.done.wait()
    # The loop may have ticked over into a next step meanwhile.
    assert len(transport.writes) <= 3
    assert transport.said == b"a" * 100


async def test_jitter_changes_times_and_never_the_order() -> None:
    transport = Wrote(256)
    line = a_line(transport, 15.0, model=WAVERING)
    for number in range(256):
        line.write(bytes([number]))
        if number % 32 == 0:
            await asyncio.sleep(0)
    await transport.done.wait()
    assert transport.said == bytes(range(256))
    assert len(transport.writes) > 1


async def test_the_same_name_meets_the_same_jitter() -> None:
    first, again, other = (a_line(Wrote(), 1.0, name=name) for name in ("a", "a", "b"))
    assert first.draw == again.draw != other.draw


async def test_what_waits_counts_as_unread_and_goes_with_the_connection() -> None:
    transport = Wrote()
    line = a_line(transport, 1.0)
    line.write(b"abc")
    line.write(b"de")
    assert line.get_write_buffer_size() == 5 + 7
    assert not line.is_closing()
    line.abort()
    assert line.get_write_buffer_size() == 7
    assert line.is_closing()
    other = Wrote()
    after = a_line(other, 30.0)
    after.write(b"x")
    await other.done.wait()
    assert transport.writes == []


async def test_nothing_is_written_to_a_connection_that_is_closing() -> None:
    transport, other = Wrote(), Wrote()
    trips = RoundTrips(STEADY, 7)
    trips.line(transport, 1.0, "").write(b"a")
    transport.is_gone = True
    trips.line(other, 20.0, "").write(b"b")
    await other.done.wait()
    assert transport.writes == []

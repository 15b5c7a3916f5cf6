"""The door over HTTP: lanes of keep-alive connections, one call in flight on each.

A player's calls go over one lane, so that their order is the plan's. Serves the vendor's REST API and the control API.
"""

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import gevent
from gevent.event import Event

from im_load.gateway import ANSWER_TIMEOUT_S, CONNECT_RETRY_S, CONNECT_TRIES
from im_load.keep_alive import CallFailedError, KeepAlive, NoAnswerError
from im_load.requests import REFUSED_NAMES, SAMPLE_NAMES

if TYPE_CHECKING:
    from im_load.drivers import Driver, Share
    from im_load.ledger import type_row

LANES: Final = 32
"""Of one driver: calls in flight at once."""
IDLE_S_MAX: Final = 10.0
"""A server may close a connection that was idle for longer; a call that meets the closing has an unknown outcome."""

type_address = tuple[str, int]


class Calls(Protocol):
    """How an API's calls are written and read."""

    def call(self, verb: int, user: int, group: int, /) -> tuple[str, bytes]:
        """Path and body."""

    def code(self, answer: bytes, /) -> int:
        """The outcome. Raises ValueError when it is no answer."""


class _Lane:
    """A connection and the arrivals that wait for it, by their places in the share."""

    def __init__(self, client_id: str, connection: KeepAlive) -> None:
        self.client_id = client_id
        self.connection = connection
        self.waiting: deque[int] = deque()
        self.seq = 0
        self.used_us = 0
        self.in_flight: type_row | None = None
        self.verb = 0
        """Of the call in flight."""
        self.greenlet: gevent.Greenlet | None = None


class Lanes:
    """A driver's connections to one API."""

    def __init__(
        self,
        driver: "Driver",
        name: str,
        address: type_address,
        calls: Calls,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._driver = driver
        self._name = name
        self._address = address
        self._calls = calls
        self._headers = headers
        self._lanes: dict[int, _Lane] = {}
        self._open = 0
        """Calls that wait or are in flight."""
        self._answered = Event()

    def open(self, share: "Share") -> None:
        for number in sorted({self._number(player) for player in share.players}):
            lane = self._lane(number)
            if not self._is_connected(lane):
                return

    def put(self, at: int) -> None:
        lane = self._lane(self._number(self._driver.share.players[at]))
        lane.waiting.append(at)
        self._open += 1
        if lane.greenlet is None:
            lane.greenlet = gevent.spawn(self._work, lane)

    def send(self) -> None:
        """The lanes send by themselves as soon as the hub runs."""
        gevent.sleep(0)

    def wait(self) -> None:
        while self._open and not self._driver.failure:
            self._answered.wait(0.1)
            self._answered.clear()

    def give_up(self) -> None:
        for lane in self._lanes.values():
            lane.waiting.clear()
            self._lost(lane)
            lane.connection.close()
        self._open = 0
        self._answered.set()

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.connection.close()

    def _number(self, player: int) -> int:
        # Above the drivers' own remainder: players of one driver have it in common.
        return player // self._driver.worker.drivers % LANES

    def _lane(self, number: int) -> _Lane:
        lane = self._lanes.get(number)
        if lane is None:
            connection = KeepAlive(*self._address, self._headers, self._driver.source())
            lane = self._lanes[number] = _Lane(self._driver.connection_id(), connection)
        return lane

    def _is_connected(self, lane: _Lane) -> bool:
        """False, and a failure of the driver, when there is no connection to be had."""
        worker = self._driver.worker
        if lane.connection.is_open and worker.now_us() - lane.used_us > IDLE_S_MAX * 1e6:
            lane.connection.close()
        lane.used_us = worker.now_us()
        for attempt in range(CONNECT_TRIES):
            if lane.connection.is_open:
                return True
            try:
                lane.connection.open(ANSWER_TIMEOUT_S)
            except CallFailedError as error:
                if attempt == CONNECT_TRIES - 1:
                    self._driver.fail(str(error))
                    return False
                gevent.sleep(CONNECT_RETRY_S)
        return lane.connection.is_open

    def _work(self, lane: _Lane) -> None:
        while lane.waiting and not self._driver.failure:
            # Connecting takes a while, in which all may have been given up.
            if self._is_connected(lane) and lane.waiting:
                self._call(lane, lane.waiting.popleft())
        lane.greenlet = None

    def _call(self, lane: _Lane, at: int) -> None:
        driver, worker, share = self._driver, self._driver.worker, self._driver.share
        verb = share.verbs[at]
        path, body = self._calls.call(verb, share.users[at], share.groups[at])
        lane.seq = seq = lane.seq + 1
        sent_us = worker.now_us()
        before = (
            share.places[at],
            share.routes[at],
            lane.client_id,
            seq,
            driver.planned_us(at),
            sent_us,
            worker.floor_ms,
        )
        lane.in_flight = sent = (*before, None, None, None)
        lane.verb = verb
        driver.issued += 1
        try:
            answer = lane.connection.post(path, f"{lane.client_id}-{seq}", body)
            code = self._calls.code(answer)
        except (NoAnswerError, ValueError):
            self._lost(lane)
            return
        except CallFailedError as error:
            self._lost(lane)
            driver.fail(str(error))
            return
        if lane.in_flight is not sent:
            return  # Given up meanwhile.
        lane.in_flight = None
        answered_us = worker.now_us()
        driver.book([(*before, answered_us, worker.ceiling_ms, code)], answered=1, admitted=int(not code))
        names = REFUSED_NAMES if code else SAMPLE_NAMES
        worker.sample(self._name, names[verb], (answered_us - sent_us) / 1_000, len(answer), None)
        self._done()

    def _lost(self, lane: _Lane) -> None:
        """The outcome of a call that was sent and not answered is unknown."""
        row, lane.in_flight = lane.in_flight, None
        if row is not None:
            self._driver.book([row], answered=0, admitted=0)
            self._driver.worker.sample(self._name, SAMPLE_NAMES[lane.verb], 0, 0, "no answer")
            self._done()

    def _done(self) -> None:
        self._open -= 1
        if not self._open:
            self._answered.set()

"""The door over the gateway: trunks that carry the sessions of many users, or a connection for each login.

A trunk is an access node's line to the core. Requests are made in bursts, handed to the socket together, and answered
in any order; `seq` pairs them.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import Event
from gevent.pool import Pool

from im_load.plans.arrivals import GATEWAY, LOGIN, RESUME
from im_load.requests import REFUSED_NAMES, SAMPLE_NAMES, Frames, decode_answer, session_of
from im_load.trunk import Trunk, TrunkBrokenError

if TYPE_CHECKING:
    from im_load.drivers import Driver, Share
    from im_load.ledger import type_row
    from im_load.worker import Assignment

IN_FLIGHT_MAX: Final = 2_000
"""Of one driver. More would only wait in the server's sockets; arrivals beyond are late, and recorded as such."""
ANSWER_TIMEOUT_S: Final = 30.0
CONNECT_TRIES: Final = 3
CONNECT_RETRY_S: Final = 0.2
FRESH_CONNECTIONS_MAX: Final = 100
"""Connections open at once when every login has its own."""

_NO_SESSION: Final = '"status_instid":1,"a2":"","tinyid":""'
"""Of a user whose login was refused: the server says so again."""


@dataclass(slots=True)
class Burst:
    """Requests that are handed to a socket together, and what was known at that moment; None before it."""

    frames: list[bytes] = field(default_factory=list)
    sent_us: int | None = None
    app_before_ms: int | None = None


class Gateway:
    """A driver's trunks."""

    def __init__(self, driver: "Driver", assignment: "Assignment", frames: Frames) -> None:
        self._driver = driver
        self._gateway_url = assignment.gateway_url
        self._sdkappid = assignment.sdkappid
        self._is_per_user = assignment.connections == "per-user"
        self._frames = frames
        self._sessions: dict[int, str] = {}
        self._trunks: dict[str, Trunk] = {}
        self._alone: set[Trunk] = set()
        """Trunks of `per-user` whose one login is in flight."""
        self._pool = Pool(FRESH_CONNECTIONS_MAX)
        self._in_flight = 0
        self._bursts: defaultdict[Trunk, Burst] = defaultdict(Burst)
        self._answered = Event()

    def open(self, share: "Share") -> None:
        if self._is_per_user:
            return
        doors = set(zip(share.routes, share.doors, strict=True))
        routes = self._driver.worker.routes
        for point in sorted({routes[route].access_point for route, door in doors if door == GATEWAY}):
            self._trunk(point)

    def put(self, at: int) -> None:
        if self._is_per_user:
            self._pool.spawn(self._login_alone, at)
            return
        driver = self._driver
        trunk = self._trunk(driver.worker.routes[driver.share.routes[at]].access_point)
        if trunk is None:
            return
        trunk.seq = seq = trunk.seq + 1
        burst = self._bursts[trunk]
        burst.frames.append(self._frame(at, seq))
        trunk.requests[seq] = (at, burst)
        self._in_flight += 1
        driver.issued += 1

    def send(self) -> None:
        """Hand what has been made to the sockets; only now it counts as sent."""
        driver, worker = self._driver, self._driver.worker
        bursts, self._bursts = self._bursts, defaultdict(Burst)
        for trunk, burst in bursts.items():
            if driver.failure:
                return  # Given up meanwhile: the ledger says that these were never sent.
            burst.app_before_ms = worker.floor_ms
            burst.sent_us = worker.now_us()
            try:
                trunk.send(burst.frames)
            except TrunkBrokenError:
                self._lost(trunk)
            burst.frames.clear()
        while self._in_flight > IN_FLIGHT_MAX and not driver.failure:
            if not self._answered.wait(ANSWER_TIMEOUT_S):
                self._fail_late()
            self._answered.clear()

    def wait(self) -> None:
        driver = self._driver
        self._pool.join()
        deadline_us = driver.worker.now_us() + int(ANSWER_TIMEOUT_S * 1e6)
        while self._in_flight and not driver.failure:
            if driver.worker.now_us() > deadline_us:
                self._fail_late()
            self._answered.wait(0.1)
            self._answered.clear()

    def give_up(self) -> None:
        for trunk in (*self._trunks.values(), *self._alone):
            self._lost(trunk)

    def close(self) -> None:
        for trunk in self._trunks.values():
            trunk.say_goodbye()

    def _trunk(self, point: str) -> Trunk | None:
        """The trunk to an access point; None, and a failure, when there is none to be had."""
        trunk = self._trunks.get(point)
        if trunk is not None and trunk.is_open:
            return trunk
        for attempt in range(CONNECT_TRIES):
            trunk = self._new_trunk(point)
            try:
                trunk.open()
            except TrunkBrokenError as error:
                if attempt == CONNECT_TRIES - 1:
                    self._driver.fail(str(error))
                gevent.sleep(CONNECT_RETRY_S)
            else:
                self._trunks[point] = trunk
                gevent.spawn(self._read, trunk)
                return trunk
        return None

    def _new_trunk(self, point: str) -> Trunk:
        url = f"{self._gateway_url}/ap/{point}" if point else self._gateway_url
        return Trunk(url, self._driver.connection_id(), self._sdkappid, self._driver.source())

    def _read(self, trunk: Trunk) -> None:
        try:
            trunk.read(self._on_answers)
        except ValueError as error:
            self._driver.fail(f"{trunk.name} sent what is no frame: {error}")
        self._lost(trunk)

    def _on_answers(self, trunk: Trunk, messages: list[bytes]) -> None:
        """Book what was read at once; the time is taken once, when it was read."""
        driver, share, sessions = self._driver, self._driver.share, self._sessions
        keeps = share.keeps
        worker = driver.worker
        answered_us, after_ms = worker.now_us(), worker.ceiling_ms
        sample, planned_us, verbs, places = worker.sample, driver.planned_us, share.verbs, share.places
        routes = share.routes
        connection, requests = trunk.instance_id, trunk.requests
        rows: list[type_row] = []
        admitted = 0
        # All of them first: what cannot be read leaves every request of this moment open.
        for data, answer in zip(messages, [decode_answer(data) for data in messages], strict=True):
            seq, code = answer.head.seq, answer.body.ErrorCode
            request = requests.pop(seq, None)
            if request is None:
                continue  # A push, or an answer that came after it had been given up.
            at, burst = request
            verb, sent_us = verbs[at], burst.sent_us
            rows.append(
                (
                    places[at],
                    routes[at],
                    connection,
                    seq,
                    planned_us(at),
                    sent_us,
                    burst.app_before_ms,
                    answered_us,
                    after_ms,
                    code,
                )
            )
            if code:
                sample("WS", REFUSED_NAMES[verb], (answered_us - sent_us) / 1_000, len(data), None)
                continue
            admitted += 1
            sample("WS", SAMPLE_NAMES[verb], (answered_us - sent_us) / 1_000, len(data), None)
            if keeps[at]:
                sessions[share.users[at]] = session_of(data)
        self._in_flight -= len(rows)
        driver.book(rows, answered=len(rows), admitted=admitted)
        self._answered.set()

    def _lost(self, trunk: Trunk) -> None:
        """The outcome of what was in flight on a broken trunk is unknown."""
        driver = self._driver
        requests, trunk.requests = trunk.requests, {}
        rows: list[type_row] = []
        for seq, (at, burst) in requests.items():
            rows.append(
                (
                    driver.share.places[at],
                    driver.share.routes[at],
                    trunk.instance_id,
                    seq,
                    driver.planned_us(at),
                    burst.sent_us,
                    burst.app_before_ms,
                    None,
                    None,
                    None,
                )
            )
            driver.worker.sample("WS", SAMPLE_NAMES[driver.share.verbs[at]], 0, 0, "no answer")
        self._in_flight -= len(rows)
        driver.book(rows, answered=0, admitted=0)
        self._answered.set()

    def _fail_late(self) -> None:
        self._driver.fail(f"{self._in_flight} requests had no answer within {ANSWER_TIMEOUT_S:.0f} s")

    def _login_alone(self, at: int) -> None:
        """Connect, log in, leave: what an app does that is opened and closed again."""
        driver, worker = self._driver, self._driver.worker
        if driver.failure:
            return
        trunk = self._new_trunk(worker.routes[driver.share.routes[at]].access_point)
        burst = Burst([], worker.now_us(), worker.floor_ms)
        trunk.requests[1] = (at, burst)
        self._alone.add(trunk)
        self._in_flight += 1
        driver.issued += 1
        data = None
        try:
            trunk.open()
            trunk.send([self._frame(at, 1)])
            data = trunk.read_one(ANSWER_TIMEOUT_S)
        except TrunkBrokenError as error:
            driver.fail(str(error))
        if data is None:
            self._lost(trunk)
        else:
            self._on_answers(trunk, [data])
        self._alone.discard(trunk)
        trunk.say_goodbye()

    def _frame(self, at: int, seq: int) -> bytes:
        share = self._driver.share
        verb, user = share.verbs[at], share.users[at]
        if verb == LOGIN:
            return self._frames.login(user, share.devices[at], share.platforms[at], share.sigs[at], seq)
        session = self._sessions.get(user, _NO_SESSION)
        if verb == RESUME:
            return self._frames.take_up(session, share.platforms[at], seq)
        return self._frames.of_group(verb, user, share.groups[at], share.platforms[at], session, seq)

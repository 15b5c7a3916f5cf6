"""The part of a run that one process plays: drivers that send a share of the plan and keep its ledger.

Knows the plan, trunks and the ledger. Talks to the conductor through messages that somebody else carries, and knows
nothing of Locust: samples go to a callback.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import gevent
import msgspec
from gevent.event import Event
from gevent.pool import Pool

from im_load import chance, plan, population
from im_load.ledger import DayColumns, LedgerWriter, type_row
from im_load.plan import DayPlan, Plan
from im_load.trunk import Trunk, TrunkBrokenError
from mock_im_server.wire import usersig

IN_FLIGHT_MAX: Final = 2_000
"""Of one driver. More would only wait in the server's sockets; arrivals beyond are late, and recorded as such."""
BURST_MAX: Final = 100
"""Frames made before the hub may read answers again: keeps both directions moving."""
TICK_S: Final = 0.001
ANSWER_TIMEOUT_S: Final = 30.0
CONNECT_TRIES: Final = 3
CONNECT_RETRY_S: Final = 0.2
FRESH_CONNECTIONS_MAX: Final = 100
"""Connections open at once when every login has its own."""
USERSIG_EXPIRE_S: Final = 86_400
USERSIG_AGE_S: Final = 60
"""UserSigs are dated a little back, so that clocks a few seconds apart do not matter."""

HAND_OVER_S: Final = 0.5
"""For messages that have been sent to leave the process before it ends."""
INTERRUPTED: Final = "the run was stopped before its end"

type_send = Callable[[str, dict[str, Any]], None]
type_sample = Callable[[str, float, int, str | None], None]
"""Name, service time in ms, bytes, and what went wrong."""


class _AnswerHead(msgspec.Struct):
    seq: int


class _AnswerBody(msgspec.Struct):
    ErrorCode: int


class _AnswerFrame(msgspec.Struct):
    head: _AnswerHead
    body: _AnswerBody


_decode: Final = msgspec.json.Decoder(_AnswerFrame).decode


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the conductor tells a worker before the first day."""

    plan: dict[str, Any]
    sdkappid: int
    key: str
    gateway_url: str
    access_points: list[str]
    """The nearest point's code for each country of the world; "" where a server has none."""
    first_rows: list[int]
    day_starts_ms: list[int]
    rate: float
    connections: str
    zero_ns: int
    """The run's zero on the monotonic clock, which processes of one machine share."""
    shares: list[int]
    drivers: int


class Worker:
    """One process's share of a run."""

    def __init__(self, index: int, send: type_send, sample: type_sample) -> None:
        self.index = index
        self._send = send
        self.sample = sample
        self.drivers_wanted = 0
        self._assignment: Assignment | None = None
        self.floor_ms = 0
        self.ceiling_ms = 0
        self.step = 0
        self._moved = Event()
        self._drained = Event()
        self._drivers: list[Driver] = []

    def ready(self) -> None:
        """A driver has been spawned and waits for its share."""
        self.drivers_wanted += 1
        self._send("im_ready", {"worker": self.index})

    def assign(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._zero_ns = assignment.zero_ns
        self.ledger = LedgerWriter(self._hand_over)
        self._drivers = [Driver(self, assignment, share) for share in assignment.shares]
        self._acknowledge("assign")

    @cached_property
    def plan(self) -> Plan:
        assert self._assignment is not None, "a worker is assigned before it plays"
        return Plan(plan.options_from_json(self._assignment.plan))

    @cached_property
    def world(self) -> population.World:
        return population.world()

    def prepare_day(self, index: int) -> None:
        """Compute the day's share before its clock starts to run."""
        assignment = self._assignment
        assert assignment is not None, "a worker is assigned before it plays"
        day = self.plan.day(index)
        columns = DayColumns(
            day,
            seed=self.plan.options.seed,
            world=self.world,
            access_points=assignment.access_points,
            first_row=assignment.first_rows[index],
            start_ms=assignment.day_starts_ms[index],
        )
        self.ledger.begin_day(columns)
        for driver in self._drivers:
            driver.prepare(day, columns)
        self.step = -1
        self._acknowledge("day")

    def begin_day(self, index: int, zero_us: int, app_ms: int) -> None:
        """Start sending: the day's first arrival is planned at `zero_us`."""
        self.raise_ceiling(app_ms)
        self.raise_floor(0, app_ms)
        gevent.spawn(self._play, index, zero_us)

    def raise_ceiling(self, app_ms: int) -> None:
        """The app's clock may stand at `app_ms` from now on."""
        self.ceiling_ms = app_ms
        self._acknowledge("ceiling")

    def raise_floor(self, step: int, app_ms: int) -> None:
        """The app's clock has reached `app_ms`; arrivals of this step may go."""
        self.floor_ms = app_ms
        self.step = step
        self._moved.set()
        self._moved.clear()

    def wait_for_move(self, timeout_s: float) -> None:
        self._moved.wait(timeout_s)

    def now_us(self) -> int:
        return (time.monotonic_ns() - self._zero_ns) // 1_000

    def drain(self) -> None:
        """Finish: hand over what is left of the ledger, then the totals."""
        if self._assignment is None or self._drained.is_set():
            return
        for driver in self._drivers:
            driver.close()
        self.ledger.close()
        self._send("im_totals", {"worker": self.index, "rows": self.ledger.rows, **self._counts()})
        self._drained.set()

    def leave(self, timeout_s: float) -> None:
        """This process has been told to end: ask for the end of the run, and wait until the ledger is handed over."""
        if self._assignment is None or self._drained.is_set():
            return
        self._send("im_failed", {"worker": self.index, "code": "interrupted", "text": INTERRUPTED})
        self._drained.wait(timeout_s)
        gevent.sleep(HAND_OVER_S)

    def abort(self) -> None:
        """Stop sending; what is still in flight becomes a row with an unknown outcome."""
        for driver in self._drivers:
            driver.abort()

    def report(self) -> None:
        """Tell the conductor how far this worker is."""
        if self._drivers:
            self._send("im_progress", {"worker": self.index, **self._counts()})

    def _play(self, index: int, zero_us: int) -> None:
        plays = [gevent.spawn(driver.play, zero_us) for driver in self._drivers]
        gevent.joinall(plays)
        failures = [driver.failure for driver in self._drivers if driver.failure]
        errors = [repr(play.exception) for play in plays if play.exception is not None]
        if errors:
            self._send(
                "im_failed",
                {"worker": self.index, "code": "harness_error", "text": f"worker {self.index}: {errors[0]}"},
            )
        elif failures:
            self._send(
                "im_failed",
                {"worker": self.index, "code": "server_lost", "text": f"worker {self.index}: {failures[0]}"},
            )
        else:
            self._send("im_day_done", {"worker": self.index, "day": index, **self._counts()})

    def _counts(self) -> dict[str, int]:
        return {
            "issued": sum(driver.issued for driver in self._drivers),
            "answered": sum(driver.answered for driver in self._drivers),
            "admitted": sum(driver.admitted for driver in self._drivers),
        }

    def _acknowledge(self, what: str) -> None:
        self._send("im_ack", {"worker": self.index, "what": what})

    def _hand_over(self, data: bytes) -> None:
        if data:
            self._send("im_ledger", {"worker": self.index, "data": data})


@dataclass(slots=True)
class Burst:
    """Requests that are handed to a socket together, and what was known at that moment; None before it."""

    frames: list[bytes] = field(default_factory=list)
    sent_us: int | None = None
    app_before_ms: int | None = None


class Driver:
    """Plays many simulated users: sends their logins when they are due and books the answers."""

    def __init__(self, worker: Worker, assignment: Assignment, share: int) -> None:
        self._worker = worker
        self._assignment = assignment
        self._share = share
        self._mac = usersig.mac_of(assignment.key)
        self._wrong_mac = usersig.mac_of(assignment.key + "-not")
        self._trunks: dict[str, Trunk] = {}
        self._alone: set[Trunk] = set()
        """Trunks of `per-user` whose one login is in flight."""
        self._in_flight = 0
        self._bursts: defaultdict[Trunk, Burst] = defaultdict(Burst)
        self._answered = Event()
        self._connections = 0
        self.issued = 0
        self.answered = 0
        self.admitted = 0
        self.failure: str | None = None

    def prepare(self, day: DayPlan, columns: DayColumns) -> None:
        """Turn this driver's arrivals of a day into plain lists: indexing numpy one by one is several times dearer."""
        places = day.share(self._share, self._assignment.drivers)
        points = self._assignment.access_points
        self._places = places.tolist()
        self._users = day.users[places].tolist()
        self._sigs = day.sigs[places].tolist()
        self._devices = plan.device_of(day.kinds[places]).tolist()
        self._platforms = columns.platforms[places].tolist()
        self._points = [points[country] for country in columns.countries[places].tolist()]
        self._steps = _steps(day.times_ms[places])

    def play(self, zero_us: int) -> None:
        """Send every arrival of the day no earlier than planned, then wait for all answers."""
        self._zero_us = zero_us
        self._signed_s = int(time.time()) - USERSIG_AGE_S
        self._us_each = 1_000_000 / self._assignment.rate
        if self._assignment.connections == "per-user":
            pool = Pool(FRESH_CONNECTIONS_MAX)
            self._each_due(lambda at: pool.spawn(self._login_alone, at))
            pool.join()
        else:
            self._each_due(self._put)
            self._wait_for_answers()

    def abort(self) -> None:
        self.failure = self.failure or "stopped by the conductor"
        self._give_up()

    def close(self) -> None:
        self._give_up()
        for trunk in self._trunks.values():
            trunk.say_goodbye()

    def _each_due(self, begin: Callable[[int], object]) -> None:
        at, count = 0, len(self._places)
        while at < count and not self.failure:
            limit = min(self._steps[self._worker.step], self._due(count))
            if at >= limit:
                self._worker.wait_for_move(TICK_S)
                continue
            end = min(limit, at + BURST_MAX)
            while at < end and not self.failure:
                begin(at)
                at += 1
            self._send_all()

    def _due(self, count: int) -> int:
        """How many arrivals of this driver are planned by now."""
        passed_us = self._worker.now_us() - self._zero_us
        place = int(passed_us / self._us_each)
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if self._places[middle] <= place:
                low = middle + 1
            else:
                high = middle
        return low

    # --- shared connections -----------------------------------------------------------------------

    def _put(self, at: int) -> None:
        """Queue one login on the trunk to the user's access point."""
        point = self._points[at]
        trunk = self._trunks.get(point)
        if trunk is None or not trunk.is_open:
            trunk = self._connected(point)
            if trunk is None:
                return
        trunk.seq = seq = trunk.seq + 1
        burst = self._bursts[trunk]
        burst.frames.append(self._frame(at, seq))
        place = self._places[at]
        trunk.requests[seq] = (place, self._zero_us + int(place * self._us_each), burst)
        self._in_flight += 1
        self.issued += 1

    def _send_all(self) -> None:
        """Hand what has been made to the sockets; only now it counts as sent."""
        bursts, self._bursts = self._bursts, defaultdict(Burst)
        for trunk, burst in bursts.items():
            if self.failure:
                return  # Given up meanwhile: the ledger says that these were never sent.
            burst.app_before_ms = self._worker.floor_ms
            burst.sent_us = self._worker.now_us()
            try:
                trunk.send(burst.frames)
            except TrunkBrokenError:
                self._lost(trunk)
            burst.frames.clear()
        while self._in_flight > IN_FLIGHT_MAX and not self.failure:
            if not self._answered.wait(ANSWER_TIMEOUT_S):
                self._give_up_late()
            self._answered.clear()

    def _connected(self, point: str) -> Trunk | None:
        """A trunk to an access point; None, and a failure, when there is none to be had."""
        for attempt in range(CONNECT_TRIES):
            trunk = Trunk(self._url(point), self._instance_id(), self._assignment.sdkappid)
            try:
                trunk.open()
            except TrunkBrokenError as error:
                if attempt == CONNECT_TRIES - 1:
                    self.failure = str(error)
                gevent.sleep(CONNECT_RETRY_S)
            else:
                self._trunks[point] = trunk
                gevent.spawn(self._read, trunk)
                return trunk
        return None

    def _read(self, trunk: Trunk) -> None:
        trunk.read(self._on_answers)
        self._lost(trunk)

    def _on_answers(self, trunk: Trunk, messages: list[bytes]) -> None:
        """Book what was read at once; the time is taken once, when it was read."""
        worker = self._worker
        answered_us, after_ms = worker.now_us(), worker.ceiling_ms
        sample = worker.sample
        connection, requests = trunk.instance_id, trunk.requests
        rows: list[type_row] = []
        for data in messages:
            answer = _decode(data)
            seq, code = answer.head.seq, answer.body.ErrorCode
            request = requests.pop(seq, None)
            if request is None:
                continue  # A push, or an answer that came after it had been given up.
            place, planned_us, burst = request
            sent_us = burst.sent_us
            assert sent_us is not None, "an answer comes after its request was sent"
            rows.append(
                (
                    place,
                    connection,
                    seq,
                    planned_us,
                    sent_us,
                    burst.app_before_ms,
                    answered_us,
                    after_ms,
                    code,
                )
            )
            if code:
                sample("wslogin refused", (answered_us - sent_us) / 1_000, len(data), None)
            else:
                self.admitted += 1
                sample("wslogin", (answered_us - sent_us) / 1_000, len(data), None)
        worker.ledger.extend(rows)
        self._in_flight -= len(rows)
        self.answered += len(rows)
        self._answered.set()

    def _lost(self, trunk: Trunk) -> None:
        """The outcome of what was in flight on a broken trunk is unknown."""
        requests, trunk.requests = trunk.requests, {}
        rows: list[type_row] = []
        for seq, (place, planned_us, burst) in requests.items():
            rows.append(
                (
                    place,
                    trunk.instance_id,
                    seq,
                    planned_us,
                    burst.sent_us,
                    burst.app_before_ms,
                    None,
                    None,
                    None,
                )
            )
            self._worker.sample("wslogin", 0, 0, "no answer")
        self._worker.ledger.extend(rows)
        self._in_flight -= len(rows)
        self._answered.set()

    def _give_up(self) -> None:
        for trunk in (*self._trunks.values(), *self._alone):
            self._lost(trunk)

    def _give_up_late(self) -> None:
        self.failure = f"{self._in_flight} logins had no answer within {ANSWER_TIMEOUT_S:.0f} s"
        self._give_up()

    def _wait_for_answers(self) -> None:
        deadline_us = self._worker.now_us() + int(ANSWER_TIMEOUT_S * 1e6)
        while self._in_flight and not self.failure:
            if self._worker.now_us() > deadline_us:
                self._give_up_late()
            self._answered.wait(0.1)
            self._answered.clear()

    # --- a connection for each login --------------------------------------------------------------

    def _login_alone(self, at: int) -> None:
        """Connect, log in, leave: what an app does that is opened and closed again."""
        if self.failure:
            return
        place = self._places[at]
        trunk = Trunk(self._url(self._points[at]), self._instance_id(), self._assignment.sdkappid)
        burst = Burst([], self._worker.now_us(), self._worker.floor_ms)
        planned_us = self._zero_us + int(place * self._us_each)
        trunk.requests[1] = (place, planned_us, burst)
        self._alone.add(trunk)
        self._in_flight += 1
        self.issued += 1
        data = None
        try:
            trunk.open()
            trunk.send([self._frame(at, 1)])
            data = trunk.read_one(ANSWER_TIMEOUT_S)
        except TrunkBrokenError as error:
            self.failure = str(error)
        if data is None:
            self._lost(trunk)
        else:
            self._on_answers(trunk, [data])
        self._alone.discard(trunk)
        trunk.say_goodbye()

    # --- frames -----------------------------------------------------------------------------------

    def _frame(self, at: int, seq: int) -> bytes:
        """The vendor's login frame with the smallest head that names app, user and device."""
        user_id = population.user_id(self._users[at])
        signature = self._usersig(user_id, self._sigs[at])
        platform = population.PLATFORM_NUMBERS[self._platforms[at]]
        return (
            f'{{"head":{{"ver":"v4","platform":{platform},"sdkappid":{self._assignment.sdkappid},"contenttype":"json",'
            f'"status_instid":{self._devices[at]},"servcmd":"im_open_status.wslogin","seq":{seq},'
            f'"identifier":"{user_id}","usersig":"{signature}"}},"body":{{"State":"Online"}}}}'
        ).encode()

    def _usersig(self, user_id: str, sig: int) -> str:
        sdkappid, signed_s = self._assignment.sdkappid, self._signed_s
        if sig == plan.GOOD_SIG:
            return usersig.sign(self._mac, sdkappid, user_id, signed_s, USERSIG_EXPIRE_S)
        spoilt = {
            70001: lambda: usersig.sign(self._mac, sdkappid, user_id, signed_s - 7_200, 3_600),
            70002: lambda: "",
            70003: lambda: "bm90LXpsaWI_",
            70009: lambda: usersig.sign(self._wrong_mac, sdkappid, user_id, signed_s, USERSIG_EXPIRE_S),
            70013: lambda: usersig.sign(self._mac, sdkappid, f"{user_id}x", signed_s, USERSIG_EXPIRE_S),
            70014: lambda: usersig.sign(self._mac, sdkappid + 1, user_id, signed_s, USERSIG_EXPIRE_S),
        }
        return spoilt[plan.BAD_SIG_CODES[sig - 1]]()

    def _url(self, point: str) -> str:
        return f"{self._assignment.gateway_url}/ap/{point}" if point else self._assignment.gateway_url

    def _instance_id(self) -> str:
        """32 hex digits, unlike any other of this run, and the same in the next run with the same seed."""
        self._connections += 1
        return chance.hex_digits(self._worker.plan.options.seed, self._share, self._connections)


def assignment_from(data: Mapping[str, Any]) -> Assignment:
    return Assignment(**data)


def _steps(times_ms: Any) -> list[int]:  # noqa: ANN401 -- a numpy array
    """For each step, how many arrivals lie before its end; for step −1 none, as the day has not begun."""
    ends = [times_ms.searchsorted(start) for start in plan.STEPS_MS[1:]]
    return [*(int(end) for end in ends), len(times_ms), 0]

"""The door over the gateway for users who live through the loss of access points.

Each asks dispatch, comes in where it says, and is online until the billing day ends. Whoever loses the connection, or
is asked to move, waits for a jittered time, asks again and resumes elsewhere; a login whose answer was lost with the
connection is repeated.
"""

import heapq
from array import array
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

import gevent
import numpy as np
from gevent.event import Event
from gevent.lock import Semaphore
from numpy.typing import NDArray

from im_load import chance, population
from im_load.dispatch import DispatchLostError, NoAccessPointError
from im_load.gateway import ANSWER_TIMEOUT_S, IN_FLIGHT_MAX, Burst
from im_load.ledger import RECONNECT, REPEAT
from im_load.plans.arrivals import LOGIN
from im_load.requests import REFUSED_NAMES, SAMPLE_NAMES, Frames, decode_answer, moved_version, ticket_of
from im_load.trunk import Trunk, TrunkBrokenError

if TYPE_CHECKING:
    from im_load.drivers import Driver, Share
    from im_load.ledger import type_row, type_unplanned_row
    from im_load.worker import Assignment

BACK_OFF_S_MAX: Final = 30.0
OFFLINE_S_MAX: Final = 120.0
"""A user who finds no access point for so long ends the run."""
LOST_S_MAX: Final = 10.0
"""The same where not even dispatch answers: the server is gone."""
OF_PLAN, BESIDE = 0, 1
BURST_MAX: Final = 100
TICK_S: Final = 0.01

_BACK_OFF_PURPOSE: Final = 30
_DEVICES: Final = 2
_OFFLINE: Final = 0
_UNPLANNED_NAMES: Final = ("resume", SAMPLE_NAMES[LOGIN])
_UNPLANNED_REFUSED_NAMES: Final = ("resume refused", REFUSED_NAMES[LOGIN])


@dataclass(slots=True)
class Again:
    """Something that a lost or refused connection has left to do."""

    key: int
    """The user's device: its index times two, one more for the second device."""
    kind: int | None
    """RECONNECT or REPEAT; None for an arrival of the plan that has not been sent yet."""
    at: int
    """The arrival's place in the share; -1 for a resume, which belongs to none."""
    home: int
    platform: int
    """The vendor's number."""
    since_us: int
    """When the connection was lost."""
    due_us: int = 0
    app_ms: int = 0
    """The app's time known when it fell due."""
    tries: int = 0


type_request = tuple[int, Burst, int, Again | None]
"""Of a request in flight: the arrival's place in the share, its burst, its route, and what it does again."""


class Roaming:
    """A driver's trunks, one to each access point that its users come in at."""

    def __init__(self, driver: "Driver", assignment: "Assignment", frames: Frames) -> None:
        worker = driver.worker
        self._driver = driver
        self._gateway_url = assignment.gateway_url
        self._sdkappid = assignment.sdkappid
        self._back_off_s = assignment.back_off_s
        self._seed = worker.plan.options.seed
        self._frames = frames
        self._dispatch = worker.dispatch
        self._day = -1
        self._trunks: dict[str, Trunk] = {}
        self._opening = Semaphore()
        self._slot_of: dict[Trunk, int] = {}
        """A number for each trunk that is not lost, from 1."""
        self._slots = array("H", bytes(2 * _DEVICES * worker.plan.population_size))
        """For each device the slot of the trunk on which it is online."""
        self._slot_view = np.frombuffer(self._slots, dtype=np.uint16)
        self._next_slot = count(1)
        self._tickets: dict[int, bytes] = {}
        self._due: list[tuple[int, int, Again]] = []
        """A heap: when, in which order, what."""
        self._order = count()
        self._reconnecting: set[int] = set()
        """Devices that are to resume."""
        self._left = 0
        """What is in the heap, or has been taken out and not been sent."""
        self._in_flight = [0, 0]
        """Requests of the plan, and those beside it: each waits for its own only, so that neither starves the other."""
        self._answered_us = 0
        self._bursts: defaultdict[Trunk, Burst] = defaultdict(Burst)
        self._answered = Event()
        self._is_working = False

    # --- what a door does -------------------------------------------------------------------------

    def open(self, share: "Share") -> None:
        if share.day != self._day:
            self._go_offline()
            self._day = share.day
        self._dispatch.expect(share.homes)
        routes, points = self._driver.worker.routes, set()
        try:
            for home in sorted(set(share.homes)):
                points.add(routes[self._dispatch.route(home, "")].access_point)
            for point in sorted(points):
                self._trunk(point)
        except (NoAccessPointError, TrunkBrokenError):
            pass  # Whoever comes meets it again, and has time to get over it.

    def put(self, at: int) -> None:
        self._ask(self._of_plan(at))

    def send(self) -> None:
        self._flush()
        self._wait_for_room(OF_PLAN)

    def _flush(self) -> None:
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

    def _wait_for_room(self, whose: int) -> None:
        while self._in_flight[whose] > IN_FLIGHT_MAX and not self._driver.failure:
            if not self._answered.wait(ANSWER_TIMEOUT_S):
                self._fail_late()
            self._answered.clear()

    def wait(self) -> None:
        driver = self._driver
        self._answered_us = driver.worker.now_us()
        while (any(self._in_flight) or self._left) and not driver.failure:
            if any(self._in_flight) and driver.worker.now_us() > self._answered_us + ANSWER_TIMEOUT_S * 1e6:
                self._fail_late()
            self._answered.wait(0.1)
            self._answered.clear()

    def give_up(self) -> None:
        self._due.clear()
        self._left = 0
        for trunk in [trunk for trunk in self._slot_of if trunk.requests]:
            self._lost(trunk)

    def close(self) -> None:
        self._go_offline()
        self._dispatch.close()

    # --- asking -----------------------------------------------------------------------------------

    def _of_plan(self, at: int) -> Again:
        share = self._driver.share
        key = share.users[at] * _DEVICES + share.devices[at] - 1
        return Again(key, None, at, share.homes[at], share.platforms[at], self._driver.worker.now_us())

    def _ask(self, again: Again) -> None:
        """Put a request into a burst, or leave it for later where no access point is to be had."""
        driver = self._driver
        user = again.key // _DEVICES
        try:
            route = self._dispatch.route(again.home, population.user_id(user))
            trunk = self._trunk(driver.worker.routes[route].access_point)
        except (NoAccessPointError, TrunkBrokenError) as error:
            self._dispatch.forget()
            is_lost = isinstance(error, DispatchLostError)
            self._later(again, str(error), LOST_S_MAX if is_lost else OFFLINE_S_MAX)
            return
        # After this point nothing yields until the request is in a burst.
        trunk.seq = seq = trunk.seq + 1
        burst = self._bursts[trunk]
        burst.frames.append(self._frame(again, seq))
        trunk.requests[seq] = (again.at, burst, route, None if again.kind is None else again)
        self._in_flight[OF_PLAN if again.kind is None else BESIDE] += 1
        driver.issued += 1

    def _frame(self, again: Again, seq: int) -> bytes:
        user, device = again.key // _DEVICES, again.key % _DEVICES + 1
        if again.kind == RECONNECT:
            return self._frames.resume(device, again.platform, self._tickets[again.key], seq)
        share = self._driver.share
        return self._frames.login(user, device, again.platform, share.sigs[again.at], seq)

    def _trunk(self, point: str) -> Trunk:
        """The trunk to an access point. Raises TrunkBrokenError."""
        with self._opening:
            trunk = self._trunks.get(point)
            if trunk is not None and trunk.is_open:
                return trunk
            if trunk is not None:
                self._lost(trunk)
            url = f"{self._gateway_url}/ap/{point}"
            trunk = Trunk(url, self._driver.connection_id(), self._sdkappid, self._driver.source())
            trunk.open()
            self._trunks[point] = trunk
            self._slot_of[trunk] = next(self._next_slot)
            gevent.spawn(self._read, trunk)
            return trunk

    # --- answers ----------------------------------------------------------------------------------

    def _read(self, trunk: Trunk) -> None:
        try:
            trunk.read(self._on_answers)
        except ValueError as error:
            self._driver.fail(f"{trunk.name} sent what is no frame: {error}")
        self._lost(trunk)

    def _on_answers(self, trunk: Trunk, messages: list[bytes]) -> None:
        """Book what was read at once; the time is taken once, when it was read."""
        driver, share, slots = self._driver, self._driver.share, self._slots
        worker = driver.worker
        self._answered_us = answered_us = worker.now_us()
        after_ms, slot = worker.ceiling_ms, self._slot_of.get(trunk, _OFFLINE)
        sample, requests = worker.sample, trunk.requests
        rows: list[type_row] = []
        unplanned: list[type_unplanned_row] = []
        admitted = 0
        for data, answer in zip(messages, [decode_answer(data) for data in messages], strict=True):
            seq, code = answer.head.seq, answer.body.ErrorCode
            request = requests.pop(seq, None)
            if request is None:
                if not seq and (version := moved_version(data)) is not None:
                    self._move(trunk, version)
                continue
            at, burst, route, again = request
            outcome = (burst.sent_us, burst.app_before_ms, answered_us, after_ms, code)
            if again is None:
                key = share.users[at] * _DEVICES + share.devices[at] - 1
                rows.append((share.places[at], route, trunk.instance_id, seq, driver.planned_us(at), *outcome))
                names = REFUSED_NAMES if code else SAMPLE_NAMES
                name = names[LOGIN]
            else:
                key = again.key
                unplanned.append(self._unplanned(again, route, trunk, seq, *outcome))
                self._reconnecting.discard(key)
                names = _UNPLANNED_REFUSED_NAMES if code else _UNPLANNED_NAMES
                name = names[again.kind or RECONNECT]
            sample("WS", name, (answered_us - burst.sent_us) / 1_000, len(data), None)
            if code:
                continue
            admitted += 1
            slots[key] = slot
            self._tickets[key] = ticket_of(data)
        self._in_flight[OF_PLAN] -= len(rows)
        self._in_flight[BESIDE] -= len(unplanned)
        driver.book(rows, answered=len(rows), admitted=admitted)
        driver.book_unplanned(unplanned, answered=len(unplanned))
        self._answered.set()

    def _unplanned(  # noqa: PLR0913, PLR0917 -- a row's columns
        self,
        again: Again,
        route: int,
        trunk: Trunk,
        seq: int,
        sent_us: int | None,
        before_ms: int | None,
        answered_us: int | None,
        after_ms: int | None,
        code: int | None,
    ) -> "type_unplanned_row":
        assert again.kind is not None, "an arrival of the plan has a row of its own"
        user, device = again.key // _DEVICES, again.key % _DEVICES + 1
        what = (self._driver.unplanned_number(), user, device, again.kind, again.app_ms)
        return (*what, route, trunk.instance_id, seq, again.due_us, sent_us, before_ms, answered_us, after_ms, code)

    # --- trouble ----------------------------------------------------------------------------------

    def _lost(self, trunk: Trunk) -> None:
        """What was in flight has an unknown outcome and is asked again; who was online there resumes elsewhere."""
        slot = self._slot_of.pop(trunk, None)
        if slot is None:
            return
        trunk.close()
        driver, share = self._driver, self._driver.share
        self._dispatch.forget()
        requests, trunk.requests = trunk.requests, {}
        self._bursts.pop(trunk, None)
        rows: list[type_row] = []
        unplanned: list[type_unplanned_row] = []
        now_us = driver.worker.now_us()
        for seq, (at, burst, route, unplanned_one) in requests.items():
            self._in_flight[OF_PLAN if unplanned_one is None else BESIDE] -= 1
            again = unplanned_one or self._of_plan(at)
            if burst.sent_us is None:  # It never left: nothing is unknown of it.
                driver.issued -= 1
                self._later(again, "the access point was lost")
                continue
            unknown = (burst.sent_us, burst.app_before_ms, None, None, None)
            if again.kind is None:
                rows.append((share.places[at], route, trunk.instance_id, seq, driver.planned_us(at), *unknown))
                again.kind = REPEAT
            else:
                unplanned.append(self._unplanned(again, route, trunk, seq, *unknown))
                again.since_us = now_us
            driver.worker.sample("WS", _UNPLANNED_NAMES[again.kind or RECONNECT], 0, 0, "no answer")
            self._later(again, "the access point was lost")
        driver.book(rows, answered=0, admitted=0)
        driver.book_unplanned(unplanned, answered=0)
        keys = np.flatnonzero(self._slot_view == slot)
        self._slot_view[keys] = _OFFLINE
        self._reconnect(keys)
        self._answered.set()

    def _move(self, trunk: Trunk, version: int) -> None:
        """The access point is being drained: its users resume elsewhere, and stay here until they have."""
        self._dispatch.know(version)
        if (slot := self._slot_of.get(trunk)) is not None:
            self._reconnect(np.flatnonzero(self._slot_view == slot))

    def _reconnect(self, keys: NDArray[np.int64]) -> None:
        driver = self._driver
        if driver.failure or not len(keys):
            return
        now_us = driver.worker.now_us()
        users, devices = keys // _DEVICES, (keys % _DEVICES + 1).astype(np.int8)
        homes = driver.worker.plan.world.home_of(self._seed, users).tolist()
        platforms = population.platforms(self._seed, users, devices).tolist()
        # All at once: a hundred thousand may have lost their connection.
        waits_us = (self._drawn(keys, 0) * self._back_off_s * 1e6).astype(np.int64).tolist()
        for key, home, platform, wait_us in zip(keys.tolist(), homes, platforms, waits_us, strict=True):
            if key not in self._reconnecting:
                self._reconnecting.add(key)
                again = Again(key, RECONNECT, -1, home, population.PLATFORM_NUMBERS[platform], now_us)
                self._wait_for(again, now_us + wait_us)

    def _later(self, again: Again, why: str, most_s: float = OFFLINE_S_MAX) -> None:
        """After a time drawn from nothing to twice as long as the time before; the first time is the option's."""
        driver = self._driver
        now_us = driver.worker.now_us()
        if driver.failure:
            return
        if now_us - again.since_us > most_s * 1e6:
            driver.fail(f"a user was kept out for {most_s:.0f} s: {why}")
            return
        longest_s = min(BACK_OFF_S_MAX, self._back_off_s * 2**again.tries)
        drawn = float(self._drawn(np.array([again.key], dtype=np.int64), again.tries)[0])
        self._wait_for(again, now_us + int(longest_s * 1e6 * drawn))

    def _wait_for(self, again: Again, due_us: int) -> None:
        again.due_us = due_us
        again.tries += 1
        heapq.heappush(self._due, (again.due_us, next(self._order), again))
        self._left += 1
        if not self._is_working:
            self._is_working = True
            gevent.spawn(self._work)

    def _drawn(self, keys: NDArray[np.int64], tries: int) -> NDArray[np.float64]:
        """From 0 to 1, by the seed, the device and how often it has tried."""
        found: NDArray[np.float64] = chance.numbers(self._seed, _BACK_OFF_PURPOSE * 1_000 + tries, keys) / 2.0**64
        return found

    def _work(self) -> None:
        driver = self._driver
        while self._due and not driver.failure:
            now_us = driver.worker.now_us()
            if self._due[0][0] > now_us:
                gevent.sleep(TICK_S)
                continue
            for _ in range(BURST_MAX):
                if not self._due or self._due[0][0] > now_us:
                    break
                again = heapq.heappop(self._due)[2]
                again.app_ms = driver.worker.floor_ms
                self._ask(again)
                self._left -= 1
            self._flush()
            self._wait_for_room(BESIDE)
            gevent.sleep(0)  # Between bursts the others have their turn.
        self._is_working = False
        self._answered.set()

    def _go_offline(self) -> None:
        """Everybody leaves in order: nothing is in flight any more."""
        for trunk in list(self._slot_of):
            del self._slot_of[trunk]
            trunk.say_goodbye()
        self._trunks.clear()
        self._tickets.clear()
        self._reconnecting.clear()
        self._slot_view[:] = _OFFLINE
        self._next_slot = count(1)

    def _fail_late(self) -> None:
        self._driver.fail(f"{sum(self._in_flight)} requests had no answer within {ANSWER_TIMEOUT_S:.0f} s")

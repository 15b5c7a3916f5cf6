"""What an SDK asks before login: which access point to use. Once for each place and version of the routing table.

An answer holds for everybody at a place. Where capacity is short, bands of the answer say who goes where: the client
works out its user's number as `docs/routing.md` describes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final
from urllib.parse import urlencode

import msgspec
from gevent.lock import Semaphore

from im_load.keep_alive import CallFailedError, KeepAlive, NoAnswerError
from im_load.population import World
from im_load.routes import Route, Routes

ANSWER_TIMEOUT_S: Final = 30.0
NUMBERS: Final = 100
ROUNDS_MAX: Final = 64
"""How many numbers a user draws at most."""
OK: Final = 200
AT_ONCE: Final = 100
"""Places that are asked for together."""

_64_BITS: Final = (1 << 64) - 1

type_probes = Mapping[str, float]
"""Round trips in ms that a client has measured, by access point."""
type_address = tuple[str, int]


class NoAccessPointError(Exception):
    """Raised when no access point may be had now: none is up, or dispatch does not answer."""


class DispatchLostError(NoAccessPointError):
    """Raised when dispatch does not answer: the server itself may be gone."""


class Point(msgspec.Struct, gc=False):
    """What is read of an offered access point."""

    code: str
    band: tuple[int, int]
    latency_ms: float | None = None


class Answer(msgspec.Struct, gc=False):
    """What is read of an answer; the best point first."""

    version: int
    points: list[Point]


_decode: Final = msgspec.json.Decoder(Answer).decode


class Dispatch:
    """A client of dispatch, shared by all drivers of a worker."""

    def __init__(
        self,
        address: type_address,
        sdkappid: int,
        world: World,
        routes: Routes,
        *,
        probes: Sequence[type_probes] = (),
    ) -> None:
        self._connection = KeepAlive(*address)
        self._sdkappid = sdkappid
        self._world = world
        self._routes = routes
        self._probes = probes
        """For each place of the world what clients there have measured; empty for nothing."""
        self._asking = Semaphore()
        self._homes: set[int] = set()
        """Places where users live who will want to know."""
        self._version = 0
        self._answers: dict[int, Answer] = {}
        self._first: dict[int, int] = {}
        """The route of everybody at a place whose best point takes all."""

    def route(self, home: int, user_id: str) -> int:
        """The number of the route by which this user reaches its access point. Raises NoAccessPointError."""
        found = self._first.get(home)
        if found is not None:
            return found
        answer = self._answers.get(home) or self._asked(home)
        if home in self._first:
            return self._first[home]
        return self._routes.number(Route(self._chosen(answer, home, user_id), answer.version))

    def expect(self, homes: Iterable[int]) -> None:
        """Users of these places are going to ask."""
        self._homes.update(homes)

    def know(self, version: int) -> None:
        """The table has this version now: what was answered before holds no more."""
        if version > self._version:
            self._version = version
            self.forget()

    def forget(self) -> None:
        """Something is wrong with what was answered: whoever needs an access point asks again."""
        self._answers.clear()
        self._first.clear()

    def close(self) -> None:
        self._connection.close()

    def ask(self, home: int, user_id: str = "") -> Answer:
        """The server's answer, whatever is known already. Raises NoAccessPointError and DispatchLostError."""
        (answer,) = self.ask_all([home], user_id)
        if isinstance(answer, str):
            raise NoAccessPointError(answer)
        return answer

    def ask_all(self, homes: Sequence[int], user_id: str = "") -> list[Answer | str]:
        """The same for several places at once; for a place without an access point what the server says instead."""
        paths = [self._path(home, user_id) for home in homes]
        try:
            if not self._connection.is_open:
                self._connection.open(ANSWER_TIMEOUT_S)
            answers = self._connection.get_all(paths)
        except (CallFailedError, NoAnswerError) as error:
            raise DispatchLostError(str(error)) from error
        return [_decode(body) if status == OK else body.decode(errors="replace").strip() for status, body in answers]

    def _path(self, home: int, user_id: str) -> str:
        asked = {"country": self._world.countries[home], "city": self._world.cities[home], "sdkappid": self._sdkappid}
        if self._probes:
            asked["latency_ms"] = ",".join(f"{code}:{ms}" for code, ms in self._probes[home].items())
        if user_id:
            asked["user_id"] = user_id
        return f"/dispatch?{urlencode({name: value for name, value in asked.items() if value})}"

    def _asked(self, home: int) -> Answer:
        with self._asking:
            while (known := self._answers.get(home)) is None:
                # Whoever lives elsewhere will ask soon: after a change everybody does.
                others = islice((one for one in self._homes if one not in self._answers and one != home), AT_ONCE - 1)
                homes = [home, *others]
                answers = self.ask_all(homes)
                if isinstance(answers[0], str):
                    raise NoAccessPointError(answers[0])
                for one, answer in zip(homes, answers, strict=True):
                    if not isinstance(answer, str):
                        self._keep(one, answer)
            return known

    def _keep(self, home: int, answer: Answer) -> None:
        self.know(answer.version)
        if answer.version < self._version:
            return
        self._answers[home] = answer
        best = answer.points[0]
        if best.band[1] == NUMBERS:
            self._first[home] = self._routes.number(Route(best.code, answer.version))

    def _chosen(self, answer: Answer, home: int, user_id: str) -> str:
        for turn in range(ROUNDS_MAX):
            number = user_number(user_id, turn)
            for point in answer.points:
                start, percent = point.band
                if (number - start) % NUMBERS < percent:
                    return point.code
        # No band has ever held it: rare enough to let the server say.
        with self._asking:
            return self.ask(home, user_id).points[0].code


def user_number(user_id: str, turn: int = 0) -> int:
    """The number that a user draws in a turn, 0 to 99: SplitMix64 of a hash of the UserID (`docs/routing.md`).

    >>> [user_number("alice", turn) for turn in range(3)]
    [93, 63, 58]
    """
    seed = int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest(), "little")
    mixed = (seed + (turn + 1) * 0x9E3779B97F4A7C15) & _64_BITS
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _64_BITS
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _64_BITS
    mixed ^= mixed >> 31
    return (mixed >> 32) * NUMBERS >> 32

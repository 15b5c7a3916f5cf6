"""Which access points a client is offered, in which order, and why.

Knows policies, residency and health. Does not know where states are kept, nor how a client asks. The vendor says only
that a login reaches the nearest access point (purchase FAQ, 1047/34421); how it chooses is not public, so that all of
this is a declared model (`docs/routing.md`).

A policy puts the points that the app allows into an order of preference, whatever their state. Bands
(`domain.capacity`) put those first that have room for this user. What is not up is left out last, so that losing a
point strikes it from each user's list and changes nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from mock_im_server.domain.capacity import NUMBERS, ROUNDS_MAX, Band, Health, bands, shares, turns, user_number
from mock_im_server.domain.geography import AccessPoint

HYSTERESIS_MS: Final = 10.0

Probes = Mapping[str, float | None]
"""Round trips that a client has measured, in ms by access point; None where no answer came."""


class NoPlaceError(ValueError):
    """Raised when a policy cannot rank because the client has not said where it is."""


class Policy(StrEnum):
    """By what access points are ranked."""

    GREAT_CIRCLE = "great_circle"
    LATENCY_TABLE = "latency_table"
    CLIENT_PROBE = "client_probe"


@dataclass(frozen=True, slots=True)
class Choice:
    """How the users of one app are routed."""

    policy: Policy = Policy.GREAT_CIRCLE
    pin: frozenset[str] = frozenset()
    """Codes of the only access points that may serve the app (data residency); empty for no such bound."""
    hysteresis_ms: float = HYSTERESIS_MS
    """A client that probes stays where it is until another point is faster by more than this."""

    def allows(self, code: str) -> bool:
        return not self.pin or code in self.pin


class Way(NamedTuple):
    """What is known of the way from a client to an access point: nothing when the client has not said where it is."""

    point: AccessPoint
    distance_km: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """What a client says of itself beside its place."""

    user_id: str = ""
    """Empty: the answer is for everybody at that place, and capacity shows in the shares only."""
    probes: Probes = field(default_factory=dict)
    current: str = ""
    """Code of the access point where the client is connected."""


ANYBODY: Final = Client()


@dataclass(frozen=True, slots=True)
class Candidate:
    """An access point in a ranking, and the reason why it stands there."""

    way: Way
    rank: int | None
    """From 1; None for a point that is not offered."""
    share_percent: int
    """Of the users at this place, those that the point is to serve."""
    health: Health
    is_allowed: bool
    reason: str


class Router:
    """The states of all points and one app's choice, ready to route."""

    def __init__(self, health: Mapping[str, Health], choice: Choice) -> None:
        self.choice = choice
        self._health = health
        self._ranked = _RANKED[choice.policy]
        self._is_open = not choice.pin and all(one.is_up for one in health.values())
        self.is_full = all(one.score == NUMBERS for one in health.values())
        """Whether every point takes everybody, so that preference alone is the order."""
        self.is_by_distance = self._is_open and self.is_full and choice.policy is Policy.GREAT_CIRCLE
        """Whether the order of the ways to a place is the answer, for every client there."""

    def route(self, ways: Sequence[Way], client: Client = ANYBODY) -> list[Way]:
        """The offered points, the best first: those that are up and allowed. Raises NoPlaceError.

        `ways` hold every point, the nearest first; at equal distance, or where none is known, by code.
        """
        order = self._ranked(ways, client.probes)
        turn: Mapping[str, int] = {}
        if not self._is_open:
            order = [way for way in order if self._may_serve(way.point.code)]
        if not self.is_full:
            turn = self._turns(ways, client)
            order.sort(key=lambda way: turn[way.point.code])
        return self._steadied(order, turn, client) if client.current else order

    def shares(self, ways: Sequence[Way], client: Client = ANYBODY) -> dict[str, int]:
        """Percent of the users at this place for each offered point, by code; 100 in all unless there is none."""
        by_code = self.bands(ways)
        offered = [way.point.code for way in self.route(ways, Client(probes=client.probes))]
        return dict(zip(offered, shares([by_code[code] for code in offered]), strict=True))

    def bands(self, ways: Sequence[Way]) -> dict[str, Band]:
        """The band of each allowed point, laid out in an order that does not waver with what clients measure."""
        if self.choice.policy is not Policy.GREAT_CIRCLE:
            ways = sorted(ways, key=_latency)
        codes = [way.point.code for way in ways if self.choice.allows(way.point.code)]
        # Of all points whatever their state: what is down keeps its band, so that nobody else's shifts.
        return dict(zip(codes, bands([self._health[code].score for code in codes]), strict=True))

    def explain(self, ways: Sequence[Way], client: Client = ANYBODY) -> list[Candidate]:
        """Every point: first the offered ones in their order, then the others in the policy's. Raises NoPlaceError."""
        offered = self.route(ways, client)
        codes = [way.point.code for way in offered]
        others = [way for way in self._ranked(ways, client.probes) if way.point.code not in codes]
        percent = self.shares(ways, client)
        reasons = self._reasons(ways, offered, client)
        return [
            Candidate(
                way,
                rank if rank <= len(offered) else None,
                percent.get(way.point.code, 0),
                self._health[way.point.code],
                self.choice.allows(way.point.code),
                reasons[way.point.code],
            )
            for rank, way in enumerate((*offered, *others), 1)
        ]

    def _may_serve(self, code: str) -> bool:
        return self._health[code].is_up and self.choice.allows(code)

    def _turns(self, ways: Sequence[Way], client: Client) -> dict[str, int]:
        by_code = self.bands(ways)
        if not client.user_id:
            return {code: 0 if band.percent else ROUNDS_MAX for code, band in by_code.items()}
        return dict(zip(by_code, turns(list(by_code.values()), client.user_id), strict=True))

    def _steadied(self, order: list[Way], turn: Mapping[str, int], client: Client) -> list[Way]:
        """With the client's own point first, unless the best one beats it by more than the hysteresis."""
        if not order or self.choice.policy is not Policy.CLIENT_PROBE:
            return order
        best = order[0].point.code
        fastest_ms, current_ms = client.probes.get(best), client.probes.get(client.current)
        if fastest_ms is None or current_ms is None or current_ms > fastest_ms + self.choice.hysteresis_ms:
            return order
        if turn.get(client.current, 0) != turn.get(best, 0):
            return order
        # Stable: the others stay as they are; a point that is down is not among them.
        return sorted(order, key=lambda way: way.point.code != client.current)

    def _reasons(self, ways: Sequence[Way], offered: Sequence[Way], client: Client) -> dict[str, str]:
        turn = self._turns(ways, client)
        number = f"users like number {user_number(client.user_id)}" if client.user_id else "anybody"
        reasons = {}
        for way in ways:
            code = way.point.code
            health = self._health[code]
            measure = _MEASURES[self.choice.policy](way, client.probes)
            if code not in turn:
                reasons[code] = f"not in the app's pin; {measure}"
            elif not health.is_up:
                reasons[code] = f"{health.state}; {measure}"
            elif turn[code]:
                reasons[code] = f"at {health.capacity_percent} % capacity it has no room for {number}; {measure}"
            else:
                reasons[code] = measure
        if offered and offered[0].point.code == client.current:
            best, *_ = self.route(ways, Client(client.user_id, client.probes))
            if best != offered[0]:
                reasons[client.current] += f"; kept: {best.point.code} is not faster by more than the hysteresis"
        return reasons


def _by_distance(ways: Sequence[Way], _probes: Probes) -> list[Way]:
    if ways and ways[0].distance_km is None:
        message = "this app's policy ranks by distance: say where the client is"
        raise NoPlaceError(message)
    return list(ways)


def _by_latency(ways: Sequence[Way], _probes: Probes) -> list[Way]:
    if ways and ways[0].latency_ms is None:
        message = "this app's policy ranks by a latency table: say where the client is"
        raise NoPlaceError(message)
    return sorted(ways, key=_latency)


def _by_probe(ways: Sequence[Way], probes: Probes) -> list[Way]:
    """Measured points first, then by the table those that nobody measured, last those that did not answer.

    A point without a measurement is not trusted to be near, however near it lies: what the client has seen to work goes
    first. Without any measurement the table decides.
    """

    def key(way: Way) -> tuple[int, float, float, str]:
        code = way.point.code
        table_ms = _latency(way)[0]
        if code not in probes:
            return 1, table_ms, 0.0, code
        probe_ms = probes[code]
        return (2, table_ms, 0.0, code) if probe_ms is None else (0, probe_ms, table_ms, code)

    return sorted(ways, key=key)


def _latency(way: Way) -> tuple[float, str]:
    return (0.0 if way.latency_ms is None else way.latency_ms), way.point.code


def _kilometres(way: Way, _probes: Probes) -> str:
    return f"{way.distance_km:,.0f} km away"


def _table_ms(way: Way, _probes: Probes) -> str:
    return f"{way.latency_ms:,.1f} ms by the latency table"


def _probe_ms(way: Way, probes: Probes) -> str:
    if way.point.code not in probes:
        return "not measured by the client"
    measured_ms = probes[way.point.code]
    return "did not answer the client" if measured_ms is None else f"{measured_ms:,.1f} ms measured by the client"


_RANKED: Final[Mapping[Policy, Callable[[Sequence[Way], Probes], list[Way]]]] = {
    Policy.GREAT_CIRCLE: _by_distance,
    Policy.LATENCY_TABLE: _by_latency,
    Policy.CLIENT_PROBE: _by_probe,
}
_MEASURES: Final[Mapping[Policy, Callable[[Way, Probes], str]]] = {
    Policy.GREAT_CIRCLE: _kilometres,
    Policy.LATENCY_TABLE: _table_ms,
    Policy.CLIENT_PROBE: _probe_ms,
}

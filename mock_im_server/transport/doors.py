"""The doors of the gateway, one at each access point: who may come in, who is inside, and what they hear of trouble.

A point that goes down cuts its connections; one that drains keeps them and asks them to move; both refuse new ones with
HTTP 503. A connection at no point, as the vendor's SDK makes by default, meets none of this.
"""

import asyncio
from collections import defaultdict
from typing import Final, NamedTuple, Protocol

from aiohttp import web

from mock_im_server.domain.capacity import Health, State
from mock_im_server.domain.geography import distance_km
from mock_im_server.network import Network
from mock_im_server.service import App
from mock_im_server.transport.questions import asked_in_query, place_named, place_of
from mock_im_server.transport.round_trips import RoundTrips
from mock_im_server.wire.moves import move

_PLACE_PARAMETERS: Final = frozenset({"country", "city", "latitude", "longitude"})


class Visit(NamedTuple):
    """A handshake that was let in: at which access point, and how far away the client is, if that matters."""

    access_point: str
    round_trip_ms: float | None


class Guest(Protocol):
    """A connection, as far as doors know it."""

    access_point: str
    app: App | None

    def push(self, *messages: bytes) -> None: ...

    def cut(self) -> None: ...


class Doors:
    """Connections by access point."""

    def __init__(self, network: Network, round_trips: RoundTrips | None) -> None:
        self._network = network
        self._round_trips = round_trips
        self._inside: defaultdict[str, set[Guest]] = defaultdict(set)
        network.on_change.append(self._changed)

    def connections(self, access_point: str) -> int:
        """How many are inside."""
        return len(self._inside[access_point])

    def admit(self, request: web.Request) -> Visit:
        """Raises HTTPNotFound, HTTPServiceUnavailable and, for a place that is none, HTTPBadRequest."""
        access_point = request.match_info.get("access_point", "")
        if not access_point:
            return Visit("", None)
        if access_point not in self._network.points:
            raise web.HTTPNotFound(text=f"there is no access point {access_point!r}\n")
        state = self._network.health(access_point).state
        if state is not State.UP:
            raise web.HTTPServiceUnavailable(text=f"access point {access_point!r} is {state}\n")
        return Visit(access_point, self._round_trip_ms(request, access_point))

    def line(self, transport: asyncio.Transport, visit: Visit, instance_id: str) -> asyncio.Transport:
        """The transport itself, or one that writes as late as a round trip takes."""
        if self._round_trips is None or visit.round_trip_ms is None:
            return transport
        return self._round_trips.line(transport, visit.round_trip_ms, instance_id)

    def enter(self, guest: Guest) -> None:
        """The handshake takes a while: a point may have gone meanwhile."""
        if not guest.access_point:
            return
        self._inside[guest.access_point].add(guest)
        self._tell(guest, self._network.health(guest.access_point))

    def leave(self, guest: Guest) -> None:
        if guest.access_point:
            self._inside[guest.access_point].discard(guest)

    def _changed(self, access_point: str, health: Health) -> None:
        for guest in list(self._inside[access_point]):
            self._tell(guest, health)

    def _tell(self, guest: Guest, health: Health) -> None:
        if health.state is State.DOWN:
            guest.cut()
        elif health.state is State.DRAINING:
            sdkappid = guest.app.settings.sdkappid if guest.app else 0
            guest.push(move(sdkappid, guest.access_point, self._network.version))

    def _round_trip_ms(self, request: web.Request, access_point: str) -> float | None:
        if self._round_trips is None:
            return None
        if "place" in request.match_info:
            place = place_named(request.match_info["place"], self._network)
        elif _PLACE_PARAMETERS.isdisjoint(request.query):
            return None
        else:
            place = place_of(asked_in_query(request.query), self._network)
        if place is None:
            return None
        point = self._network.points[access_point]
        distance = distance_km(place.latitude, place.longitude, point.latitude, point.longitude)
        return self._network.latency.round_trip_ms(place.name, access_point, distance)

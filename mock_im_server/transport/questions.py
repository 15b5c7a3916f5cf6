"""What a client says of itself when it asks for an access point, over GET or POST: read and checked."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from mock_im_server.domain.routing import Choice, Client, Policy, Probes
from mock_im_server.network import Network, Place
from mock_im_server.transport.connections import body_in_time, one_line
from mock_im_server.wire import frames

PROBE_MS_MAX: Final = 60_000.0
LATITUDE_MAX: Final = 90.0
LONGITUDE_MAX: Final = 180.0

_DEGREES: Final = r"(-?\d{1,3}(?:\.\d{1,15})?)"
_COORDINATES: Final = re.compile(rf"[^?]*\?latitude={_DEGREES}&longitude={_DEGREES}", re.ASCII).fullmatch
ANY_CHOICE: Final = Choice()
_PROBING: Final = Choice(Policy.CLIENT_PROBE)


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /dispatch`; over GET the same names, `latency_ms` being written `kr:12.5,jp:40,sg:`."""

    country: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None
    latency_ms: dict[str, float | None] = {}
    sdkappid: int = 0
    user_id: str = ""
    current: str = ""


class Question(NamedTuple):
    """Where the client is, what else it says, and how its app chose to route."""

    place: Place | None
    client: Client
    choice: Choice


async def question_of(request: web.Request, network: Network, apps: Mapping[int, object]) -> Question:
    """Raises HTTPBadRequest with one line; HTTPNotFound for an app that there is not."""
    return question(await _asked(request), network, apps)


def question(asked: Asked, network: Network, apps: Mapping[int, object]) -> Question:
    """Raises as `question_of` does."""
    if asked.sdkappid:
        if asked.sdkappid not in apps:
            raise web.HTTPNotFound(text=f"there is no app {asked.sdkappid} here\n")
        choice = network.choice(asked.sdkappid)
    else:
        # Nobody's policy: what the client has measured is what it wants to be judged by.
        choice = _PROBING if asked.latency_ms else ANY_CHOICE
    return Question(place_of(asked, network), Client(asked.user_id, _probes(asked), asked.current), choice)


def place_of(asked: Asked, network: Network) -> Place | None:
    """Raises HTTPBadRequest."""
    if asked.country:
        place = network.place(asked.country, asked.city)
        if place is None:
            wanted = "a large city of cities.csv" if asked.city else "an ISO 3166 alpha-2 code"
            name = f"city {asked.city!r} in {asked.country!r}" if asked.city else f"country {asked.country!r}"
            raise web.HTTPBadRequest(text=f"unknown {name}: {wanted} is needed\n")
        return place
    if asked.latitude is None or asked.longitude is None:
        if asked.latency_ms and not asked.city and asked.latitude is asked.longitude:
            return None
        text = "say where the client is: country=KR, with a city if you like, or latitude and longitude in degrees\n"
        raise web.HTTPBadRequest(text=text)
    if not (abs(asked.latitude) <= LATITUDE_MAX and abs(asked.longitude) <= LONGITUDE_MAX):
        text = f"not a place on earth: latitude {asked.latitude}, longitude {asked.longitude}\n"
        raise web.HTTPBadRequest(text=text)
    return Place("", asked.latitude, asked.longitude)


def _probes(asked: Asked) -> Probes:
    for code, ms in asked.latency_ms.items():
        if ms is not None and not (isfinite(ms) and 0 <= ms <= PROBE_MS_MAX):
            raise web.HTTPBadRequest(text=f"latency_ms of {code!r} must be 0 to {PROBE_MS_MAX:.0f} or null\n")
    return asked.latency_ms


def coordinates_of(request: web.Request) -> Place | None:
    """The place, where a client asks by GET for coordinates on earth and says nothing else.

    So most clients ask: read in a fraction of the time that a query takes in general.
    """
    found = _COORDINATES(request.raw_path)
    if found is None or request.method != "GET":
        return None
    latitude, longitude = float(found[1]), float(found[2])
    is_on_earth = abs(latitude) <= LATITUDE_MAX and abs(longitude) <= LONGITUDE_MAX
    return Place("", latitude, longitude) if is_on_earth else None


async def _asked(request: web.Request) -> Asked:
    if request.method == "GET":
        return asked_in_query(request.query)
    try:
        return msgspec.json.decode(await body_in_time(request), type=Asked)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not come in time\n") from error
    except frames.MALFORMED as error:
        raise web.HTTPBadRequest(text=one_line(error)) from error


def asked_in_query(query: Mapping[str, str]) -> Asked:
    """Other parameters are nobody's business here. Raises HTTPBadRequest."""
    given: dict[str, Any] = {name: query[name] for name in Asked.__struct_fields__ if name in query}
    if "latency_ms" in given:
        pairs = (part.partition(":") for part in given["latency_ms"].split(",") if part)
        given["latency_ms"] = {code: ms or None for code, _, ms in pairs}
    try:
        return msgspec.convert(given, type=Asked, strict=False)
    except msgspec.ValidationError as error:
        raise web.HTTPBadRequest(text=one_line(error)) from error


def place_named(name: str, network: Network) -> Place | None:
    """Of a URL that dispatch has given out: `KR`, `KR.Busan` or `37.6,127.0`. Raises HTTPBadRequest."""
    latitude, comma, longitude = name.partition(",")
    if comma:
        return place_of(asked_in_query({"latitude": latitude, "longitude": longitude}), network)
    country, _, city = name.partition(".")
    return place_of(Asked(country, city), network)

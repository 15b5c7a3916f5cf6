"""Which access points a client should use, asked before login as an SDK does.

`GET /dispatch?country=KR` or `?latitude=37.6&longitude=127.0` answers all points that are offered, the best first; POST
takes the same as JSON, with what the client has measured. A client asks once for each place and table version.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from mock_im_server.domain.capacity import NUMBERS, Band
from mock_im_server.domain.routing import ANYBODY, NoPlaceError, Policy, Way
from mock_im_server.network import Distances, Network, Place
from mock_im_server.transport.questions import ANY_CHOICE, Question, coordinates_of, question_of

ANSWERS_MAX: Final = 10_000
"""Answers for known places that are kept ready to send, until the table's next version."""
PATH_CHARACTERS_MAX: Final = 200
"""Of a question whose answer is kept ready: what is longer is not what everybody asks."""
HOSTS_MAX: Final = 100
"""Names of this server, as clients call it, for which points are kept ready."""
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,260}", re.ASCII)
"""The longest name with a port; it comes back in every URL of an answer."""
_WHOLE: Final = Band(0, NUMBERS)


class Point(msgspec.Struct, gc=False):
    """An offered access point."""

    code: str
    name: str
    data_centre: str
    distance_km: float | None
    latency_ms: float | None
    share_percent: int
    """Of the users at this place."""
    band: Band
    """The first of the users' numbers that it takes, and how many of the hundred."""
    gateway_url: str


class Answer(msgspec.Struct):
    """The answer to a question."""

    version: int
    policy: Policy
    points: list[Point]


class Dispatch:
    """Answers by the policy of the client's app."""

    def __init__(self, network: Network, apps: Mapping[int, object], *, urls_name_places: bool) -> None:
        self._network = network
        self._apps = apps
        self._urls_name_places = urls_name_places
        self._ready: dict[tuple[str, str, str], bytes] = {}
        self._ready_version = network.version
        self._encoder = msgspec.json.Encoder()
        self._ready_points: dict[str, list[Point]] = {}
        """By the beginning of their URLs."""
        self._asking: list[tuple[Place, asyncio.Future[Distances]]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/dispatch", self._serve), web.post("/dispatch", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        if not _HOST.fullmatch(request.host):
            raise web.HTTPBadRequest(text="the header Host must be a name or an address\n")
        if self._ready_version != self._network.version:
            self._ready.clear()
            self._ready_version = self._network.version
        if not self._urls_name_places and (place := coordinates_of(request)) is not None:
            return web.Response(body=await self._nearest(place, request), content_type="application/json")
        key = (request.scheme, request.host, request.raw_path)
        body = self._ready.get(key) if request.method == "GET" else None
        if body is None:
            question = await question_of(request, self._network, self._apps)
            body = self._answer(question, request)
            is_known = question.place is not None and question.place.name and question.client == ANYBODY
            is_short = len(request.raw_path) <= PATH_CHARACTERS_MAX
            if is_known and is_short and request.method == "GET" and len(self._ready) < ANSWERS_MAX:
                self._ready[key] = body
        return web.Response(body=body, content_type="application/json")

    def _answer(self, question: Question, request: web.Request) -> bytes:
        place, client, choice = question
        try:
            offered = self._network.route(choice, place, client)
        except NoPlaceError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        if not offered:
            raise web.HTTPServiceUnavailable(text="no access point that may serve this app is up\n")
        return self._encoder.encode(
            Answer(self._network.version, choice.policy, self._points(offered, question, request))
        )

    async def _nearest(self, place: Place, request: web.Request) -> bytes:
        """The answer to a client that has said where it is and nothing else, by nobody's policy."""
        ranked: asyncio.Future[Distances] = asyncio.get_running_loop().create_future()
        if not self._asking:
            asyncio.get_running_loop().call_soon(self._rank_all)
        self._asking.append((place, ranked))
        distances = await ranked
        if not self._network.routes(ANY_CHOICE).router.is_by_distance:
            return self._answer(Question(place, ANYBODY, ANY_CHOICE), request)
        points = self._points_of(_url_of(request))
        order = [points[index] for index in distances.indices]
        for point, km, ms in zip(order, distances.km, distances.ms, strict=True):
            point.distance_km = km
            point.latency_ms = ms
        order[0].share_percent = NUMBERS
        body = self._encoder.encode(Answer(self._network.version, ANY_CHOICE.policy, order))
        order[0].share_percent = 0  # For the next answer.
        return body

    def _rank_all(self) -> None:
        """For all who have asked within one tick of the loop, as the gateway does with its frames."""
        asking, self._asking = self._asking, []
        for (_, ranked), distances in zip(asking, self._network.distances([place for place, _ in asking]), strict=True):
            if not ranked.cancelled():
                ranked.set_result(distances)

    def _points_of(self, before: str) -> list[Point]:
        """All points by code; filled in again for each answer, which is made of few numbers and many constant words."""
        points = self._ready_points.get(before)
        if points is None:
            known = sorted(self._network.points.values(), key=lambda point: point.code)
            points = [
                Point(one.code, one.name, one.data_centre, None, None, 0, _WHOLE, f"{before}{one.code}")
                for one in known
            ]
            if len(self._ready_points) < HOSTS_MAX:
                self._ready_points[before] = points
        return points

    def _points(self, offered: Sequence[Way], question: Question, request: web.Request) -> list[Point]:
        place, client, choice = question
        before, after = _url_of(request), _path_of(place) if self._urls_name_places else ""
        points = [
            Point(point.code, point.name, point.data_centre, km, ms, 0, _WHOLE, f"{before}{point.code}{after}")
            for point, km, ms in offered
        ]
        router = self._network.routes(choice).router
        if router.is_full and not client.current:
            points[0].share_percent = NUMBERS
            return points
        ways = self._network.ways(place)
        shares, bands = router.shares(ways, client), router.bands(ways)
        for point in points:
            point.share_percent, point.band = shares[point.code], bands[point.code]
        return points


def _url_of(request: web.Request) -> str:
    """What stands before an access point's code."""
    return f"{'wss' if request.secure else 'ws'}://{request.host}/ap/"


def _path_of(place: Place | None) -> str:
    """What `transport.doors` reads again: the place, in the path, as SDKs append to the URL that they are given."""
    if place is None:
        return ""
    name = place.name.replace("/", ".", 1) or f"{place.latitude},{place.longitude}"
    return f"/from/{quote(name, safe='')}"

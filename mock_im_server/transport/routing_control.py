"""The part of the control API that sees to routing: how access points are, how apps route, and why so."""

from typing import Any

import msgspec
from aiohttp import web

from mock_im_server.domain.capacity import State
from mock_im_server.domain.routing import HYSTERESIS_MS, Choice, NoPlaceError, Policy
from mock_im_server.network import Network, NetworkRefusedError
from mock_im_server.routing_records import RoutingRecords
from mock_im_server.service import App
from mock_im_server.transport.control_door import APP_PATH, PREFIX, ControlDoor, body_of, json
from mock_im_server.transport.doors import Doors
from mock_im_server.transport.questions import asked_in_query, question


class ChangeHealth(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /access_points/{code}`; what is left out stays as it is."""

    state: State | None = None
    capacity: float | None = None


class ChangeRouting(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /apps/{sdkappid}/routing`: the whole choice, with defaults for what is left out."""

    policy: Policy = Policy.GREAT_CIRCLE
    pin: list[str] = []
    hysteresis_ms: float = HYSTERESIS_MS


class RoutingControl:
    """Handlers of the network."""

    def __init__(self, network: Network, records: RoutingRecords, doors: Doors, door: ControlDoor) -> None:
        self._network = network
        self._records = records
        self._doors = doors
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        guarded, of_app = self._door.guarded, self._door.of_app
        return [
            web.get(f"{PREFIX}/access_points", guarded(self._list)),
            web.put(f"{PREFIX}/access_points/{{code}}", guarded(self._change_health)),
            web.get(f"{APP_PATH}/routing", of_app(self._routing)),
            web.put(f"{APP_PATH}/routing", of_app(self._choose)),
            web.get(f"{APP_PATH}/routing/explain", of_app(self._explain)),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        points = [self._point(code) for code in sorted(self._network.points)]
        return json({"version": self._network.version, "points": points})

    async def _change_health(self, request: web.Request) -> web.Response:
        code = request.match_info["code"]
        if code not in self._network.points:
            raise web.HTTPNotFound(text=f"there is no access point {code!r}\n")
        wish = await body_of(request, ChangeHealth)
        before = self._network.version
        try:
            self._network.set_health(code, state=wish.state, capacity=wish.capacity)
        except NetworkRefusedError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        if self._network.version != before:
            await self._records.access_changed(code)
        return json({"version": self._network.version, **self._point(code)})

    def _point(self, code: str) -> dict[str, Any]:
        point, health = self._network.points[code], self._network.health(code)
        return {
            "code": code,
            "name": point.name,
            "country": point.country,
            "latitude": point.latitude,
            "longitude": point.longitude,
            "data_centre": point.data_centre,
            "state": health.state,
            "capacity": health.capacity_percent / 100,
            "connections": self._doors.connections(code),
        }

    async def _routing(self, _request: web.Request, app: App) -> web.Response:
        choice = self._network.choice(app.settings.sdkappid)
        return json(
            {
                "version": self._network.version,
                "policy": choice.policy,
                "pin": sorted(choice.pin),
                "hysteresis_ms": choice.hysteresis_ms,
            }
        )

    async def _choose(self, request: web.Request, app: App) -> web.Response:
        wish = await body_of(request, ChangeRouting)
        choice = Choice(wish.policy, frozenset(wish.pin), wish.hysteresis_ms)
        before = self._network.version
        try:
            self._network.choose(app.settings.sdkappid, choice)
        except NetworkRefusedError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        if self._network.version != before:
            await self._records.routing_changed(app)
        return await self._routing(request, app)

    async def _explain(self, request: web.Request, app: App) -> web.Response:
        asked = msgspec.structs.replace(asked_in_query(request.query), sdkappid=app.settings.sdkappid)
        place, client, choice = question(asked, self._network, {app.settings.sdkappid: app})
        try:
            told = self._network.routes(choice).router.explain(self._network.ways(place), client)
        except NoPlaceError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        points = [
            {
                "code": one.way.point.code,
                "rank": one.rank,
                "reason": one.reason,
                "distance_km": one.way.distance_km,
                "latency_ms": one.way.latency_ms,
                "probe_ms": client.probes.get(one.way.point.code),
                "state": one.health.state,
                "capacity": one.health.capacity_percent / 100,
                "share_percent": one.share_percent,
                "is_allowed": one.is_allowed,
            }
            for one in told
        ]
        return json({"version": self._network.version, "policy": choice.policy, "points": points})

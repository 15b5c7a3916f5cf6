"""Which access point a client should use, asked before login as an SDK does.

`GET /dispatch?country=KR` or `?latitude=37.6&longitude=127.0` answers all points, nearest first. A client asks once for
each place and table version.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from mock_im_server.domain.geography import AccessPoint, Ranking

TABLE_VERSION: Final = 1


class Dispatch:
    """Ranks access points by great-circle distance: a declared model, the vendor's own is not public."""

    def __init__(
        self,
        access_points: Mapping[str, AccessPoint],
        countries: Mapping[str, tuple[float, float]],
    ) -> None:
        self._ranking = Ranking(access_points.values())
        self._countries = countries

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/dispatch", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        latitude, longitude = self._place(request.query)
        try:
            ranked = self._ranking.nearest(latitude, longitude)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        points: list[dict[str, Any]] = [
            {
                "code": point.code,
                "name": point.name,
                "distance_km": distance_km,
                "gateway_url": f"ws://{request.host}/ap/{point.code}",
            }
            for point, distance_km in ranked
        ]
        body = msgspec.json.encode({"version": TABLE_VERSION, "points": points})
        return web.Response(body=body, content_type="application/json")

    def _place(self, query: Mapping[str, str]) -> tuple[float, float]:
        if "country" in query:
            place = self._countries.get(query["country"].upper())
            if place is None:
                text = f"unknown country {query['country']!r}: an ISO 3166 alpha-2 code is needed\n"
                raise web.HTTPBadRequest(text=text)
            return place
        try:
            return float(query["latitude"]), float(query["longitude"])
        except (KeyError, ValueError) as error:
            text = "say where the client is: country=KR, or latitude and longitude in degrees\n"
            raise web.HTTPBadRequest(text=text) from error

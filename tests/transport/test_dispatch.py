"""Which access point is the nearest, as a client asks before it logs in."""

import json

import pytest

from tests.serving import a_server


@pytest.mark.parametrize(
    ("place", "code"),
    [("country=KR", "kr"), ("country=kr", "kr"), ("country=de", "de"), ("latitude=-33.9&longitude=151.2", "au")],
)
async def test_the_nearest_point_comes_first(place: str, code: str) -> None:
    async with a_server() as server:
        found = json.loads(await server.page(f"/dispatch?{place}"))
        assert found["points"][0]["code"] == code
        assert found["points"][0]["gateway_url"] == f"{server.running.gateway_url}/ap/{code}"
    distances = [point["distance_km"] for point in found["points"]]
    assert (len(distances), distances) == (29, sorted(distances))


@pytest.mark.parametrize(
    "place",
    ["", "country=XX", "latitude=91&longitude=0", "latitude=x&longitude=0", "latitude=1", "latitude=nan&longitude=0"],
)
async def test_a_place_that_is_none_is_told_in_one_line(place: str) -> None:
    async with a_server() as server:
        assert (await server.page(f"/dispatch?{place}", status=400)).count("\n") == 1

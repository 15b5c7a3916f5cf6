"""Which access points a client is offered, as it asks before it logs in."""

import asyncio
import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.serving import SDKAPPID, Server, a_server, some_settings

ROUTING = f"/apps/{SDKAPPID}/routing"


async def asked(server: Server, query: str) -> Any:
    return json.loads(await server.page(f"/dispatch?{query}"))


async def posted(server: Server, body: object, *, status: int = 200) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with server.http.post(f"{server.running.url}/dispatch", data=data) as response:
        assert response.status == status
        return json.loads(await response.read()) if status == 200 else await response.text()


async def changed(server: Server, code: str, **health: object) -> None:
    status, said = await server.control("PUT", f"/access_points/{code}", health)
    assert status == 200, said


def codes(answer: Any) -> list[str]:
    return [point["code"] for point in answer["points"]]


@pytest.mark.holds("F4")
@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("country=KR", "kr"),
        ("country=kr", "kr"),
        ("country=de", "de"),
        ("country=CN&city=Beijing", "cn-north"),
        ("country=cn&city=guangzhou", "cn-south"),
        ("latitude=-33.9&longitude=151.2", "au"),
    ],
)
async def test_the_nearest_point_comes_first(place: str, code: str) -> None:
    async with a_server() as server:
        found = await asked(server, place)
        assert found["points"][0]["code"] == code
        assert found["points"][0]["gateway_url"] == f"{server.running.gateway_url}/ap/{code}"
    distances = [point["distance_km"] for point in found["points"]]
    assert (len(distances), distances) == (29, sorted(distances))
    assert [point["latency_ms"] for point in found["points"]] == [pytest.approx(10 + 0.022 * km) for km in distances]
    assert [point["share_percent"] for point in found["points"]] == [100] + [0] * 28


@pytest.mark.parametrize("together", [1, 3, 60])
async def test_coordinates_asked_for_together_are_answered_as_each_alone(together: int) -> None:
    """Whoever asks by GET within one tick is ranked with the others; POST is answered one by one."""
    chance = Random(7)
    places = [(round(chance.uniform(-90, 90), 4), round(chance.uniform(-180, 180), 4)) for _ in range(together)]
    places += [(37.566, 126.9784), (-37.566, -53.0216), (90.0, 0.0)]
    async with a_server() as server:
        alone = [await posted(server, {"latitude": north, "longitude": east}) for north, east in places]
        queries = [f"latitude={north}&longitude={east}" for north, east in places]
        assert list(await asyncio.gather(*[asked(server, query) for query in queries])) == alone


async def test_coordinates_meet_trouble_as_places_do() -> None:
    seoul = "latitude=37.566&longitude=126.9784"
    async with a_server() as server:
        assert codes(await asked(server, seoul))[0] == "kr"
        await changed(server, "kr", state="down")
        found = await asked(server, seoul)
        assert (codes(found)[0], len(codes(found)), found["version"]) == ("cn-east", 28, 2)
        await changed(server, "kr", state="up", capacity=0.5)
        assert await asked(server, seoul) == await posted(server, {"latitude": 37.566, "longitude": 126.9784})
        assert (await asked(server, seoul))["points"][0]["share_percent"] == 70


@pytest.mark.parametrize(
    "place",
    [
        "",
        "country=XX",
        "country=KR&city=Nowhere",
        "city=Seoul",
        "latitude=91&longitude=0",
        "latitude=x&longitude=0",
        "latitude=1",
        "latitude=nan&longitude=0",
        "country=KR&sdkappid=x",
        "country=KR&latency_ms=kr:x",
        "country=KR&latency_ms=kr:-1",
        "country=KR&latency_ms=kr:inf",
        "latency_ms=kr:1&latitude=1",
        "latency_ms=kr:1&city=Seoul",
    ],
)
async def test_a_question_that_is_none_is_told_in_one_line(place: str) -> None:
    async with a_server() as server:
        assert (await server.page(f"/dispatch?{place}", status=400)).count("\n") == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", {"country": 7}, {"latency_ms": {"kr": "fast"}}, {"nonsense": 1}])
async def test_a_body_that_is_no_question_is_told_in_one_line(body: object) -> None:
    async with a_server() as server:
        assert (await posted(server, body, status=400)).count("\n") == 1


async def test_what_a_client_has_measured_goes_first() -> None:
    measured = {"jp": 20.0, "sg": 15.0, "kr": None, "atlantis": 1.0}
    async with a_server() as server:
        found = await posted(server, {"country": "KR", "latency_ms": measured})
        assert found["policy"] == "client_probe"
        assert (codes(found)[:3], codes(found)[-1]) == (["sg", "jp", "cn-east"], "kr")
        assert codes(await asked(server, "country=KR&latency_ms=jp:20,sg:15,kr")) == codes(found)
        nowhere = await posted(server, {"latency_ms": measured})
        assert codes(nowhere)[:2] == ["sg", "jp"]
        assert nowhere["points"][0]["distance_km"] is None
        staying = await posted(server, {"latency_ms": measured, "current": "jp"})
        assert codes(staying)[:2] == ["jp", "sg"]


async def test_an_apps_policy_decides_for_its_users() -> None:
    async with a_server() as server:
        probing = {"country": "KR", "latency_ms": {"jp": 1.0}, "sdkappid": SDKAPPID}
        assert codes(await posted(server, probing))[0] == "kr"
        await server.control("PUT", ROUTING, {"policy": "client_probe"})
        assert codes(await posted(server, probing))[0] == "jp"
        assert (await asked(server, f"country=KR&sdkappid={SDKAPPID}"))["policy"] == "client_probe"
        assert "no app 7 here" in await server.page("/dispatch?country=KR&sdkappid=7", status=404)


async def test_a_pin_leaves_nothing_else() -> None:
    async with a_server() as server:
        await server.control("PUT", ROUTING, {"pin": ["de", "nl"]})
        assert codes(await asked(server, f"country=KR&sdkappid={SDKAPPID}")) == ["de", "nl"]
        await changed(server, "de", state="down")
        await changed(server, "nl", state="draining")
        text = await server.page(f"/dispatch?country=KR&sdkappid={SDKAPPID}", status=503)
        assert text == "no access point that may serve this app is up\n"
        assert codes(await asked(server, "country=KR"))[0] == "kr"


async def test_each_version_of_the_table_has_its_answers() -> None:
    async with a_server() as server:
        before = await server.page("/dispatch?country=KR")
        assert await server.page("/dispatch?country=KR") == before
        await changed(server, "kr", state="down")
        during = await asked(server, "country=KR")
        assert (during["version"], "kr" in codes(during), len(during["points"])) == (2, False, 28)
        await changed(server, "kr", state="up")
        after = await asked(server, "country=KR")
        assert (after["version"], after["points"]) == (3, json.loads(before)["points"])


async def test_half_the_capacity_shares_the_users_of_a_place() -> None:
    async with a_server() as server:
        await changed(server, "kr", capacity=0.5)
        found = await asked(server, "country=KR")
        assert [(point["share_percent"], point["band"]) for point in found["points"][:3]] == [
            (70, [0, 70]),
            (30, [70, 100]),
            (0, [70, 100]),
        ]
        firsts = [codes(await asked(server, f"country=KR&user_id=user_{number}"))[0] for number in range(100)]
        assert set(firsts) == {"kr", found["points"][1]["code"]}
        assert 50 < firsts.count("kr") < 90


async def test_with_round_trips_the_url_says_where_the_client_is() -> None:
    async with a_server(replace(some_settings(), round_trips=1)) as server:
        base = f"{server.running.gateway_url}/ap/kr/from"
        for place, path in (
            ("country=kr", "KR"),
            ("country=KR&city=busan", "KR.Busan"),
            ("country=RU&city=Saint Petersburg", "RU.Saint%20Petersburg"),
            ("latitude=37.5&longitude=127", "37.5%2C127.0"),
        ):
            urls = {point["code"]: point["gateway_url"] for point in (await asked(server, place))["points"]}
            assert urls["kr"] == f"{base}/{path}"
            async with server.http.ws_connect(f"{urls['kr']}/binfo") as socket:
                assert not socket.closed
        urls = (await posted(server, {"latency_ms": {"kr": 1.0}}))["points"][0]["gateway_url"]
        assert urls == f"{server.running.gateway_url}/ap/kr"

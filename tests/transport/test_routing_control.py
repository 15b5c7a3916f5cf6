"""Access points and routing through the control API."""

import pytest

from tests.serving import SDKAPPID, a_server

ROUTING = f"/apps/{SDKAPPID}/routing"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/access_points"),
        ("PUT", "/access_points/kr"),
        ("GET", ROUTING),
        ("PUT", ROUTING),
        ("GET", f"{ROUTING}/explain?country=KR"),
    ],
)
async def test_nothing_is_told_without_the_token(method: str, path: str) -> None:
    async with a_server() as server:
        status, _ = await server.control(method, path, {}, token="wrong")
        assert status == 401
        assert (await server.control("GET", "/access_points"))[1]["version"] == 1


async def test_access_points_are_listed_with_their_states() -> None:
    async with a_server() as server, server.connected("kr"):
        listed = (await server.control("GET", "/access_points"))[1]["points"]
        assert len(listed) == 29
        (found,) = [point for point in listed if point["code"] == "kr"]
        assert found == {
            "code": "kr",
            "name": "South Korea",
            "country": "KR",
            "latitude": 37.566,
            "longitude": 126.9784,
            "data_centre": "kr",
            "state": "up",
            "capacity": 1.0,
            "connections": 1,
        }


async def test_state_and_capacity_change_one_by_one_or_together() -> None:
    async with a_server() as server:
        found = []
        for wish in ({"state": "draining"}, {"capacity": 0.505}, {}, {"state": "up", "capacity": 1}):
            status, point = await server.control("PUT", "/access_points/kr", wish)
            assert status == 200
            found.append((point["version"], point["state"], point["capacity"]))
        assert found == [(2, "draining", 1.0), (3, "draining", 0.5), (3, "draining", 0.5), (4, "up", 1.0)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/access_points/atlantis", {"state": "up"}, 404),
        ("/access_points/kr", {"state": "tired"}, 400),
        ("/access_points/kr", {"capacity": 2}, 409),
        ("/access_points/kr", {"capacity": "half"}, 400),
        ("/access_points/kr", {"nonsense": 1}, 400),
        (ROUTING, {"policy": "by_luck"}, 400),
        (ROUTING, {"pin": ["atlantis"]}, 409),
        (ROUTING, {"hysteresis_ms": -1}, 409),
        (ROUTING, [], 400),
        ("/apps/7/routing", {}, 404),
    ],
)
async def test_what_cannot_be_is_refused_with_one_line(path: str, body: object, status: int) -> None:
    async with a_server() as server:
        found, text = await server.control("PUT", path, body)
        assert (found, text.count("\n")) == (status, 1)
        assert (await server.control("GET", "/access_points"))[1]["version"] == 1


async def test_an_app_chooses_and_nobody_elses_choice_changes() -> None:
    async with a_server() as server:
        default = {"version": 1, "policy": "great_circle", "pin": [], "hysteresis_ms": 10.0}
        assert await server.control("GET", ROUTING) == (200, default)
        wish = {"policy": "client_probe", "pin": ["sg", "kr"], "hysteresis_ms": 25}
        chosen = {"version": 2, "policy": "client_probe", "pin": ["kr", "sg"], "hysteresis_ms": 25.0}
        assert await server.control("PUT", ROUTING, wish) == (200, chosen)
        assert await server.control("GET", ROUTING) == (200, chosen)
        _, other = await server.control("POST", "/apps", {})
        path = f"/apps/{other['sdkappid']}/routing"
        assert (await server.control("GET", path))[1] == {**default, "version": 2}
        assert (await server.control("PUT", ROUTING, {}))[1] == {**default, "version": 3}


async def test_a_ranking_is_explained() -> None:
    async with a_server() as server:
        await server.control("PUT", ROUTING, {"pin": ["kr", "jp", "sg", "cn-east"]})
        await server.control("PUT", "/access_points/kr", {"capacity": 0.25})
        await server.control("PUT", "/access_points/jp", {"state": "down"})
        _, told = await server.control("GET", f"{ROUTING}/explain?country=KR&user_id=user_0000001")
        assert (told["version"], told["policy"]) == (4, "great_circle")
        lines = [(one["code"], one["rank"], one["share_percent"], one["reason"]) for one in told["points"]]
        assert lines[:4] == [
            ("cn-east", 1, 65, "868 km away"),
            ("sg", 2, 0, "4,677 km away"),
            ("kr", 3, 35, "at 25 % capacity it has no room for users like number 50; 0 km away"),
            ("cn-north", None, 0, "not in the app's pin; 953 km away"),
        ]
        (lost,) = [one for one in told["points"] if one["code"] == "jp"]
        assert lost == {
            "code": "jp",
            "rank": None,
            "reason": "down; 1,153 km away",
            "distance_km": 1152.579,
            "latency_ms": pytest.approx(10 + 0.022 * 1152.579),
            "probe_ms": None,
            "state": "down",
            "capacity": 1.0,
            "share_percent": 0,
            "is_allowed": True,
        }
        assert len(told["points"]) == 29


async def test_an_explanation_names_measurements_and_needs_a_place_where_the_policy_does() -> None:
    async with a_server() as server:
        status, text = await server.control("GET", f"{ROUTING}/explain?latency_ms=kr:12")
        assert (status, text) == (400, "this app's policy ranks by distance: say where the client is\n")
        await server.control("PUT", ROUTING, {"policy": "client_probe"})
        _, told = await server.control("GET", f"{ROUTING}/explain?latency_ms=kr:12,jp:9&current=kr")
        first = told["points"][0]
        assert (first["code"], first["probe_ms"], first["distance_km"]) == ("kr", 12.0, None)
        assert first["reason"] == "12.0 ms measured by the client; kept: jp is not faster by more than the hysteresis"

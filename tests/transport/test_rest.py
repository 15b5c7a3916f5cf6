"""The vendor's REST API: envelope and codes."""

from typing import Any

import pytest

from tests.transport.conftest import APP, Client, serving, signed

IMPORT = "im_open_login_svc/account_import"


@pytest.mark.parametrize(
    "request_of",
    [
        {"body": {"UserID": "alice"}},
        {"body": {"Identifier": "alice"}},
        {"body": {"UserID": "alice", "Nick": None, "FaceUrl": ""}},
        {"raw": b'{"UserID":"alice"}', "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"raw": b'{"UserID":"alice"}', "method": "GET"},
    ],
)
async def test_an_import_is_taken_as_real_clients_send_it(client: Client, request_of: dict[str, Any]) -> None:
    answer = await client.rest(IMPORT, **request_of)

    assert answer == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
    assert (await client.status())["accounts"] == 1
    assert (await client.status())["dau"] == 0


async def test_importing_twice_takes_one_place(client: Client) -> None:
    await client.rest(IMPORT, {"UserID": "alice"})
    await client.rest(IMPORT, {"UserID": "alice"})

    assert (await client.status())["accounts"] == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sdkappid": ""}, 60012),
        ({"sdkappid": "x"}, 60006),
        ({"sdkappid": "7"}, 70020),
        ({"usersig": ""}, 70002),
        ({"usersig": "rubbish"}, 70003),
        ({"identifier": "alice", "usersig": signed("alice")}, 60010),
        ({"identifier": "alice"}, 70013),
    ],
)
async def test_a_call_needs_app_and_admin(client: Client, query: dict[str, str], code: int) -> None:
    answer = await client.rest(IMPORT, {"UserID": "alice"}, query=query)

    assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", code)
    assert answer["ErrorInfo"]


@pytest.mark.parametrize("raw", [b"{", b'"text"', b"[1]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_60003(client: Client, raw: bytes) -> None:
    assert (await client.rest(IMPORT, raw=raw))["ErrorCode"] == 60003


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]"])
async def test_an_empty_body_means_no_parameters(client: Client, raw: bytes) -> None:
    assert (await client.rest(IMPORT, raw=raw))["ErrorCode"] == 70402


async def test_an_unknown_command_is_60009(client: Client) -> None:
    assert (await client.rest("openim/nothing", {}))["ErrorCode"] == 60009


async def test_calls_above_the_limit_of_a_second_are_60007() -> None:
    async with serving(rate_limits=3) as client:
        codes = [(await client.rest(IMPORT, {"UserID": "a"}))["ErrorCode"] for _ in range(40)]

    assert codes[:3] == [0, 0, 0]
    assert set(codes) == {0, 60007}


async def test_the_control_api_needs_its_token(client: Client) -> None:
    assert (await client.control("GET", f"/apps/{APP}", token="wrong"))[0] == 401


async def test_a_clock_that_would_go_back_is_refused(client: Client) -> None:
    now_ms = (await client.status())["now_ms"]

    assert await client.move_clock(now_ms - 1) == 409
    assert (await client.status())["now_ms"] == now_ms


async def test_apps_are_made_through_the_control_api_and_do_not_touch_each_other(client: Client) -> None:
    status, app = await client.control("POST", "/apps", {"plan": "trial", "start": "2026-02-01"})
    await client.rest(IMPORT, {"UserID": "alice"})

    assert status == 201
    assert app["month"] == "2026-02"
    assert (await client.control("GET", f"/apps/{app['sdkappid']}"))[1]["accounts"] == 0


@pytest.mark.parametrize("body", [{"plan": "gold"}, {"start": "soon"}, {"nonsense": 1}, {"sdkappid": APP}])
async def test_an_app_that_cannot_be_is_refused_with_a_line(client: Client, body: dict[str, Any]) -> None:
    status, text = await client.control("POST", "/apps", body)

    assert status in (400, 409)
    assert text.strip()


async def test_a_reset_app_begins_anew(client: Client) -> None:
    await client.rest(IMPORT, {"UserID": "alice"})

    await client.control("POST", f"/apps/{APP}/reset", {"start": "2026-03-01"})

    status = await client.status()
    assert (status["accounts"], status["month"]) == (0, "2026-03")


@pytest.mark.parametrize(
    ("place", "code"), [("country=KR", "kr"), ("country=de", "de"), ("latitude=-33.9&longitude=151.2", "au")]
)
async def test_dispatch_ranks_the_nearest_point_first(client: Client, place: str, code: str) -> None:
    async with client.session.get(f"{client.server.url}/dispatch?{place}") as answer:
        body = await answer.json()

    assert body["points"][0]["code"] == code
    assert len(body["points"]) == 29
    distances = [point["distance_km"] for point in body["points"]]
    assert distances == sorted(distances)


@pytest.mark.parametrize("place", ["", "country=XX", "latitude=91&longitude=0", "latitude=x&longitude=0"])
async def test_dispatch_says_what_it_cannot_place(client: Client, place: str) -> None:
    async with client.session.get(f"{client.server.url}/dispatch?{place}") as answer:
        assert answer.status == 400


async def test_health_and_metrics_need_no_token(client: Client) -> None:
    for path in ("healthz", "readyz"):
        async with client.session.get(f"{client.server.url}/{path}") as answer:
            assert answer.status == 200
    async with client.session.get(f"{client.server.url}/metrics") as answer:
        assert f'im_accounts{{sdkappid="{APP}"}} 0.0' in await answer.text()

"""The vendor's REST API: its envelope and codes, and what real clients send."""

import asyncio
import json
import os
from io import BytesIO

import pytest

from mock_im_server import journal as log
from mock_im_server.transport.rest import BODY_BYTES_MAX
from tests.serving import REAL_MS, SDKAPPID, a_server, a_usersig, some_settings

IMPORT = "im_open_login_svc/account_import"


@pytest.mark.holds("envelope")
async def test_an_import_answers_the_vendors_envelope_and_counts_no_dau() -> None:
    async with a_server() as server:
        answer = await server.rest(IMPORT, {"UserID": "alice", "Nick": "Alice", "FaceUrl": ""})
        assert answer == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
        status = await server.status()
        assert (status["accounts"], status["dau"], status["logins"]) == (1, 0, 0)


async def test_importing_again_succeeds_and_takes_no_further_place() -> None:
    async with a_server() as server:
        assert [await server.import_account("alice") for _ in range(3)] == [0, 0, 0]
        status = await server.status()
        assert (status["accounts"], status["journal_rows"]) == (1, 4)


@pytest.mark.holds("60012", "60006", "70020", "60004", "70002", "70003", "70009", "70001", "70014", "70013", "60010")
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sdkappid": "absent"}, 60012),
        ({"sdkappid": ""}, 60012),
        ({"sdkappid": "x"}, 60006),
        ({"sdkappid": "-1"}, 60006),
        ({"sdkappid": "9" * 5_000}, 60006),
        ({"sdkappid": "٣"}, 60006),
        ({"sdkappid": "7"}, 70020),
        ({"identifier": "absent"}, 60004),
        ({"identifier": "not a UserID"}, 60004),
        ({"usersig": "absent"}, 70002),
        ({"usersig": "rubbish"}, 70003),
        ({"usersig": a_usersig("administrator", key="another")}, 70009),
        ({"usersig": a_usersig("administrator", issued_s=0)}, 70001),
        ({"usersig": a_usersig("administrator", sdkappid=7)}, 70014),
        ({"usersig": a_usersig("alice")}, 70013),
        ({"identifier": "alice", "usersig": a_usersig("alice")}, 60010),
    ],
)
async def test_a_call_needs_an_app_and_its_admin(query: dict[str, str], code: int) -> None:
    async with a_server() as server:
        answer = await server.rest(IMPORT, {"UserID": "alice"}, **query)
        assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", code)
        assert answer["ErrorInfo"]
        assert (await server.status())["accounts"] == 0


@pytest.mark.parametrize("random", ["absent", "0", "4294967295", "not-a-number"])
async def test_random_is_never_required(random: str) -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT, {"UserID": "alice"}, random=random))["ErrorCode"] == 0


async def test_a_usersig_is_checked_again_when_its_second_is_over() -> None:
    real_ms = REAL_MS
    async with a_server(real_ms=lambda: real_ms) as server:
        signature = a_usersig("administrator", expire_s=1)
        codes = []
        for _ in range(3):
            codes.append((await server.rest(IMPORT, {"UserID": "alice"}, usersig=signature))["ErrorCode"])
            real_ms += 1_000
        assert codes == [0, 0, 70001]


@pytest.mark.holds("60009")
@pytest.mark.parametrize(
    "path", ["", "im_open_login_svc", "openim/nothing", "a/b/c", "im_open_login_svc/account_import/"]
)
async def test_a_path_that_names_no_command_is_60009(path: str) -> None:
    async with a_server() as server:
        assert (await server.rest(path, {}))["ErrorCode"] == 60009


@pytest.mark.holds("10003")
async def test_the_group_service_has_a_code_of_its_own_for_unknown_commands() -> None:
    async with a_server() as server:
        assert (await server.rest("group_open_http_svc/nothing", {}))["ErrorCode"] == 10003


@pytest.mark.holds("60002")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_60002(method: str) -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT, {"UserID": "alice"}, method=method))["ErrorCode"] == 60002


async def test_a_head_request_gets_its_head() -> None:
    async with a_server() as server, server.http.head(f"{server.running.url}/v4/{IMPORT}") as response:
        assert response.status == 200


@pytest.mark.holds("60003")
@pytest.mark.parametrize("data", [b"{", b'"text"', b"[1]", b"7", b"\xff", b'{"UserID":"\xff"}', b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_60003(data: bytes) -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT, data=data))["ErrorCode"] == 60003


@pytest.mark.holds("lenient")
@pytest.mark.parametrize("data", [b"", b" \n", b"{}", b"[]", b"null"])
async def test_a_body_without_parameters_is_a_body(data: bytes) -> None:
    async with a_server() as server:
        # The code of the missing UserID, not of the body.
        assert (await server.rest(IMPORT, data=data))["ErrorCode"] == 70402


@pytest.mark.holds("60008")
async def test_a_body_beyond_the_limit_is_60008() -> None:
    async with a_server() as server:
        query = f"sdkappid={SDKAPPID}&identifier=administrator&usersig={a_usersig('administrator')}"
        url = f"{server.running.url}/v4/{IMPORT}?{query}"
        async with server.http.post(url, data=BytesIO(b" " * (BODY_BYTES_MAX + 1))) as response:
            assert (response.status, (await response.json())["ErrorCode"]) == (200, 60008)
        assert await server.import_account("alice") == 0


@pytest.mark.holds("lenient")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain", "application/json"])
async def test_the_body_is_json_whatever_method_and_header_say(method: str, content_type: str | None) -> None:
    async with a_server() as server:
        url = f"{server.running.url}/v4/{IMPORT}?usersig={a_usersig('administrator').replace('*', '%2A')}"
        url += f"&identifier=administrator&sdkappid={SDKAPPID}"
        skipped = None if content_type else ["Content-Type"]
        headers = {"Content-Type": content_type} if content_type else {}
        async with server.http.request(
            method, url, data=b'{"UserID":"alice"}', headers=headers, skip_auto_headers=skipped
        ) as response:
            assert (await response.json())["ErrorCode"] == 0


async def test_a_chunked_body_is_read_whole() -> None:
    async def chunks() -> object:
        for part in (b'{"Use', b'rID":"ali', b'ce"}'):
            yield part

    async with a_server() as server:
        query = f"sdkappid={SDKAPPID}&identifier=administrator&usersig={a_usersig('administrator')}"
        url = f"{server.running.url}/v4/{IMPORT}?{query}"
        async with server.http.post(url, data=chunks()) as response:
            assert (await response.json())["ErrorCode"] == 0


@pytest.mark.holds("lenient", "70402", "60015")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"Identifier": "alice"}, 0),
        ({"UserID": "", "Identifier": "alice"}, 0),
        ({"UserID": None, "Identifier": "alice"}, 0),
        ({"UserID": "alice", "Nick": None, "Unknown": {"deep": []}}, 0),
        ({}, 70402),
        ({"UserID": None}, 70402),
        ({"UserID": "a" * 33}, 70402),
        ({"UserID": "ä"}, 70402),
        ({"UserID": 7}, 60015),
        ({"UserID": ["alice"]}, 60015),
    ],
)
async def test_what_names_the_account(body: dict[str, object], code: int) -> None:
    async with a_server() as server:
        assert (await server.rest(IMPORT, body))["ErrorCode"] == code


@pytest.mark.holds("F3", "70398")
async def test_the_101st_account_of_a_trial_is_refused() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        codes = [await server.import_account(f"user{number}") for number in range(102)]
        assert codes == [0] * 100 + [70398] * 2
        assert await server.import_account("administrator") == 0


async def test_100_places_are_shared_by_200_imports_at_once() -> None:
    async with a_server(some_settings(plan="trial")) as server:
        codes = await asyncio.gather(*[server.import_account(f"user{number}") for number in range(200)])
        assert sorted(codes) == [0] * 100 + [70398] * 100
        assert (await server.status())["accounts"] == 100


@pytest.mark.holds("frequency", "60007")
@pytest.mark.parametrize(("rate_limits", "allowed"), [(None, 200), (3, 3)])
async def test_a_call_above_the_limit_of_its_second_is_60007(rate_limits: int | None, allowed: int) -> None:
    real_ms = REAL_MS
    async with a_server(some_settings(rate_limits=rate_limits), real_ms=lambda: real_ms) as server:
        codes = [await server.import_account("alice") for _ in range(allowed + 2)]
        assert codes == [0] * allowed + [60007] * 2
        real_ms += 1_000
        assert await server.import_account("alice") == 0


async def test_what_is_acknowledged_is_in_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server() as server:
        await asyncio.gather(*[server.import_account(f"user{number}") for number in range(50)])
        assert server.app.journal.is_written
        assert server.app.journal.rows == 51


async def test_nothing_is_acknowledged_when_the_journal_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async with a_server() as server:
        url = f"{server.running.url}/v4/{IMPORT}?sdkappid={SDKAPPID}&identifier=administrator"
        url += f"&usersig={a_usersig('administrator')}"
        monkeypatch.setattr(os, "write", full)
        bodies = [json.dumps({"UserID": f"user{number}"}) for number in range(5)]

        async def status_of(body: str) -> int:
            async with server.http.post(url, data=body) as response:
                return response.status

        assert set(await asyncio.gather(*map(status_of, bodies))) == {503}
        # The server stops: its journal's loss ends `serve`.
        done, _ = await asyncio.wait(server.running.parts, return_when=asyncio.FIRST_COMPLETED)
        assert "No space left on device" in str(done.pop().exception())
        monkeypatch.undo()
        assert await status_of(bodies[0]) == 503


CLIENT = "0123456789abcdef" * 2


async def test_a_call_that_names_itself_is_journaled_under_its_name() -> None:
    async with a_server() as server:
        for seq, user_id in ((1, "alice"), (7, "bob")):
            await server.rest(IMPORT, {"UserID": user_id}, headers={"X-Request-Id": f"{CLIENT}-{seq}"})
        rows = [(row.kind, row.connection, row.request_seq, row.text) for row in server.rows()[1:]]
        assert rows == [
            (log.CONNECTED, 1, 0, f"{CLIENT} rest"),
            (log.IMPORTED, 1, 1, None),
            (log.IMPORTED, 1, 7, None),
        ]


@pytest.mark.parametrize("name", ["", "7", CLIENT, f"{CLIENT}-", f"{CLIENT}-x", f"{CLIENT}-{'9' * 19}", f"g{CLIENT}-1"])
async def test_a_name_of_another_form_is_ignored(name: str) -> None:
    async with a_server() as server:
        await server.rest(IMPORT, {"UserID": "alice"}, headers={"X-Request-Id": name})
        assert [(row.kind, row.connection) for row in server.rows()[1:]] == [(log.IMPORTED, 0)]

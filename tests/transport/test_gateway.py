"""Sessions over WebSockets: one user's own connection or a trunk, in the official SDK's frames."""

import asyncio
import json

import pytest

from mock_im_server.transport import gateway
from mock_im_server.wire.frames import INT64_MAX
from tests.serving import (
    REAL_MS,
    REAL_S,
    SDKAPPID,
    Server,
    a_server,
    a_usersig,
    at_ms,
    identity,
    some_settings,
)

TURNS_MAX = 2_000
LOGIN = "im_open_status.wslogin"
LOGOUT = "im_open_status.wslogout"
ASKED_BY_THE_SDK = [
    "heartbeat.alive",
    "im_open_status.wshello",
    "profile.portrait_get_all",
    "sns.black_list_get",
    "recentcontact.page_get",
    "recentcontact.get_contact_group",
    "group_open_http_svc.get_joined_group_list",
    "million_group_open_http_svc.get_joined_group_list",
    "openim.getmsg",
    "openim.ws_msg_push_ack",
    "sns.friend_get",
    "sns.group_get",
    "sns.pendency_get",
    "im_sdk_config_mgr.fetch_config",
    "im_sdk_config_mgr.fetch_imsdk_purchase_bitsv2",
    "imopenstat.tim_web_report_v2",
    "profile.something_of_a_later_version",
]


async def until_online(server: Server, users: int) -> None:
    """Rows of closed connections are gathered for a moment before they are applied."""
    for _ in range(TURNS_MAX):
        if len(server.app.sessions) == users:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{len(server.app.sessions)} users are online, not {users}")


@pytest.mark.holds("F2", "registration")
async def test_a_first_login_registers_and_counts_once_a_day() -> None:
    async with a_server() as server, server.connected() as wire:
        for instance in (1, 2, 1):
            assert (await wire.login("alice", status_instid=instance))["ErrorCode"] == 0
        status = await server.status()
        assert (status["accounts"], status["dau"], status["logins"], status["online"]) == (1, 1, 3, 1)
        await server.move_clock(at_ms("2026-10-02"))
        await wire.login("alice", status_instid=1)
        assert (await server.status())["dau"] == 1


async def test_the_time_in_a_login_answer_is_real_and_not_the_apps() -> None:
    async with a_server() as server, server.connected() as wire:
        login = await wire.login("alice")
        resumed = await wire.ask(LOGIN, **identity(login))
        assert (await server.status())["now_ms"] == at_ms("2026-10-01") != REAL_MS
        assert [login["TimeStamp"], resumed["TimeStamp"]] == [REAL_S, REAL_S]


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        ("", 70002),
        ("rubbish", 70003),
        (a_usersig("alice", key="another"), 70009),
        (a_usersig("bob"), 70013),
        (a_usersig("alice", sdkappid=SDKAPPID + 1), 70014),
        (a_usersig("alice", issued_s=REAL_S - 11, expire_s=10), 70001),
    ],
)
async def test_a_refused_login_registers_and_counts_nobody(signature: str, code: int) -> None:
    async with a_server() as server, server.connected() as wire:
        answer = await wire.login("alice", usersig=signature)
        assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", code)
        assert answer["ErrorInfo"]
        status = await server.status()
        assert (status["accounts"], status["dau"], status["online"]) == (0, 0, 0)


@pytest.mark.parametrize("user_id", ["", "a" * 33, "a" * 60_000, "ä", "with space", 'quote"', "\x00"])
async def test_a_user_id_that_cannot_be_is_refused(user_id: str) -> None:
    async with a_server() as server, server.connected() as wire:
        assert (await wire.login(user_id, usersig="x"))["ErrorCode"] == 70402
        assert (await server.status())["accounts"] == 0


async def test_real_time_judges_a_usersig_and_not_the_apps_clock() -> None:
    async with a_server() as server, server.connected() as wire:
        await server.move_clock(at_ms("2030-01-01"))
        assert (await wire.login("alice"))["ErrorCode"] == 0


@pytest.mark.holds("F3", "70398")
async def test_the_101st_account_of_a_trial_is_refused_by_login_and_by_import() -> None:
    async with a_server(some_settings(plan="trial")) as server, server.connected() as wire:
        assert {await server.import_account(f"imported{number}") for number in range(60)} == {0}
        codes = [(await wire.login(f"user{number}"))["ErrorCode"] for number in range(41)]
        assert codes == [0] * 40 + [70398]
        assert await server.import_account("one-more") == 70398
        # Known users and the admin take no further place.
        assert await server.import_account("user0") == 0
        assert [(await wire.login(known))["ErrorCode"] for known in ("user0", "imported0", "administrator")] == [0] * 3
        assert (await server.status())["accounts"] == 100


@pytest.mark.holds("dau-trial", "72000")
async def test_the_101st_active_user_of_a_trial_day_is_refused_until_tomorrow() -> None:
    async with a_server(some_settings(plan="trial")) as server, server.connected() as wire:
        await wire.login("administrator")
        codes = [(await wire.login(f"user{number}"))["ErrorCode"] for number in range(100)]
        assert codes == [0] * 99 + [72000]
        assert (await wire.login("user0"))["ErrorCode"] == 0
        status = await server.status()
        # Whole or not at all: the refused login registered nobody.
        assert (status["dau"], status["accounts"]) == (100, 99)
        await server.move_clock(at_ms("2026-10-02"))
        assert (await wire.login("user99"))["ErrorCode"] == 0


@pytest.mark.holds("F1")
async def test_a_month_closes_and_is_charged_in_virtual_time() -> None:
    async with a_server() as server, server.connected() as wire:
        await server.move_clock(at_ms("2026-10-16"))
        signatures = [(f"user{number}", a_usersig(f"user{number}")) for number in range(10_001)]
        seqs = [await wire.send(LOGIN, identifier=user, usersig=sig, status_instid=1) for user, sig in signatures]
        assert {(await wire.answer(seq))["body"]["ErrorCode"] for seq in seqs} == {0}
        await server.move_clock(at_ms("2026-11-01"))
        closed = await server.statement("2026-10")
        assert (closed["peak_dau"], closed["peak_day"], closed["charged_on"]) == (10_001, "2026-10-16", None)
        assert [line["amount_cents"] for line in closed["lines"]] == [14_999, 14_999, 0]
        await server.move_clock(at_ms("2026-11-03"))
        assert (await server.statement("2026-10"))["charged_on"] == "2026-11-03"


async def test_the_last_second_of_a_day_is_not_the_next_day() -> None:
    async with a_server() as server, server.connected() as wire:
        await server.move_clock(at_ms("2026-10-01", "23:59:59") + 999)
        await wire.login("alice")
        await server.move_clock(at_ms("2026-10-02"))
        for user_id in ("bob", "carol"):
            await wire.login(user_id, status_instid=1)
        await server.move_clock(at_ms("2026-11-04"))
        statement = await server.statement("2026-10")
        assert [day["dau"] for day in statement["daily_dau"][:3]] == [1, 2, 0]
        assert statement["peak_day"] == "2026-10-02"


async def test_a_trunk_carries_many_sessions_which_end_with_it() -> None:
    async with a_server() as server:
        async with server.connected("kr") as trunk:
            seqs = [
                await trunk.send(LOGIN, identifier=f"user{number}", usersig=a_usersig(f"user{number}"), status_instid=1)
                for number in range(50)
            ]
            answers = [await trunk.answer(seq) for seq in seqs]
            # Each answer names its session.
            assert len({answer["head"]["tinyid"] for answer in answers}) == 50
            assert {answer["head"]["status_instid"] for answer in answers} == {1}
            assert len(server.app.sessions) == 50
        await until_online(server, 0)


async def test_devices_of_a_user_stay_online_until_the_last_logs_out() -> None:
    async with a_server() as server, server.connected() as phone, server.connected() as laptop:
        on_phone, on_laptop = await phone.login("alice"), await laptop.login("alice")
        assert on_phone["InstId"] != on_laptop["InstId"]
        await phone.ask(LOGOUT, **identity(on_phone))
        assert len(server.app.sessions) == 1
        await laptop.ask(LOGOUT, **identity(on_laptop))
        assert len(server.app.sessions) == 0
        assert (await laptop.ask(LOGOUT, **identity(on_laptop)))["ErrorCode"] == 0


@pytest.mark.holds("devices")
async def test_the_next_login_of_an_instance_replaces_its_session_silently() -> None:
    async with a_server() as server, server.connected() as second:
        async with server.connected() as first:
            await first.login("alice", status_instid=5)
            await second.login("alice", status_instid=5)
            (session,) = server.app.sessions.of_user(1)
            assert session.connection.instance_id == second.instance_id
        # The end of the old connection takes nothing from the new one.
        await asyncio.sleep(2 * gateway.DISCONNECT_DELAY_S)
        assert len(server.app.sessions) == 1


@pytest.mark.holds("resume")
async def test_a_resume_takes_up_the_session_and_counts_no_login() -> None:
    async with a_server() as server:
        async with server.connected() as wire:
            login = await wire.login("alice")
        await until_online(server, 0)
        await server.move_clock(at_ms("2026-10-02"))
        async with server.connected(instance_id=wire.instance_id) as again:
            resumed = await again.ask(LOGIN, **identity(login))
            assert [resumed[key] for key in ("A2Key", "TinyId", "InstId")] == [
                login[key] for key in ("A2Key", "TinyId", "InstId")
            ]
            status = await server.status()
            assert (status["online"], status["dau"], status["logins"]) == (1, 0, 1)


@pytest.mark.holds("-10003")
@pytest.mark.parametrize(
    "forged",
    [
        {"a2": "f" * 32},
        {"a2": "ü"},
        {"status_instid": 99},
        {"tinyid": str((1 << 57) + 2)},
        {"tinyid": ""},
        {"tinyid": "-1"},
        {"tinyid": "9" * 60_000},
        {"tinyid": "٣" * 18},
        {"tinyid": str(INT64_MAX)},
        {"tinyid": "0"},
    ],
)
async def test_a_ticket_speaks_for_nobody_else(forged: dict[str, object]) -> None:
    async with a_server() as server, server.connected() as wire:
        head = {**identity(await wire.login("alice")), **forged}
        for servcmd in (LOGIN, LOGOUT, "sns.friend_get", "im_open_status.wshello"):
            assert (await wire.ask(servcmd, **head))["ErrorCode"] == -10003
        assert len(server.app.sessions) == 1


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_seq() -> None:
    async with a_server() as server, server.connected() as wire:
        first = await wire.login("alice", seq=7)
        again = await wire.login("alice", seq=7)
        assert first == again
        assert (await server.status())["dau"] == 1


@pytest.mark.parametrize("servcmd", ASKED_BY_THE_SDK)
async def test_nothing_that_the_sdk_asks_by_itself_is_answered_with_an_error(servcmd: str) -> None:
    async with a_server() as server, server.connected() as wire:
        head = identity(await wire.login("alice"))
        assert (await wire.ask(servcmd, **head))["ErrorCode"] == 0


async def test_the_fields_without_which_the_sdk_asks_forever() -> None:
    async with a_server() as server, server.connected() as wire:
        head = identity(await wire.login("alice"))
        assert (await wire.ask("sns.black_list_get", **head))["StartIndex"] == 0
        page = await wire.ask("recentcontact.page_get", **head)
        assert (page["CompleteFlag"], page["TimeStamp"]) == (1, REAL_S)


@pytest.mark.parametrize("servcmd", ["heartbeat.alive", "imopenstat.tim_web_report_v2"])
async def test_heartbeats_and_telemetry_need_no_identity(servcmd: str) -> None:
    async with a_server() as server, server.connected() as wire:
        assert (await wire.ask(servcmd, identifier="", usersig=""))["ErrorCode"] == 0
        assert (await wire.ask(servcmd, identifier="alice", usersig="bad"))["ErrorCode"] == 0
        # Nothing to write down: no row was added behind the app's first.
        assert (await server.status())["journal_rows"] == 1


@pytest.mark.parametrize("servcmd", [name for name in ASKED_BY_THE_SDK if not name.startswith(("heart", "imopen"))])
async def test_whatever_speaks_for_a_user_needs_a_ticket(servcmd: str) -> None:
    async with a_server() as server, server.connected() as wire:
        assert (await wire.ask(servcmd, identifier="alice", usersig=a_usersig("alice")))["ErrorCode"] == -10003


async def test_questions_that_overtake_the_resume_are_answered() -> None:
    async with a_server() as server:
        async with server.connected() as wire:
            head = identity(await wire.login("alice"))
        async with server.connected() as again:
            for servcmd in ("heartbeat.alive", "sns.black_list_get", LOGIN):
                assert (await again.ask(servcmd, **head))["ErrorCode"] == 0


@pytest.mark.parametrize("servcmd", ["nobody.knows", "", ".", LOGIN.upper()])
async def test_what_is_not_imitated_says_so(servcmd: str) -> None:
    async with a_server() as server, server.connected() as wire:
        head = identity(await wire.login("alice"))
        assert (await wire.ask(servcmd, **head))["ErrorCode"] == 60009


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"head":{}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":1,"sdkappid":1400000001,"identifier":"\xff"}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":99999999999999999999999,"sdkappid":1400000001}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":-1,"sdkappid":1400000001}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":1,"sdkappid":1400000001,"platform":32768}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":1,"sdkappid":1400000001,"status_instid":1e30}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":1,"sdkappid":1400000001},"body":' + b"[" * 60_000,
    ],
)
async def test_a_frame_that_is_none_gets_a_code_and_harms_nobody(data: bytes) -> None:
    async with a_server() as server, server.connected() as wire:
        assert (await wire.ask_raw(data))["body"]["ErrorCode"] == 60003
        assert (await wire.login("alice"))["ErrorCode"] == 0


async def test_a_malformed_frame_is_answered_under_its_command_and_seq() -> None:
    async with a_server() as server, server.connected() as wire:
        assert (await wire.ask(LOGIN, seq=5, platform="web"))["ErrorCode"] == 60003


async def test_the_largest_numbers_are_kept() -> None:
    async with a_server() as server, server.connected() as wire:
        login = await wire.login("alice", seq=INT64_MAX, status_instid=INT64_MAX, platform=32_767)
        assert (login["ErrorCode"], login["InstId"]) == (0, INT64_MAX)


async def test_a_frame_beyond_the_size_limit_ends_its_connection_only() -> None:
    async with a_server() as server, server.connected() as wire, server.connected() as other:
        await wire.socket.send_bytes(b" " * (gateway.FRAME_BYTES_MAX + 1))
        assert await wire.closes()
        assert (await other.login("alice"))["ErrorCode"] == 0


async def test_text_frames_are_understood() -> None:
    async with a_server() as server, server.connected() as wire:
        await wire.socket.send_str(
            json.dumps({"head": {"servcmd": "heartbeat.alive", "seq": 3, "sdkappid": SDKAPPID}, "body": {}})
        )
        assert (await wire.answer(3))["body"]["ErrorCode"] == 0


async def test_an_app_that_is_not_there_and_one_beside_the_connections() -> None:
    async with a_server() as server, server.connected() as wire:
        assert (await wire.login("alice", sdkappid=7))["ErrorCode"] == 70020
        assert (await wire.login("alice"))["ErrorCode"] == 0
        assert (await wire.login("alice", sdkappid=7))["ErrorCode"] == 60006


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/binfo", 400),  # no upgrade
        ("/ap/moon/binfo", 404),
        ("/binfo?instanceid=a%20b", 400),
        ("/binfo?instanceid=" + "a" * 65, 400),
    ],
)
async def test_a_handshake_that_cannot_be_is_refused(path: str, status: int) -> None:
    async with a_server() as server, server.http.get(f"{server.running.url}{path}") as response:
        assert response.status == status


async def test_every_access_point_has_its_own_path() -> None:
    async with a_server() as server:
        for code in ("sg", "kr", "za", "cn-south"):
            async with server.connected(code) as wire:
                assert (await wire.ask("heartbeat.alive"))["ErrorCode"] == 0


async def test_a_reader_that_does_not_read_is_cut_off_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "UNREAD_BYTES_MAX", 64 * 1024)
    async with a_server() as server, server.connected() as quick:
        await quick.login("alice")
        reader, writer = await _upgraded(server)
        frame = _masked(
            json.dumps({"head": {"servcmd": "x" * 60_000, "seq": 1, "sdkappid": SDKAPPID}, "body": {}}).encode()
        )
        is_cut = False
        for _ in range(TURNS_MAX):
            writer.write(frame)
            try:
                await asyncio.wait_for(writer.drain(), 10)
            except ConnectionError:
                is_cut = True
                break
        assert is_cut
        assert (await quick.login("bob"))["ErrorCode"] == 0
        writer.transport.abort()
        del reader


async def _upgraded(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket by hand, as no client library leaves what it receives unread."""
    port = int(server.running.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(
        b"GET /binfo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def _masked(payload: bytes) -> bytes:
    return b"\x82\xfe" + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload


async def test_after_a_reset_connections_begin_anew_and_old_tickets_are_worthless() -> None:
    async with a_server() as server, server.connected() as wire:
        head = identity(await wire.login("alice"))
        status, _ = await server.control("POST", f"/apps/{SDKAPPID}/reset", {"start": "2026-10-01"})
        assert status == 200
        assert len(server.app.sessions) == 0
        assert (await wire.ask(LOGIN, **head))["ErrorCode"] == -10003
        bob = await wire.login("bob")
        assert bob["TinyId"] == head["tinyid"]
        status = await server.status()
        assert (status["accounts"], status["online"], status["logins"]) == (1, 1, 1)
    rows = server.app.journal.rows
    assert rows == server.app.journal.last_seq


async def test_a_bug_in_the_gateway_is_not_survived_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: gateway.Gateway, *_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.Gateway, "_answers", broken)
    async with a_server() as server, server.connected() as wire:
        await wire.send("heartbeat.alive")
        done, _ = await asyncio.wait(server.running.parts, return_when=asyncio.FIRST_COMPLETED)
        (failed,) = done
        assert isinstance(failed.exception(), ZeroDivisionError)


async def test_pings_are_answered_beside_the_frames() -> None:
    async with a_server() as server, server.connected() as wire:
        await wire.socket.ping(b"there?")
        assert (await wire.ask("heartbeat.alive"))["ErrorCode"] == 0


async def test_connections_are_counted() -> None:
    async with a_server() as server, server.connected(), server.connected():
        assert "im_connections 2.0" in await server.page("/metrics")

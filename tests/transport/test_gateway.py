"""Logins over the WebSocket gateway."""

from pathlib import Path

import pytest

from mock_im_server.wire import usersig
from tests.transport.conftest import APP, OCTOBER_MS, Client, serving, signed

DAY_MS = 86_400_000


def code(answer: dict[str, dict[str, int]]) -> int:
    return answer["body"]["ErrorCode"]


async def test_a_login_answers_what_the_official_sdk_needs(client: Client) -> None:
    answer = await (await client.connect()).login("alice")

    assert answer["head"]["servcmd"] == "im_open_status.wslogin"
    assert answer["head"]["seq"] == 1
    assert {"A2Key", "TinyId", "InstId", "HelloInterval", "TimeStamp"} <= answer["body"].keys()
    assert answer["body"]["TinyId"].isdecimal()
    assert code(answer) == 0


async def test_a_first_login_registers_the_user_and_counts_once_a_day(client: Client) -> None:
    socket = await client.connect()
    for instance in (1, 2, 1):
        await socket.login("alice", instance=instance)

    status = await client.status()

    assert (status["accounts"], status["dau"], status["logins"], status["online"]) == (1, 1, 3, 1)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("", 70002),
        ("rubbish", 70003),
        (usersig.sign(usersig.mac_of("other"), APP, "alice", 2_000_000_000, 9), 70009),
        (signed("bob"), 70013),
        (signed("alice", app=APP + 1), 70014),
        (signed("alice", expire_s=1), 70001),
    ],
)
async def test_a_refused_login_registers_and_counts_nobody(client: Client, signature: str, expected: int) -> None:
    answer = await (await client.connect()).login("alice", usersig=signature)

    assert code(answer) == expected
    status = await client.status()
    assert (status["accounts"], status["dau"], status["online"]) == (0, 0, 0)


async def test_the_101st_account_of_a_trial_is_refused_with_70398(trial: Client) -> None:
    for number in range(50):
        assert (await trial.rest("im_open_login_svc/account_import", {"UserID": f"i{number}"}))["ErrorCode"] == 0
    socket = await trial.connect()
    codes = [code(await socket.login(f"l{number}", instance=1)) for number in range(51)]

    assert codes == [0] * 50 + [70398]
    assert (await trial.rest("im_open_login_svc/account_import", {"UserID": "x"}))["ErrorCode"] == 70398
    assert (await trial.status())["accounts"] == 100


async def test_the_101st_user_of_a_trial_day_is_refused_and_a_counted_one_is_not(trial: Client) -> None:
    socket = await trial.connect()
    codes = [code(await socket.login(f"u{number}", instance=1)) for number in range(100)]
    codes += [code(await socket.login("u0", instance=2)), code(await socket.login("u100", instance=1))]

    assert codes == [0] * 101 + [70398]
    assert (await trial.status())["dau"] == 100


async def test_many_sessions_share_one_connection_and_end_with_it(client: Client) -> None:
    socket = await client.connect()
    for number in range(20):
        await socket.tell(
            "im_open_status.wslogin", identifier=f"u{number}", usersig=signed(f"u{number}"), status_instid=1
        )
    answers = [await socket.answer() for _ in range(20)]

    assert [answer["head"]["seq"] for answer in answers] == list(range(1, 21))
    assert (await client.status())["online"] == 20
    await socket.raw.close()
    while (await client.status())["online"]:
        pass


async def test_a_logout_ends_one_session(client: Client) -> None:
    socket = await client.connect()
    body = (await socket.login("alice"))["body"]
    head = {"a2": body["A2Key"], "tinyid": body["TinyId"], "status_instid": body["InstId"]}

    assert code(await socket.ask("im_open_status.wslogout", **head)) == 0
    assert (await client.status())["online"] == 0


async def test_a_stranger_cannot_log_somebody_out(client: Client) -> None:
    socket = await client.connect()
    body = (await socket.login("alice"))["body"]

    answer = await socket.ask("im_open_status.wslogout", a2="00", tinyid=body["TinyId"], status_instid=body["InstId"])

    assert code(answer) != 0
    assert (await client.status())["online"] == 1


async def test_a_resume_after_a_restart_holds_and_does_not_count(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        body = (await (await client.connect()).login("alice"))["body"]
    head = {"a2": body["A2Key"], "tinyid": body["TinyId"], "status_instid": body["InstId"]}

    async with serving(tmp_path) as client:
        await client.move_clock(OCTOBER_MS + DAY_MS)
        answer = await (await client.connect()).ask("im_open_status.wslogin", **head)
        status = await client.status()

    assert code(answer) == 0
    assert (status["online"], status["dau"], status["peak_dau"]) == (1, 0, 1)


async def test_a_forged_ticket_does_not_resume(client: Client) -> None:
    socket = await client.connect()
    body = (await socket.login("alice"))["body"]

    answer = await socket.ask("im_open_status.wslogin", a2="f" * 32, tinyid=body["TinyId"], status_instid=1)

    assert code(answer) == -10003


@pytest.mark.parametrize("user", ["", "a" * 33, "ä", "with space", 'quote"'])
async def test_a_user_id_that_cannot_be_is_refused(client: Client, user: str) -> None:
    assert code(await (await client.connect()).login(user, usersig="x")) != 0
    assert (await client.status())["accounts"] == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"head":{}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":99999999999999999999999,"sdkappid":1400000001}}',
        b'{"head":{"servcmd":"im_open_status.wslogin","seq":-1,"sdkappid":1400000001,"platform":99999999}}',
        b'{"head":{"servcmd":"im_open_status.wslogout","seq":1,"sdkappid":1400000001,"tinyid":"-5","a2":"x"}}',
    ],
)
async def test_no_frame_brings_the_server_down(client: Client, frame: bytes) -> None:
    socket = await client.connect()
    await socket.raw.send_bytes(frame)
    await socket.raw.close()

    assert code(await (await client.connect()).login("alice")) == 0


async def test_an_unknown_app_is_told_so(client: Client) -> None:
    answer = await (await client.connect()).ask("im_open_status.wslogin", sdkappid=7, identifier="a", usersig="b")

    assert code(answer) == 70020


async def test_an_access_point_has_its_own_path_and_only_those_of_the_table(client: Client) -> None:
    assert code(await (await client.connect("/ap/sg")).login("alice")) == 0
    async with client.session.get(f"{client.server.url}/ap/moon/binfo") as answer:
        assert answer.status == 404


async def test_a_login_in_the_last_second_counts_that_day_and_the_next_on_the_next(client: Client) -> None:
    socket = await client.connect()
    await client.move_clock(OCTOBER_MS + DAY_MS - 1)
    await socket.login("alice", instance=1)
    await client.move_clock(OCTOBER_MS + DAY_MS)
    await socket.login("bob", instance=1)
    await socket.login("carol", instance=1)
    await client.move_clock(OCTOBER_MS + 33 * DAY_MS)

    _, statement = await client.control("GET", f"/apps/{APP}/statements/2026-10")

    assert [day["dau"] for day in statement["daily_dau"][:3]] == [1, 2, 0]
    assert statement["peak_day"] == "2026-10-02"
    assert statement["charged_on"] == "2026-11-03"

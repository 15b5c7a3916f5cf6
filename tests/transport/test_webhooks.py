"""What an app's backend hears of: the vendor's webhooks, and a server that never waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from hashlib import sha256

import pytest
from aiohttp import web

from mock_im_server.transport import webhooks
from tests.serving import (
    REAL_S,
    SDKAPPID,
    Server,
    Wire,
    a_server,
    at_ms,
    identity,
    some_settings,
    type_json,
)

TURNS_MAX = 5_000
LIVE = "AVChatRoom"
CREATE = "group_open_http_svc.create_group"
CREATED = "Group.CallbackAfterCreateGroup"
DESTROYED = "Group.CallbackAfterGroupDestroyed"
ALARM = "Group.CallbackOnDailyGroupQuotaAlarm"
STATE = "State.StateChange"


@dataclass
class Backend:
    """An app's backend that writes down what it is told."""

    url: str = ""
    status: int = 200
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    """It answers while this is set."""
    queries: list[dict[str, str]] = field(default_factory=list)
    bodies: list[type_json] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        self.bodies.append(await request.json())
        await self.is_open.wait()
        return web.json_response({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}, status=self.status)

    async def heard(self, count: int) -> list[type_json]:
        for _ in range(TURNS_MAX):
            if len(self.bodies) >= count:
                return self.bodies
            await asyncio.sleep(0.001)
        raise AssertionError(f"heard {self.bodies}, not {count}")

    def states(self) -> list[tuple[str, str, str]]:
        infos = [body["Info"] for body in self.bodies]
        return [(info["Action"], info["To_Account"], info["Reason"]) for info in infos]


@asynccontextmanager
async def a_backend(*, status: int = 200, is_open: bool = True) -> AsyncIterator[Backend]:
    backend = Backend(status=status)
    if is_open:
        backend.is_open.set()
    app = web.Application()
    app.add_routes([web.post("/im", backend.hear)])
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}/im"
    try:
        yield backend
    finally:
        backend.is_open.set()
        await runner.cleanup()


@asynccontextmanager
async def told(backend: Backend, *, plan: str = "pro", token: str = "") -> AsyncIterator[Server]:
    async with a_server(some_settings(plan=plan)) as server:
        await told_of(server, url=backend.url, token=token)
        yield server


async def told_of(server: Server, **wish: str) -> type_json:
    status, said = await server.control("PUT", f"/apps/{SDKAPPID}/webhook", wish)
    assert status == 200, said
    return dict(said)


async def deliveries(server: Server, **wanted: int) -> type_json:
    """Until they are as wanted."""
    for _ in range(TURNS_MAX):
        _, said = await server.control("GET", f"/apps/{SDKAPPID}/webhook")
        if wanted.items() <= said.items():
            return dict(said)
        await asyncio.sleep(0.001)
    raise AssertionError(f"{said}, not {wanted}")


async def created(wire: Wire, who: type_json, group_id: str) -> int:
    body = {"Type": LIVE, "Name": "a room", "GroupId": group_id, "AppDefinedData": [{"Key": "k", "Value": "v"}]}
    return int((await wire.ask(CREATE, body, **who))["ErrorCode"])


async def test_users_who_come_and_go() -> None:
    async with a_backend() as backend, told(backend) as server:
        async with server.connected() as phone:
            login = await phone.login("alice", platform=2)
            await backend.heard(1)
            assert backend.bodies[0] == {
                "CallbackCommand": STATE,
                "EventTime": at_ms("2026-10-01"),
                "Info": {"Action": "Login", "To_Account": "alice", "Reason": "Register"},
            }
            assert backend.queries[0] == {
                "SdkAppid": str(SDKAPPID),
                "CallbackCommand": STATE,
                "contenttype": "json",
                "ClientIP": "127.0.0.1",
                "OptPlatform": "Android",
            }
            await phone.ask("im_open_status.wslogin", **identity(login), platform=3)
            await phone.ask("im_open_status.wslogout", **identity(login))
            await phone.login("alice")
            await backend.heard(4)
        await backend.heard(5)
        assert backend.states() == [
            ("Login", "alice", "Register"),
            # Taken up again.
            ("Login", "alice", "Register"),
            ("Logout", "alice", "Unregister"),
            ("Login", "alice", "Register"),
            ("Disconnect", "alice", "LinkClose"),
        ]
        assert [query["OptPlatform"] for query in backend.queries] == ["Android", "IOS", "IOS", "Web", "Web"]


async def test_who_ends_anothers_session_says_so_and_nobody_else_does() -> None:
    async with a_backend() as backend, told(backend) as server:
        async with server.connected() as first, server.connected() as second:
            await first.login("alice", platform=1)
            await second.login("alice", platform=1)
            await server.rest("im_open_login_svc/kick", {"UserID": "alice"})
            await backend.heard(3)
        await server.import_account("bob")
    assert backend.states() == [
        ("Login", "alice", "Register"),
        ("Login", "alice", "Register"),
        ("Logout", "alice", "Unregister"),
    ]
    assert [body.get("KickedDevice") for body in backend.bodies] == [None, [{"Platform": "Windows"}], None]


async def test_a_refused_login_is_no_change() -> None:
    async with a_backend() as backend, told(backend) as server, server.connected() as wire:
        await wire.login("alice", usersig="bad")
        await wire.login("bob")
        assert (await backend.heard(1))[0]["Info"]["To_Account"] == "bob"


async def test_groups_that_are_made_and_destroyed() -> None:
    async with a_server() as server, a_backend() as backend, server.connected() as wire:
        who = identity(await wire.login("alice"))
        await told_of(server, url=backend.url)
        assert await created(wire, who, "room") == 0
        assert await created(wire, who, "room") == 10025
        assert await wire.ask("group_open_http_svc.destroy_group", {"GroupId": "room"}, **who)
        wish = {"Type": "Public", "Name": "g", "GroupId": "club", "Owner_Account": "alice"}
        await server.rest("group_open_http_svc/create_group", wish)
        await server.rest("group_open_http_svc/import_group", {**wish, "GroupId": "imported"})
        await server.rest("group_open_http_svc/destroy_group", {"GroupId": "club"})
        await backend.heard(4)
        by_command = {(body["CallbackCommand"], body["GroupId"]): body for body in backend.bodies}
        assert set(by_command) == {(CREATED, "room"), (DESTROYED, "room"), (CREATED, "club"), (DESTROYED, "club")}
        assert by_command[CREATED, "room"] == {
            "CallbackCommand": CREATED,
            "Operator_Account": "alice",
            "GroupId": "room",
            "Type": LIVE,
            "Owner_Account": "alice",
            "Name": "a room",
            "MemberList": [],
            "UserDefinedDataList": [{"Key": "k", "Value": "v"}],
            "EventTime": str(at_ms("2026-10-01")),
        }
        club = by_command[CREATED, "club"]
        assert (club["Operator_Account"], club["MemberList"]) == ("administrator", [{"Member_Account": "alice"}])
        platforms = {
            body["GroupId"]: query["OptPlatform"] for body, query in zip(backend.bodies, backend.queries, strict=True)
        }
        assert platforms == {"room": "Web", "club": "RESTAPI"}


async def test_the_alarm_comes_above_70_percent_of_the_days_net_new_groups() -> None:
    async with a_backend() as backend, a_server(some_settings(plan="trial")) as server:
        create = "group_open_http_svc/create_group"
        for number in range(69):
            await server.rest(create, {"Type": "Public", "Name": "g", "GroupId": f"g{number}"})
        await told_of(server, url=backend.url)
        for number in range(69, 72):
            await server.rest(create, {"Type": "Public", "Name": "g", "GroupId": f"g{number}"})
        await backend.heard(5)
        alarms = [body for body in backend.bodies if body["CallbackCommand"] == ALARM]
        assert [(alarm["QuotaUsed"], alarm["Quota"]) for alarm in alarms] == [(71, 100), (72, 100)]


async def test_with_a_token_every_call_is_signed() -> None:
    async with a_backend() as backend, told(backend, token="secret") as server, server.connected() as wire:
        await wire.login("alice")
        await backend.heard(1)
        (query,) = backend.queries
        assert query["RequestTime"] == str(REAL_S)
        assert query["Sign"] == sha256(f"secret{REAL_S}".encode()).hexdigest()


async def test_what_is_about_one_user_arrives_in_order() -> None:
    async with a_backend() as backend, told(backend) as server, server.connected() as wire:
        for _ in range(20):
            who = identity(await wire.login("alice"))
            await wire.ask("im_open_status.wslogout", **who)
        await backend.heard(40)
        assert [action for action, _, _ in backend.states()] == ["Login", "Logout"] * 20


async def test_a_backend_that_stalls_holds_up_nobody_and_what_it_cannot_take_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(webhooks, "WAITING_MAX", 10)
    async with a_backend(is_open=False) as backend, told(backend) as server, server.connected() as wire:
        for number in range(30):
            assert (await wire.login(f"user{number}"))["ErrorCode"] == 0
        said = await deliveries(server, waiting=0)
        assert said["sent"] == 0
        assert said["timed_out"] >= 10
        assert said["timed_out"] + said["dropped"] == 30
        metrics = await server.page("/metrics")
        assert f'im_webhooks{{outcome="dropped",sdkappid="{SDKAPPID}"}} {said["dropped"]}.0' in metrics


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_http_error_is_a_failure_and_is_not_tried_again(status: int) -> None:
    async with a_backend(status=status) as backend, told(backend) as server, server.connected() as wire:
        await wire.login("alice")
        assert (await deliveries(server, failed=1, waiting=0))["sent"] == 0
        assert len(backend.bodies) == 1


async def test_a_backend_that_is_not_there_is_a_failure() -> None:
    async with a_server() as server, server.connected() as wire:
        await told_of(server, url="http://127.0.0.1:9/")
        await wire.login("alice")
        await deliveries(server, failed=1, waiting=0)


async def test_calls_a_second_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "CALLS_PER_SECOND_MAX", 100)
    monkeypatch.setattr(webhooks, "BURST_S", 0.1)
    async with a_backend() as backend, told(backend) as server, server.connected() as wire:
        began_s = asyncio.get_running_loop().time()
        seqs = [await wire.send("im_open_status.wslogin", identifier="alice", usersig="bad")]
        for number in range(40):
            await wire.login(f"user{number}", status_instid=1)
        await deliveries(server, sent=40)
        # The first ten at once, the others ten milliseconds apart.
        assert asyncio.get_running_loop().time() - began_s >= 0.29
        assert await wire.answer(seqs[0])


async def test_a_reset_keeps_the_url_and_an_empty_one_ends_it() -> None:
    async with a_backend() as backend, told(backend) as server, server.connected() as wire:
        await server.control("POST", f"/apps/{SDKAPPID}/reset", {"start": "2026-10-01"})
        await wire.login("alice")
        await backend.heard(1)
        assert (await deliveries(server, sent=1))["url"] == backend.url
        assert (await told_of(server, url=""))["url"] == ""
        await wire.login("bob")
        assert server.app.listener is None
        assert len(backend.bodies) == 1


async def test_a_url_with_a_query_of_its_own_keeps_it() -> None:
    async with a_backend() as backend, a_server() as server, server.connected() as wire:
        await told_of(server, url=f"{backend.url}?tenant=7")
        await wire.login("alice")
        await backend.heard(1)
        assert (backend.queries[0]["tenant"], backend.queries[0]["SdkAppid"]) == ("7", str(SDKAPPID))


@pytest.mark.parametrize("url", ["ftp://x/", "//x", "http://", "http://[", "http://x:99999", "http://x/#y", "a b"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    async with a_server() as server:
        status, said = await server.control("PUT", f"/apps/{SDKAPPID}/webhook", {"url": url})
        assert (status, said.count("\n")) == (400, 1)
        assert server.app.listener is None


async def test_the_command_line_may_say_where_to() -> None:
    async with a_backend() as backend:
        settings = replaced(some_settings(), webhooks=((SDKAPPID, backend.url),))
        async with a_server(settings) as server, server.connected() as wire:
            await wire.login("alice")
            await backend.heard(1)

"""A server for the tests of other people's apps: on a free port, in a thread, with the apps that a test wants.

`start_server(apps=["trial"])` is a context manager; under pytest the fixture `im_server` is one of them
(`docs/testing-your-app.md`). Clocks stand still until a test moves them, so that a month passes in milliseconds.
"""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from websockets.sync.client import ClientConnection, connect

from mock_im_server.app import Running, real_ms, running
from mock_im_server.domain.apps import AppSettings
from mock_im_server.domain.calendar import BillingCalendar, day_of
from mock_im_server.domain.plans import ADMIN
from mock_im_server.settings import Settings
from mock_im_server.transport.control_door import PREFIX
from mock_im_server.wire import frames, usersig

FIRST_SDKAPPID: Final = 1_400_000_001
KEY: Final = "key-of-an-app-in-tests"
START: Final = "2026-10-01"
WEB: Final = 7
EXPIRE_S: Final = 86_400
STARTS_S_MAX: Final = 30.0
ANSWER_TIMEOUT_S: Final = 10.0
_HTTP_OK: Final = 200
_DAY_MS: Final = 86_400_000

type_json = dict[str, Any]


class ServerSaysNoError(Exception):
    """Raised when the control API refuses, for example to turn a clock back."""


@contextmanager
def start_server(
    apps: Sequence[str | AppSettings] = ("pro",), *, start: str | None = START, rate_limits: int | None = 0
) -> Iterator["ImServer"]:
    """A server until the block ends. An app is given by its plan, or by all of its settings.

    `start` is the day (UTC+8) on which clocks stand, None the real time; `rate_limits` are REST calls a second of each
    API, 0 none, None the vendor's. Raises ValueError for a plan that there is not.
    """
    made = tuple(
        AppSettings(FIRST_SDKAPPID + number, app, KEY) if isinstance(app, str) else app
        for number, app in enumerate(apps)
    )
    settings = Settings(
        host="127.0.0.1",
        port=0,
        control_port=None,
        apps=made,
        start_ms=None if start is None else _instant_ms(start),
        data_dir=None,
        rate_limits=rate_limits,
        defect=None,
        control_token=None,
        stop_with_stdin=False,
    )
    thread = _ServerThread(settings)
    server = ImServer(thread.started(), made)
    try:
        yield server
    finally:
        for app in server.apps:
            app.close()
        thread.stop()


class ImServer:
    """A running server; `app` is the first of its apps."""

    def __init__(self, running: Running, apps: Sequence[AppSettings]) -> None:
        self.url = running.url
        self.gateway_url = running.gateway_url
        """What the client SDK takes as `proxyServer`."""
        self.control_url = running.control_url
        self.control_token = running.control_token
        self.apps = [ImApp(self, settings) for settings in apps]

    @property
    def app(self) -> "ImApp":
        return self.apps[0]


class _Session(NamedTuple):
    """A user who is online: the connection, the login's answer, and what ends the connection."""

    wire: ClientConnection
    login: type_json
    stack: ExitStack


class ImApp:
    """An app on the server, and what a test may want to do to it from outside."""

    def __init__(self, server: ImServer, settings: AppSettings) -> None:
        self.sdkappid = settings.sdkappid
        self.key = settings.key
        self._server = server
        self._mac = usersig.mac_of(settings.key)
        self._online: dict[str, _Session] = {}

    def usersig(self, user_id: str, *, expire_s: int = EXPIRE_S) -> str:
        """As the app's backend would sign it now."""
        return usersig.sign(self._mac, self.sdkappid, user_id, real_ms() // 1_000, expire_s)

    def rest(self, command: str, body: Mapping[str, Any] | None = None) -> type_json:
        """Call the vendor's REST API as the app's admin, `group_open_http_svc/create_group` or any other."""
        query = urlencode(
            {
                "sdkappid": self.sdkappid,
                "identifier": ADMIN,
                "usersig": self.usersig(ADMIN),
                "random": 1,
                "contenttype": "json",
            }
        )
        _, answer = _asked(self._server.url, "POST", f"/v4/{command}?{query}", body or {})
        return dict(json.loads(answer))

    def import_accounts(self, *user_ids: str) -> list[int]:
        """The code for each, in order."""
        answers = [self.rest("im_open_login_svc/account_import", {"UserID": user_id}) for user_id in user_ids]
        return [int(answer["ErrorCode"]) for answer in answers]

    def login(self, user_id: str, *, platform: int = WEB) -> int:
        """0, or the code of the refusal. The user stays online until `logout` or the server's end."""
        head = {"identifier": user_id, "usersig": self.usersig(user_id), "platform": platform}
        with ExitStack() as stack:
            wire = stack.enter_context(connect(f"{self._server.gateway_url}/binfo", compression=None))
            answer = self._asked(wire, frames.LOGIN, head)
            if not answer["ErrorCode"]:
                self.logout(user_id)
                self._online[user_id] = _Session(wire, answer, stack.pop_all())
        return int(answer["ErrorCode"])

    def logout(self, user_id: str) -> None:
        """End the session that `login` began; none is no error."""
        if user_id not in self._online:
            return
        wire, login, stack = self._online.pop(user_id)
        with stack:
            session = {"a2": login["A2Key"], "tinyid": login["TinyId"], "status_instid": login["InstId"]}
            self._asked(wire, frames.LOGOUT, session)

    def status(self) -> type_json:
        """What is counted: accounts, online, dau, groups, live_groups, total_cents and more."""
        return self._control("GET", "")

    def move_clock(self, to: str) -> None:
        """Stand at `2026-10-16` or `2026-10-16 23:59:59`, UTC+8; only forward. What is due on the way happens."""
        self._control("PUT", "/clock", {"now_ms": _instant_ms(to)})

    def pass_days(self, days: int = 1) -> None:
        self._control("PUT", "/clock", {"advance_ms": days * _DAY_MS})

    def statement(self, month: str) -> type_json:
        """The bill of a closed month, `2026-10`."""
        return self._control("GET", f"/statements/{month}")

    def set_webhook(self, url: str, *, token: str = "") -> None:
        """Post what happens to this URL; an empty one ends it."""
        self._control("PUT", "/webhook", {"url": url, "token": token})

    def save(self, name: str) -> None:
        """Keep the app's state under a name."""
        self._control("PUT", f"/snapshots/{name}")

    def restore(self, name: str) -> None:
        """Be again as at `save`: sessions end, and the clock stands where it stood."""
        self._control("POST", f"/snapshots/{name}/restore")
        self.close()

    def set_faults(self, *rules: Mapping[str, Any]) -> None:
        """Let calls fail or answer late (`docs/testing-your-app.md`); without rules all is well again."""
        self._control("PUT", "/faults", {"rules": rules})

    def close(self) -> None:
        """End what `login` has begun."""
        with ExitStack() as stack:
            for session in self._online.values():
                stack.push(session.stack)
        self._online.clear()

    def _control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> type_json:
        target = f"{PREFIX}/apps/{self.sdkappid}{path}"
        headers = {"Authorization": f"Bearer {self._server.control_token}"}
        status, answer = _asked(self._server.control_url, method, target, body, headers)
        if status != _HTTP_OK:
            raise ServerSaysNoError(answer.decode().strip())
        return dict(json.loads(answer))

    def _asked(self, wire: ClientConnection, servcmd: str, head: Mapping[str, Any]) -> type_json:
        frame = {"head": {"servcmd": servcmd, "seq": 1, "sdkappid": self.sdkappid, **head}, "body": {}}
        wire.send(json.dumps(frame).encode())
        while True:
            answer = json.loads(wire.recv(timeout=ANSWER_TIMEOUT_S))
            # What is pushed meanwhile is not for us.
            if answer["head"]["servcmd"] == servcmd:
                return dict(answer["body"])


class _ServerThread:
    """A server with a loop of its own, beside whatever loop the test has."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: Future[Running] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="mock_im_server", daemon=True)

    def started(self) -> Running:
        """Raises what kept it from starting."""
        self._thread.start()
        return self._started.result(STARTS_S_MAX)

    def stop(self) -> None:
        """Raises what has ended it before."""
        if self._loop is not None and self._stop is not None and not self._ended.done():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._ended.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 -- handed over to the test's own thread
            if not self._started.done():
                self._started.set_exception(error)
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        async with running(self._settings) as server:
            self._started.set_result(server)
            stopped = asyncio.create_task(self._stop.wait())
            ends: list[asyncio.Future[Any]] = [stopped, *server.parts]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            for part in server.parts:
                if part.done():
                    part.result()


def _asked(
    url: str, method: str, target: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_TIMEOUT_S)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, target, payload, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _instant_ms(text: str) -> int:
    """A day or an instant of UTC+8; raises ValueError."""
    day, _, clock = text.partition(" ")
    hours, minutes, seconds = map(int, (clock or "00:00:00").split(":"))
    return BillingCalendar().start_ms(day_of(day)) + ((hours * 60 + minutes) * 60 + seconds) * 1_000

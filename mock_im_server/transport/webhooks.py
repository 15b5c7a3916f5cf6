"""Webhooks: what happens in an app, posted to a URL of its backend. Answers are heard and not heeded.

The vendor's protocol (1047/34354): `URL?SdkAppid=…&CallbackCommand=…&contenttype=json&ClientIP=…&OptPlatform=…`, the
command again in the body, 2 s for the answer, no second try after a failure. Requests never wait for any of this: what
a backend does not take in time is dropped and counted.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from mock_im_server.apps import Apps
from mock_im_server.service import App, Notice, StateChange
from mock_im_server.transport.control_door import APP_PATH, ControlDoor, body_of, json

ANSWER_TIMEOUT_S: Final = 2.0
"""The vendor's."""
LANES: Final = 8
"""Of one app, each with one call under way: what is about one user or group takes one lane, and so stays in order."""
WAITING_MAX: Final = 10_000
"""Of one app, in all its lanes; what comes then is dropped."""
CALLS_PER_SECOND_MAX: Final = 400
"""Of one app, so that a storm of logins leaves the server time for the logins."""
BURST_S: Final = 1.0
"""As many calls as this time would allow may come at once."""

_HEADERS: Final = {"Content-Type": "application/json"}
_encode: Final = msgspec.json.Encoder().encode

type_now_ms = Callable[[], int]


class WebhookRefusedError(ValueError):
    """Raised for a URL that is none."""


@dataclass(slots=True)
class Deliveries:
    """What became of an app's notices so far."""

    sent: int = 0
    failed: int = 0
    """Answered with an HTTP error, or not to be reached."""
    timed_out: int = 0
    dropped: int = 0
    waiting: int = 0


class _Lane:
    """Notices on their way, one after the other."""

    __slots__ = ("is_filled", "queue")

    def __init__(self) -> None:
        self.queue: deque[Notice | StateChange] = deque()
        self.is_filled = asyncio.Event()


class Webhook:
    """One app's backend."""

    def __init__(self, sdkappid: int, url: str, token: str, session: ClientSession, real_ms: type_now_ms) -> None:
        self.url = url
        self.deliveries = Deliveries()
        self.is_full = False
        separator = "&" if urlsplit(url).query else "?"
        self._prefix = f"{url}{separator}SdkAppid={sdkappid}&contenttype=json&"
        self._token = token
        self._session = session
        self._real_ms = real_ms
        self._lanes = [_Lane() for _ in range(LANES)]
        self._next_call_s = 0.0
        self._tasks = [asyncio.create_task(self._deliver(lane), name=f"webhook {sdkappid}") for lane in self._lanes]

    def hear(self, notice: Notice | StateChange) -> None:
        # A login pays for this: it is kept short.
        if self.is_full:
            self.drop()
            return
        lane = self._lanes[hash(notice.about) % LANES]
        queue = lane.queue
        if not queue:
            lane.is_filled.set()
        queue.append(notice)
        deliveries = self.deliveries
        deliveries.waiting = waiting = deliveries.waiting + 1
        if waiting >= WAITING_MAX:
            self.is_full = True

    def drop(self) -> None:
        self.deliveries.dropped += 1

    async def close(self) -> None:
        """What still waits is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes:
            lane.queue.clear()
        self.deliveries.dropped += self.deliveries.waiting
        self.deliveries.waiting = 0

    async def _deliver(self, lane: _Lane) -> None:
        while True:
            await lane.is_filled.wait()
            while lane.queue:
                await self._turn()
                notice = lane.queue.popleft()
                await self._call(notice.told())
                self.deliveries.waiting -= 1
                self.is_full = False
            lane.is_filled.clear()

    async def _turn(self) -> None:
        """Wait until one more call is within the limit."""
        now_s = asyncio.get_running_loop().time()
        self._next_call_s = max(self._next_call_s, now_s - BURST_S) + 1 / CALLS_PER_SECOND_MAX
        if (early_s := self._next_call_s - now_s) > 0:
            await asyncio.sleep(early_s)

    async def _call(self, notice: Notice) -> None:
        url = self._prefix + urlencode(self._query(notice))
        body = _encode({"CallbackCommand": notice.command, **notice.body})
        deliveries = self.deliveries
        try:
            async with self._session.post(url, data=body, headers=_HEADERS, allow_redirects=False) as answer:
                await answer.read()
        except TimeoutError:
            deliveries.timed_out += 1
        except (ClientError, OSError, UnicodeError):
            # The last is what looking up a name says that can be none.
            deliveries.failed += 1
        else:
            deliveries.sent += answer.status == HTTPStatus.OK
            deliveries.failed += answer.status != HTTPStatus.OK

    def _query(self, notice: Notice) -> dict[str, str]:
        query = {
            "CallbackCommand": notice.command,
            "ClientIP": notice.client_ip,
            "OptPlatform": notice.platform,
        }
        if self._token:
            # Real time: the backend that checks it lives outside the simulated month.
            query["RequestTime"] = str(self._real_ms() // 1_000)
            query["Sign"] = sha256((self._token + query["RequestTime"]).encode()).hexdigest()
        return query


class Webhooks:
    """The webhooks of all apps; kept in memory, not in the journal: after a restart they are set anew."""

    def __init__(self, apps: Apps, real_ms: type_now_ms) -> None:
        self._apps = apps
        self._real_ms = real_ms
        self._by_app: dict[int, Webhook] = {}
        self._session: ClientSession | None = None
        # An app that is reset keeps its URL, as it does in the vendor's console.
        apps.on_made.append(self._attach)
        apps.on_news.append(self._hear)

    async def set(self, sdkappid: int, url: str, token: str = "") -> None:
        """Post to this URL from now on; an empty one means no more. Raises WebhookRefusedError."""
        if url:
            _check(url)
        if sdkappid not in self._apps:
            raise WebhookRefusedError(f"there is no app {sdkappid} to have a webhook")
        if (before := self._by_app.pop(sdkappid, None)) is not None:
            await before.close()
        if url:
            self._by_app[sdkappid] = Webhook(sdkappid, url, token, self._client(), self._real_ms)
        self._attach(self._apps[sdkappid])

    async def _hear(self, news: Mapping[str, Any]) -> None:
        """What another server process was told of webhooks."""
        if "webhook" in news and news["webhook"]["sdkappid"] in self._apps:
            await self.set(**news["webhook"])

    async def set_all(self, urls: Iterable[tuple[int, str]]) -> None:
        """As `set`, for what the command line says."""
        for sdkappid, url in urls:
            await self.set(sdkappid, url)

    async def tell(self, sdkappid: int, url: str, token: str) -> None:
        """Let the other server processes post there too."""
        await self._apps.tell({"webhook": {"sdkappid": sdkappid, "url": url, "token": token}})

    def deliveries(self, sdkappid: int) -> Deliveries | None:
        """None for an app that has no webhook."""
        webhook = self._by_app.get(sdkappid)
        return None if webhook is None else webhook.deliveries

    def url(self, sdkappid: int) -> str:
        """Empty for an app that has no webhook."""
        webhook = self._by_app.get(sdkappid)
        return "" if webhook is None else webhook.url

    async def close(self) -> None:
        async with AsyncExitStack() as stack:
            if self._session is not None:
                stack.push_async_callback(self._session.close)
            for webhook in self._by_app.values():
                stack.push_async_callback(webhook.close)

    def _attach(self, app: App) -> None:
        app.listener = self._by_app.get(app.settings.sdkappid)

    def _client(self) -> ClientSession:
        if self._session is None:
            timeout = ClientTimeout(total=ANSWER_TIMEOUT_S)
            self._session = ClientSession(timeout=timeout, connector=TCPConnector(limit=0))
        return self._session


class SetWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /apps/{sdkappid}/webhook`; with a token every call is signed."""

    url: str = ""
    token: str = ""


class WebhookControl:
    """The part of the control API that is about webhooks."""

    def __init__(self, webhooks: Webhooks, door: ControlDoor) -> None:
        self._webhooks = webhooks
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        path, of_app = f"{APP_PATH}/webhook", self._door.of_app
        return [web.get(path, of_app(self._tell)), web.put(path, of_app(self._set))]

    async def _set(self, request: web.Request, app: App) -> web.Response:
        wish = await body_of(request, SetWebhook)
        try:
            await self._webhooks.set(app.settings.sdkappid, wish.url, wish.token)
            await self._webhooks.tell(app.settings.sdkappid, wish.url, wish.token)
        except WebhookRefusedError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        return await self._tell(request, app)

    async def _tell(self, _request: web.Request, app: App) -> web.Response:
        sdkappid = app.settings.sdkappid
        deliveries = self._webhooks.deliveries(sdkappid) or Deliveries()
        return json({"url": self._webhooks.url(sdkappid), **asdict(deliveries)})


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isascii() or "#" in url or " " in url:
        raise WebhookRefusedError(f"a webhook is an http or https URL, not {url!r}")

"""How many connections a server holds, how long one may go without asking for anything, and what of it can be read.

aiohttp knows no bound for either: who connects and says nothing, or says it a byte a minute, would stay for good, and
a flood would use up the descriptors that journals need too.
"""

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from yarl import URL

HEAD_TIMEOUT_S: Final = 10.0
"""From the connection to the end of its first request's headers."""
IDLE_TIMEOUT_S: Final = 75.0
"""Between two requests of a connection that is kept alive."""
BODY_TIMEOUT_S: Final = 10.0
SWEEP_S: Final = 1.0
DESCRIPTORS_KEPT: Final = 200
"""For journals, listeners, webhooks and the store; a quarter where there are few."""


class Connections:
    """All open connections of a server."""

    def __init__(self, most: int | None = None) -> None:
        """`most` is bounded by what the operating system allows this process."""
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        allowed = descriptors - min(DESCRIPTORS_KEPT, descriptors // 4)
        self.most = allowed if most is None else min(most, allowed)
        self.refused = 0
        """Closed at once, as there were too many."""
        self.timed_out = 0
        """Closed as they asked for nothing in time."""
        self._open: dict[asyncio.BaseProtocol, _Watched] = {}
        for name in ("aiohttp.server", "aiohttp.websocket"):
            logging.getLogger(name).addFilter(_is_no_peers_fault)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def working(self) -> int:
        """How many have a request under way."""
        return sum(watched.working > 0 for watched in self._open.values())

    def watched(self, new_protocol: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """What a listener makes of each connection: the same protocol, watched."""
        return lambda: _Watched(new_protocol(), self._open, self)

    @web.middleware
    async def marking(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A connection is at work while a request of its own is; a WebSocket is one until its end."""
        watched = self._open.get(request.protocol)
        if watched is None:
            return await handler(request)
        watched.working += 1
        try:
            return await handler(request)
        finally:
            watched.working -= 1
            watched.since_s, watched.timeout_s = asyncio.get_running_loop().time(), IDLE_TIMEOUT_S

    async def sweep(self) -> None:
        """Close what has been silent for too long, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            self.close_silent(loop.time())

    def close_silent(self, now_s: float) -> None:
        """Close connections that are at no work and have had their time."""
        for watched in list(self._open.values()):
            if not watched.working and now_s - watched.since_s > watched.timeout_s:
                self.timed_out += 1
                watched.abort()


class _Watched(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol."""

    def __init__(
        self, inner: asyncio.Protocol, all_open: dict[asyncio.BaseProtocol, "_Watched"], connections: Connections
    ) -> None:
        self._inner = inner
        self._open = all_open
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self.working = 0
        self.since_s = asyncio.get_running_loop().time()
        self.timeout_s = HEAD_TIMEOUT_S
        # Bound once: data comes ten thousand times a second.
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)
        if len(self._open) >= self._connections.most:
            self._connections.refused += 1
            self._transport.abort()
        else:
            self._open[self._inner] = self

    def connection_lost(self, error: Exception | None) -> None:
        self._open.pop(self._inner, None)
        self._inner.connection_lost(error)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class BodyBrokenError(ValueError):
    """Raised for a body that does not come as its headers say."""


async def body_in_time(request: web.Request) -> bytes:
    """The body, if it comes in time. Raises TimeoutError and BodyBrokenError."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
        raise BodyBrokenError("the body does not come as its headers say") from error


type_handle = Callable[[Any], Awaitable[web.StreamResponse]]
type_new_request = Callable[..., web.BaseRequest]


def only_text(handle: type_handle) -> type_handle:
    """Keeps away requests with bytes in line or headers that are no UTF-8.

    aiohttp makes surrogates of them, and no answer, log or journal can be written with those in it. It looks at some
    headers before any middleware does: this stands before all of it.
    """

    async def handled(request: web.BaseRequest) -> web.StreamResponse:
        if not (request.raw_path.isascii() and all(map(str.isascii, request.headers.values()))):
            try:
                "".join((request.raw_path, *request.headers.values())).encode()
            except UnicodeEncodeError as error:
                raise web.HTTPBadRequest(text="a request's line and headers must be UTF-8\n") from error
        return await handle(request)

    return handled


def with_target(new_request: type_new_request) -> type_new_request:
    """Gives a request that names nothing an empty target, which is not found.

    aiohttp lets a `CONNECT` without one pass, and its task then ends in an error that nobody answers.
    """

    def made(message: RawRequestMessage, *parts: Any) -> web.BaseRequest:  # noqa: ANN401 -- passed on as they came
        return new_request(message._replace(path="", url=URL()) if message.url is None else message, *parts)

    return made


def one_line(error: Exception) -> str:
    """What an error says, for an answer of one line; it may quote what a client has sent."""
    return " ".join(str(error).split()) + "\n"


def _is_no_peers_fault(record: logging.LogRecord) -> bool:
    """Who speaks no HTTP is told so, and who goes away is gone: a traceback would be of nobody's mistake here."""
    error = record.exc_info[1] if record.exc_info else None
    is_peers = isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionResetError)
    # Its only warnings are of what clients ask for in a handshake.
    return record.levelno != logging.WARNING and not is_peers

"""What all parts of the control API share: the token, the app in a path, bodies and answers as JSON.

Errors are HTTP errors with one line of text, unlike the vendor's envelope: this API is ours.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from mock_im_server.apps import Apps
from mock_im_server.service import App
from mock_im_server.transport.connections import body_in_time, one_line
from mock_im_server.wire import frames

PREFIX: Final = "/control/v1"
APP_PATH: Final = f"{PREFIX}/apps/{{sdkappid:[0-9]{{1,19}}}}"

_T = TypeVar("_T")
type_app_handler = Callable[[web.Request, App], Awaitable[web.StreamResponse]]


class ControlDoor:
    """Lets nobody in without the token."""

    def __init__(self, apps: Apps, token: str) -> None:
        self._apps = apps
        self._token = token

    def guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            # Header bytes that are no UTF-8 arrive as surrogates.
            if not secrets.compare_digest(given.encode(errors="surrogateescape"), self._token.encode()):
                text = "the control API needs 'Authorization: Bearer <token>' with the token of the ready line\n"
                raise web.HTTPUnauthorized(text=text)
            return await handler(request)

        return guarded

    def of_app(self, handler: type_app_handler) -> Handler:
        async def of_app(request: web.Request) -> web.StreamResponse:
            return await handler(request, self.app(request))

        return self.guarded(of_app)

    def app(self, request: web.Request) -> App:
        """Raises HTTPNotFound."""
        app = self._apps.get(int(request.match_info["sdkappid"]))
        if app is None:
            text = f"there is no app {request.match_info['sdkappid']} here\n"
            raise web.HTTPNotFound(text=text)
        return app


async def body_of(request: web.Request, kind: type[_T]) -> _T:
    """An empty body is an empty object. Raises HTTPBadRequest."""
    try:
        return msgspec.json.decode(await body_in_time(request) or b"{}", type=kind)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not come in time\n") from error
    except frames.MALFORMED as error:
        raise web.HTTPBadRequest(text=one_line(error)) from error


def json(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")

"""The vendor's REST API: `/v4/<service>/<command>`, always HTTP 200, errors in `ErrorCode`.

Takes what real clients send (`docs/wire.md`): GET or POST, any content type over a JSON body, an empty body, old names.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from mock_im_server.domain.plans import ADMIN
from mock_im_server.service import App
from mock_im_server.transport.commits import Commits
from mock_im_server.transport.frequency import FrequencyLimits
from mock_im_server.wire import codes, frames
from mock_im_server.wire.user_ids import is_user_id

BODY_BYTES_MAX: Final = 1024 * 1024

_METHODS: Final = frozenset({"GET", "POST"})
_SDKAPPID: Final = re.compile(r"[0-9]{1,19}", re.ASCII)

type_body = dict[str, Any]
type_command = Callable[[App, type_body], Awaitable[type_body]]
type_now = Callable[[], int]


class Refused(Exception):  # noqa: N818 -- a refusal is a result here, not an error
    """Carries a vendor code from a command to the envelope."""

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = codes.TEXTS[code] if text is None else text
        super().__init__(self.text)


class Rest:
    """The commands of all apps."""

    def __init__(self, apps: Mapping[int, App], limits: FrequencyLimits, commits: Commits, real_ms: type_now) -> None:
        self._apps = apps
        self._limits = limits
        self._commits = commits
        self._real_ms = real_ms

    def routes(self) -> list[web.RouteDef]:
        # Every method and path below: the vendor has no HTTP errors, only codes.
        return [web.route("*", "/v4/{resource:.*}", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            app = self._authorised(request)
            result = await self._result(app, request)
        except Refused as refused:
            return _answer({}, refused.code, refused.text)
        return _answer(result, 0, "")

    async def _result(self, app: App, request: web.Request) -> type_body:
        try:
            body = _parsed(await request.read())
        except web.HTTPRequestEntityTooLarge as error:
            raise Refused(codes.BAD_HTTP_REQUEST) from error
        name = request.match_info["resource"]
        command = COMMANDS.get(name)
        if command is None:
            raise Refused(codes.BAD_RESOURCE)
        if not self._limits.allow(app.settings.sdkappid, name, self._real_ms()):
            raise Refused(codes.FREQUENCY_LIMIT)
        try:
            return await command(app, body)
        finally:
            await self._commits.written(app)

    def _authorised(self, request: web.Request) -> App:
        if request.method not in _METHODS:
            raise Refused(codes.HTTP_PARSE)
        query = request.query
        sdkappid = query.get("sdkappid", "")
        if not sdkappid:
            raise Refused(codes.SDKAPPID_MISSING)
        if not _SDKAPPID.fullmatch(sdkappid):
            raise Refused(codes.BAD_SDKAPPID)
        app = self._apps.get(int(sdkappid))
        if app is None:
            raise Refused(codes.SDKAPPID_UNKNOWN)
        identifier = query.get("identifier", "")
        if not is_user_id(identifier):
            raise Refused(codes.BAD_URL_ACCOUNT)
        code = app.check_usersig(identifier, query.get("usersig", ""))
        if code:
            raise Refused(code)
        if identifier != ADMIN:
            raise Refused(codes.ADMIN_NEEDED)
        return app


async def _account_import(app: App, body: type_body) -> type_body:
    """`im_open_login_svc/account_import`; `Identifier` is the older name of `UserID`."""
    user_id = body.get("UserID") or body.get("Identifier") or ""
    if not isinstance(user_id, str):
        raise Refused(codes.ACCOUNT_NO_STRING)
    if not is_user_id(user_id):
        raise Refused(codes.BAD_ACCOUNT)
    (code,) = await app.accounts.import_all([user_id])
    if code:
        raise Refused(code)
    return {}


COMMANDS: Final[Mapping[str, type_command]] = {
    "im_open_login_svc/account_import": _account_import,
}


def _parsed(raw: bytes) -> type_body:
    """The raw body is JSON whatever the header says; nothing, `{}`, `[]` and `null` all mean no parameters."""
    try:
        body = msgspec.json.decode(raw.strip() or b"{}")
    except frames.MALFORMED as error:
        raise Refused(codes.JSON_PARSE) from error
    if not body and (body is None or isinstance(body, list)):
        return {}
    if not isinstance(body, dict):
        raise Refused(codes.JSON_PARSE)
    return body


def _answer(result: type_body, code: int, text: str) -> web.Response:
    envelope = {
        "ActionStatus": "FAIL" if code else "OK",
        "ErrorInfo": text,
        "ErrorCode": code,
    }
    return web.Response(body=msgspec.json.encode(envelope | result), content_type="application/json")

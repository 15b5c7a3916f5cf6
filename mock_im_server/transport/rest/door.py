"""The door of the REST API: `/v4/<service>/<command>`, always HTTP 200, errors in `ErrorCode`.

Takes what real clients send (`docs/wire.md`): GET or POST, any content type over a JSON body, an empty body, old names.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from mock_im_server.apps import Apps
from mock_im_server.domain.plans import ADMIN
from mock_im_server.service import App
from mock_im_server.service.faults import TEXT as REFUSED_BY_FAULT
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.transport.commits import Commits
from mock_im_server.transport.connections import BodyBrokenError, body_in_time
from mock_im_server.transport.frequency import FrequencyLimits
from mock_im_server.transport.request_id import origin_of
from mock_im_server.transport.rest.command import DONE, Answer, Command, Refused
from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.wire import codes, frames
from mock_im_server.wire.user_ids import is_user_id

BODY_BYTES_MAX: Final = 1024 * 1024
PREFIX: Final = "/v4/"
GROUP_SERVICE: Final = "group_open_http_svc/"

_METHODS: Final = frozenset({"GET", "POST"})
_SDKAPPID: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_FIELD: Final = re.compile(r"at `\$\.(\w+)(\[?)")
"""The field of the body that an error of the decoder is about."""

type_now = Callable[[], int]


class _Entry:
    """A command that is ready to be called."""

    __slots__ = ("carry_out", "command", "decode", "name")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.name = command.name
        self.carry_out = command.carry_out
        self.decode: Callable[[bytes], msgspec.Struct] = msgspec.json.Decoder(command.body, strict=False).decode


class Rest:
    """The commands of all apps."""

    def __init__(self, apps: Apps, limits: FrequencyLimits, commits: Commits, real_ms: type_now) -> None:
        self._apps = apps
        self._limits = limits
        self._commits = commits
        self._real_ms = real_ms

    def routes(self) -> list[web.RouteDef]:
        # Every method and path below: the vendor has no HTTP errors, only codes.
        known = [
            web.route("*", PREFIX + command.name, partial(self._serve, _Entry(command)))
            for command in COMMANDS.values()
        ]
        return [*known, web.route("*", PREFIX + "{resource:.*}", partial(self._serve, None))]

    async def _serve(self, entry: _Entry | None, request: web.Request) -> web.Response:
        try:
            await self._apps.catch_up()
            answer = await self._answer(entry, self._authorised(request), request)
        except StoreAwayError:
            answer = Answer(
                ActionStatus="FAIL", ErrorInfo=codes.TEXTS[codes.BAD_HTTP_REQUEST], ErrorCode=codes.BAD_HTTP_REQUEST
            )
        except Refused as refused:
            answer = Answer(ActionStatus="FAIL", ErrorInfo=refused.text, ErrorCode=refused.code)
        body = _DONE_BYTES if answer is DONE else _encode(answer)
        return web.Response(body=body, content_type="application/json")

    async def _answer(self, entry: _Entry | None, app: App, request: web.Request) -> Answer:
        if entry is None:
            # The group service has a code of its own for this, which its pages list.
            is_group = request.match_info["resource"].startswith(GROUP_SERVICE)
            raise Refused(codes.GROUP_COMMAND_UNKNOWN if is_group else codes.BAD_RESOURCE)
        if not self._limits.allow(app.settings.sdkappid, entry.name, self._real_ms()):
            raise Refused(codes.FREQUENCY_LIMIT)
        if app.faults.rules and (fault := app.faults.meet(entry.name)) is not None:
            try:
                return await self._faulted(entry, app, request, fault.code)
            finally:
                await asyncio.sleep(fault.latency_ms / 1_000)
        return await self._carried_out(entry, app, request)

    async def _faulted(self, entry: _Entry, app: App, request: web.Request, code: int) -> Answer:
        if not code:
            return await self._carried_out(entry, app, request)
        await app.faults.refuse(entry.name, code, await origin_of(app, request))
        await self._commits.written(app)
        raise Refused(code, codes.TEXTS.get(code, REFUSED_BY_FAULT))

    async def _carried_out(self, entry: _Entry, app: App, request: web.Request) -> Answer:
        try:
            body = _parsed(entry, await body_in_time(request))
        except (web.HTTPRequestEntityTooLarge, TimeoutError, BodyBrokenError) as error:
            raise Refused(codes.BAD_HTTP_REQUEST) from error
        origin = await origin_of(app, request)
        try:
            return await entry.carry_out(app, origin, body)
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


_encode: Final = msgspec.json.Encoder().encode
_DONE_BYTES: Final = _encode(DONE)


def _parsed(entry: _Entry, raw: bytes) -> Any:  # noqa: ANN401 -- the struct of the command
    """The raw body is JSON whatever the header says; nothing, `{}`, `[]` and `null` all mean no parameters."""
    try:
        return entry.decode(raw or b"{}")
    except frames.MALFORMED as error:
        return _parsed_otherwise(entry, raw, error)


def _parsed_otherwise(entry: _Entry, raw: bytes, error: Exception) -> Any:  # noqa: ANN401 -- as above
    """What is no object with fields of the right types: another way to say nothing, no JSON, or a wrong type."""
    try:
        body = msgspec.json.decode(raw.strip() or b"{}")
    except frames.MALFORMED as broken:
        raise Refused(codes.JSON_PARSE) from broken
    if not body and not isinstance(body, (str, bool, int, float)):
        return entry.decode(b"{}")
    if not isinstance(body, dict):
        raise Refused(codes.JSON_PARSE)
    raise Refused(_malformed(entry.command, str(error))) from error


def _malformed(command: Command, said: str) -> int:
    """The code for what the decoder says."""
    field = _FIELD.search(said)
    if field is None:
        return command.malformed
    of_field = command.malformed_fields.get(field[1], command.malformed)
    return command.malformed_fields.get(field[0].removeprefix("at `$."), of_field)

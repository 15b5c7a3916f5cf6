"""The part of the control API that is about faults."""

from dataclasses import asdict
from typing import Annotated

import msgspec
from aiohttp import web

from mock_im_server.domain.faults import FaultRule, FaultsRefusedError
from mock_im_server.service import App
from mock_im_server.transport.control_door import APP_PATH, ControlDoor, body_of, json

# What the journal's columns, and whoever reads its text, can hold.
_Int32 = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """One of the rules; `domain.faults.FaultRule` says what they mean."""

    api: str
    latency_ms: int = 0
    code: _Int32 = 0
    share: float = 1.0
    from_ms: _Int64 | None = None
    until_ms: _Int64 | None = None
    seed: _Int64 = 0


class SetFaults(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /apps/{sdkappid}/faults`: all rules; none end all faults."""

    rules: list[Rule] = []


class FaultControl:
    """Handlers of the faults."""

    def __init__(self, door: ControlDoor) -> None:
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        path, of_app = f"{APP_PATH}/faults", self._door.of_app
        return [web.get(path, of_app(_tell)), web.put(path, of_app(_set))]


async def _set(request: web.Request, app: App) -> web.Response:
    wish = await body_of(request, SetFaults)
    try:
        await app.faults.set([FaultRule(**msgspec.structs.asdict(rule)) for rule in wish.rules])
    except FaultsRefusedError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    return await _tell(request, app)


async def _tell(_request: web.Request, app: App) -> web.Response:
    return json({"rules": [asdict(rule) for rule in app.faults.rules]})

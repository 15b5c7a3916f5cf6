"""The control API: apps, clocks, statements and journals, for the harness and for people. Always with the token.

Errors are HTTP errors with one line of text, unlike the vendor's envelope: this API is ours.
"""

import secrets

import msgspec
from aiohttp import web

from mock_im_server import VERSION
from mock_im_server.apps import AppRefusedError, Apps, SnapshotUnknownError
from mock_im_server.domain.apps import CHARGE_DAY, INTL, AppSettings
from mock_im_server.domain.calendar import UTC_PLUS_8_MS, BillingCalendar, day_of
from mock_im_server.domain.clock import ClockRefusedError
from mock_im_server.journal import JournalDamagedError
from mock_im_server.service import App, PlanRefusedError
from mock_im_server.transport.commits import Commits
from mock_im_server.transport.control_door import APP_PATH, PREFIX, ControlDoor, body_of, json
from mock_im_server.transport.request_id import origin_of


class NewApp(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /apps`."""

    plan: str = "pro"
    key: str = ""
    sdkappid: int = 0
    price_book: str = "2020"
    site: str = INTL
    billing_offset_ms: int = UTC_PLUS_8_MS
    charge_day: int = CHARGE_DAY
    account_delete: bool = False
    start: str | None = None


class ChangePlan(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /apps/{sdkappid}/plan`."""

    plan: str


class Participant(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody in a call, and what they receive: audio, hd, full_hd, 2k or 4k."""

    user_id: str
    tier: str


class StartCall(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /apps/{sdkappid}/calls`."""

    call_id: str
    participants: list[Participant]


class ChangeCall(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /apps/{sdkappid}/calls/{call_id}/participants`; without a tier the user leaves."""

    user_id: str
    tier: str | None = None


class MoveClock(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /apps/{sdkappid}/clock`: one of the three."""

    now_ms: int | None = None
    advance_ms: int | None = None
    real: bool = False


class Reset(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /apps/{sdkappid}/reset`."""

    start: str | None = None


class Fork(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /apps/{sdkappid}/snapshots/{name}/fork`; what is left out is chosen."""

    sdkappid: int = 0
    key: str = ""


class Control:
    """The control API's handlers."""

    def __init__(self, apps: Apps, door: ControlDoor, commits: Commits) -> None:
        self._apps = apps
        self._door = door
        self._commits = commits

    def routes(self) -> list[web.RouteDef]:
        app, guarded, of_app = APP_PATH, self._door.guarded, self._door.of_app
        return [
            web.get(f"{PREFIX}/version", guarded(_version)),
            web.get(f"{PREFIX}/apps", guarded(self._list)),
            web.post(f"{PREFIX}/apps", guarded(self._make)),
            web.get(app, of_app(_status)),
            web.post(f"{app}/reset", guarded(self._reset)),
            web.put(f"{app}/clock", of_app(_move_clock)),
            web.put(f"{app}/plan", guarded(self._change_plan)),
            web.get(f"{app}/snapshots", of_app(self._snapshots)),
            web.put(f"{app}/snapshots/{{name}}", of_app(self._save)),
            web.post(f"{app}/snapshots/{{name}}/restore", of_app(self._restore)),
            web.post(f"{app}/snapshots/{{name}}/fork", of_app(self._fork)),
            web.get(f"{app}/call_trial", of_app(_call_trial)),
            web.post(f"{app}/call_trial", of_app(self._open_call_trial)),
            web.post(f"{app}/calls", of_app(self._start_call)),
            web.put(f"{app}/calls/{{call_id}}/participants", of_app(self._change_call)),
            web.post(f"{app}/calls/{{call_id}}/end", of_app(self._end_call)),
            web.get(f"{app}/statements/{{month}}", of_app(_statement)),
            web.get(f"{app}/journal", of_app(_journal)),
            web.get(f"{app}/journal/{{file}}", of_app(_journal_file)),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        return json({"apps": [await app.status() for app in list(self._apps.values())]})

    async def _make(self, request: web.Request) -> web.Response:
        new = await body_of(request, NewApp)
        settings = AppSettings(
            sdkappid=new.sdkappid or self._apps.free_sdkappid(),
            plan=new.plan,
            key=new.key or secrets.token_hex(32),
            price_book=new.price_book,
            site=new.site,
            billing_offset_ms=new.billing_offset_ms,
            charge_day=new.charge_day,
            account_delete=new.account_delete,
        )
        start_ms = _start_ms(new.start, settings.billing_offset_ms)
        try:
            app = await self._apps.make(settings, fixed_ms=start_ms)
        except AppRefusedError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return json({**await app.status(), "key": settings.key}, status=201)

    async def _reset(self, request: web.Request) -> web.Response:
        app = self._door.app(request)
        wish = await body_of(request, Reset)
        start_ms = _start_ms(wish.start, app.settings.billing_offset_ms)
        try:
            fresh = await self._apps.reset(app.settings.sdkappid, fixed_ms=start_ms)
        except AppRefusedError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return json(await fresh.status())

    async def _change_plan(self, request: web.Request) -> web.Response:
        app = self._door.app(request)
        wish = await body_of(request, ChangePlan)
        try:
            await self._apps.change_plan(app.settings.sdkappid, wish.plan)
        except (AppRefusedError, PlanRefusedError) as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return json(await app.status())

    async def _snapshots(self, _request: web.Request, app: App) -> web.Response:
        return json({"snapshots": self._apps.snapshots(app.settings.sdkappid)})

    async def _save(self, request: web.Request, app: App) -> web.Response:
        try:
            await self._apps.save(app.settings.sdkappid, request.match_info["name"])
        except AppRefusedError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        return await self._snapshots(request, app)

    async def _restore(self, request: web.Request, app: App) -> web.Response:
        try:
            restored = await self._apps.restore(app.settings.sdkappid, request.match_info["name"])
        except SnapshotUnknownError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        except JournalDamagedError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return json(await restored.status())

    async def _fork(self, request: web.Request, app: App) -> web.Response:
        wish = await body_of(request, Fork)
        into, key = wish.sdkappid or self._apps.free_sdkappid(), wish.key or secrets.token_hex(32)
        try:
            made = await self._apps.fork(app.settings.sdkappid, request.match_info["name"], into=into, key=key)
        except SnapshotUnknownError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        except (AppRefusedError, JournalDamagedError) as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return json({**await made.status(), "key": key}, status=201)

    async def _open_call_trial(self, request: web.Request, app: App) -> web.Response:
        code = await app.calls.open_trial(await origin_of(app, request))
        await self._commits.written(app)
        return json({"code": code, **app.calls.status(app.now_ms())})

    async def _start_call(self, request: web.Request, app: App) -> web.Response:
        wish = await body_of(request, StartCall)
        participants = [(one.user_id, one.tier) for one in wish.participants]
        code = await app.calls.start(wish.call_id, participants, await origin_of(app, request))
        await self._commits.written(app)
        return json({"code": code})

    async def _change_call(self, request: web.Request, app: App) -> web.Response:
        wish = await body_of(request, ChangeCall)
        origin = await origin_of(app, request)
        code = await app.calls.change(request.match_info["call_id"], wish.user_id, wish.tier, origin)
        await self._commits.written(app)
        return json({"code": code})

    async def _end_call(self, request: web.Request, app: App) -> web.Response:
        code = await app.calls.end(request.match_info["call_id"], await origin_of(app, request))
        await self._commits.written(app)
        return json({"code": code})


async def _call_trial(_request: web.Request, app: App) -> web.Response:
    return json(app.calls.status(await app.settled_ms()))


async def _version(_request: web.Request) -> web.Response:
    return json({"name": "mock_im_server", "version": VERSION})


async def _status(_request: web.Request, app: App) -> web.Response:
    return json(await app.status())


async def _move_clock(request: web.Request, app: App) -> web.Response:
    wish = await body_of(request, MoveClock)
    try:
        if wish.real:
            await app.release_clock()
        elif wish.now_ms is not None:
            await app.move_clock(wish.now_ms)
        elif wish.advance_ms is not None:
            await app.advance_clock(wish.advance_ms)
        else:
            raise web.HTTPBadRequest(text="say now_ms, advance_ms or real\n")
    except ClockRefusedError as error:
        raise web.HTTPConflict(text=f"{error}\n") from error
    return json({"now_ms": app.now_ms(), "epoch": app.clock.epoch})


async def _statement(request: web.Request, app: App) -> web.Response:
    await app.settled_ms()
    month = request.match_info["month"]
    found = app.statements.get(month)
    if found is None:
        closed = ", ".join(app.statements) or "none yet"
        raise web.HTTPNotFound(text=f"no statement for {month!r}; closed months: {closed}\n")
    return json(found)


async def _journal(_request: web.Request, app: App) -> web.Response:
    cut = await app.journal.cut()
    return json(
        {
            "files": [{"name": path.name, "bytes": size} for path, size in cut.files],
            "rows": cut.rows,
            "last_seq": cut.last_seq,
            "head": cut.head.hex(),
        }
    )


async def _journal_file(request: web.Request, app: App) -> web.StreamResponse:
    for path in app.journal.files():
        if path.name == request.match_info["file"]:
            return web.FileResponse(path)
    raise web.HTTPNotFound(text=f"no journal file {request.match_info['file']!r}\n")


def _start_ms(start: str | None, billing_offset_ms: int) -> int | None:
    if start is None:
        return None
    try:
        return BillingCalendar(billing_offset_ms).start_ms(day_of(start))
    except ValueError as error:
        text = f"start must be a date like 2026-10-01, not {start!r}\n"
        raise web.HTTPBadRequest(text=text) from error

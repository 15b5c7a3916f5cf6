"""The only place that wires: settings become a running server."""

import asyncio
import fcntl
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import prometheus_client
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from redis.exceptions import RedisClusterException, RedisError

from mock_im_server import catalogue, tls
from mock_im_server.apps import Apps
from mock_im_server.defects import DEFECTS, HEALTHY
from mock_im_server.domain.apps import AppSettings
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import Router
from mock_im_server.journal import JournalLostError
from mock_im_server.network import Network, measured_round_trips
from mock_im_server.routing_records import RoutingRecords
from mock_im_server.settings import TOKEN_VARIABLE, Settings
from mock_im_server.shared.apps import SharedApps
from mock_im_server.shared.connection import connected, own_name
from mock_im_server.shared.supervisor import Supervisor, shared_port
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.transport import control
from mock_im_server.transport.commits import Commits
from mock_im_server.transport.connections import Connections
from mock_im_server.transport.control_door import PREFIX, ControlDoor
from mock_im_server.transport.dispatch import Dispatch
from mock_im_server.transport.doors import Doors
from mock_im_server.transport.fault_control import FaultControl
from mock_im_server.transport.frequency import FrequencyLimits
from mock_im_server.transport.gateway import Gateway
from mock_im_server.transport.listeners import Listeners
from mock_im_server.transport.metrics import AccessMetrics, AppMetrics
from mock_im_server.transport.rest import BODY_BYTES_MAX, Rest, openapi
from mock_im_server.transport.rest.door import PREFIX as REST_PREFIX
from mock_im_server.transport.round_trips import RoundTrips
from mock_im_server.transport.routing_control import RoutingControl
from mock_im_server.transport.webhooks import WebhookControl, Webhooks


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers, and what a client must know of it."""

    apps: Apps
    url: str
    gateway_url: str
    control_url: str
    control_token: str
    tls_url: str | None
    tls_authority: Path | None
    """The certificate to trust, where the server has made its own."""
    parts: Sequence[asyncio.Future[None]]
    """They last as long as the server; one that ends has failed, and the server must not answer any more."""


class ServerFailedError(Exception):
    """Raised when a part of the server has ended by a mistake of ours."""


def real_ms() -> int:
    """The only reading of the time in this package."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def running(settings: Settings, *, real_ms: Callable[[], int] = real_ms) -> AsyncIterator[Running]:
    """A server from settings, until the block ends. Raises OSError when a port or the data directory is taken."""
    async with AsyncExitStack() as stack:
        data_dir = settings.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mock-im-")))
        if not settings.is_worker:
            stack.enter_context(_sole_use(data_dir))
        data = catalogue.load()
        made_of = DEFECTS[settings.defect] if settings.defect else HEALTHY
        apps = await _apps(settings, data, data_dir, real_ms, stack)
        await apps.find_all()
        for wanted in settings.apps:
            await _ensure(apps, wanted, settings.start_ms)
        commits = Commits()
        network, round_trips = _network(data, settings, made_of.new_router)
        records = RoutingRecords(network, apps)
        doors = Doors(network, round_trips)
        gateway, webhooks = Gateway(apps, doors), Webhooks(apps, real_ms)
        await apps.catch_up()
        token = settings.control_token or secrets.token_urlsafe(24)
        journal_lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        listeners = Listeners(settings.host, connections := Connections(), shares_ports=settings.is_worker)
        middlewares = [connections.marking, _stopping(journal_lost), _caught_up(apps)]
        new_door = partial(web.Application, client_max_size=BODY_BYTES_MAX, middlewares=middlewares)
        public = new_door()
        public.add_routes(gateway.routes())
        public.add_routes(Rest(apps, _limits(settings), commits, real_ms).routes())
        public.add_routes(openapi.routes())
        public.add_routes(Dispatch(network, apps, urls_name_places=round_trips is not None).routes())
        private = public if settings.control_port is None else new_door()
        door = ControlDoor(apps, token)
        for handlers in (
            control.Control(apps, door, commits),
            RoutingControl(network, records, doors, door),
            WebhookControl(webhooks, door),
            FaultControl(door),
        ):
            private.add_routes(handlers.routes())
        public.add_routes(_health(AppMetrics(apps, gateway, webhooks, connections), AccessMetrics(network, doors)))
        parts: list[asyncio.Future[None]] = [journal_lost]
        runners = [web.AppRunner(public, access_log=None, shutdown_timeout=1)]
        if private is not public:
            runners.append(web.AppRunner(private, access_log=None, shutdown_timeout=1))
        try:
            await webhooks.set_all(settings.webhooks)
            control_port = port = await listeners.open(runners[0], settings.port)
            if settings.control_port is not None:
                control_port = await listeners.open(runners[1], settings.control_port)
            tls_port, authority_file = await _listen_tls(listeners, runners[0], settings, data_dir)
            parts += _begun(gateway, apps, connections, settings)
            yield Running(
                apps=apps,
                url=f"http://{settings.host}:{port}",
                gateway_url=f"ws://{settings.host}:{port}",
                control_url=f"http://{settings.host}:{control_port}{PREFIX}",
                control_token=token,
                tls_url=None if tls_port is None else f"https://{settings.host}:{tls_port}",
                tls_authority=authority_file,
                parts=parts,
            )
        finally:
            listeners.close()
            for runner in runners:
                await runner.cleanup()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await asyncio.gather(webhooks.close(), apps.freed())
            apps.close()


def _begun(
    gateway: Gateway, apps: Apps, connections: Connections, settings: Settings
) -> Iterator[asyncio.Future[None]]:
    """What goes on beside the requests."""
    lasting = {"gateway": gateway.run(), "apps": apps.run(), "connections": connections.sweep()}
    if settings.checkpoints and settings.data_dir is not None:
        lasting["checkpoints"] = apps.keep_checkpoints()
    for name, part in lasting.items():
        yield asyncio.create_task(part, name=name)


async def _apps(
    settings: Settings, data: catalogue.Catalogue, data_dir: Path, real_ms: Callable[[], int], stack: AsyncExitStack
) -> Apps:
    """The apps of this process, with their store. Raises OSError where that does not answer."""
    made_of = DEFECTS[settings.defect] if settings.defect else HEALTHY
    parts: dict[str, Any] = {
        "catalogue": data,
        "rules": made_of.rules,
        "real_ms": real_ms,
        "bars_guessing": settings.rate_limits != 0,
        "syncs_journals": settings.fsync,
    }
    if settings.store is None:
        return Apps(data_dir, new_store=made_of.new_store, **parts)
    redis = await stack.enter_async_context(connected(settings.store))
    return SharedApps(data_dir, redis=redis, server=own_name(), **parts)


async def serve_with_workers(settings: Settings, arguments: Sequence[str]) -> None:
    """Run several processes of this command, until the same end. Raises OSError for what is taken."""
    stop = _stop_of(settings)
    data_dir = settings.data_dir
    assert data_dir is not None, "settings see to it"
    with ExitStack() as stack:
        stack.enter_context(_sole_use(data_dir))
        port = stack.enter_context(shared_port(settings.host, settings.port))
        own = ["--is-worker", "--stop-with-stdin", "--port", str(port)]
        if settings.control_port is not None:
            own += ["--control-port", str(stack.enter_context(shared_port(settings.host, settings.control_port)))]
        os.environ[TOKEN_VARIABLE] = settings.control_token or secrets.token_urlsafe(24)
        command = [sys.executable, "-m", "mock_im_server", *arguments, *own]
        await Supervisor(command, settings.workers).run(_say_ready, stop)


def _stop_of(settings: Settings) -> asyncio.Event:
    """Set by SIGINT, SIGTERM or, if asked for, the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if settings.stop_with_stdin:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    return stop


def _say_ready(ready: dict[str, Any]) -> None:
    print(json.dumps(ready), flush=True)  # noqa: T201 -- the one line that scripts wait for


async def serve(settings: Settings) -> None:
    """Run until SIGINT, SIGTERM or, if asked for, the end of standard input."""
    stop = _stop_of(settings)
    async with running(settings) as server:
        ready = {
            "event": "ready",
            "url": server.url,
            "gateway_url": server.gateway_url,
            "control_url": server.control_url,
            "control_token": server.control_token,
            "tls_url": server.tls_url,
            "tls_authority": None if server.tls_authority is None else str(server.tls_authority),
            "apps": [{"sdkappid": app.settings.sdkappid, "plan": app.settings.plan} for app in server.apps.values()],
            "data_dir": None if settings.data_dir is None else str(settings.data_dir),
            "defect": settings.defect,
        }
        _say_ready(ready)
        stopped = asyncio.create_task(stop.wait())
        ends: list[asyncio.Future[Any]] = [stopped, *server.parts]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for part in server.parts:
            error = part.exception() if part.done() else None
            if isinstance(error, OSError):
                raise error
            if error is not None:
                message = f"the server has failed and stops: {error!r}"
                raise ServerFailedError(message) from error


def _network(
    data: catalogue.Catalogue, settings: Settings, new_router: type[Router]
) -> tuple[Network, RoundTrips | None]:
    measured = measured_round_trips(settings.latency_table) if settings.latency_table else {}
    places = {**data.countries, **data.cities}
    network = Network(data.access_points, places, LatencyTable(data.latency_model, measured), new_router=new_router)
    seed = settings.round_trips
    return network, None if seed is None else RoundTrips(data.latency_model, seed)


async def _ensure(apps: Apps, wanted: AppSettings, start_ms: int | None) -> None:
    """Make an app, or accept the one that the data directory holds under the same plan and key."""
    found = apps.get(wanted.sdkappid)
    if found is None:
        await apps.make(wanted, fixed_ms=start_ms)
    elif (found.settings.plan, found.settings.key) != (wanted.plan, wanted.key):
        message = (
            f"app {wanted.sdkappid} of the data directory has plan {found.settings.plan!r} and maybe another key; "
            "leave --app out, or use another directory"
        )
        raise ValueError(message)


@contextmanager
def _sole_use(data_dir: Path) -> Iterator[None]:
    """Two servers on one journal would damage it. The lock ends with the process, however that ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"no data can be kept in {data_dir}: {error.strerror}; name another --data-dir"
        raise OSError(message) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        message = f"{data_dir} is in use by another server"
        raise OSError(message) from error
    finally:
        os.close(lock)


def _caught_up(apps: Apps) -> Middleware:
    """A request finds what other server processes had acknowledged; one that cannot ask the store is told so.

    The vendor's REST API says so in its own way and sees to it by itself.
    """

    @web.middleware
    async def caught_up(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not request.path.startswith(REST_PREFIX):
                await apps.catch_up()
            return await handler(request)
        except (StoreAwayError, RedisError, RedisClusterException) as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error

    return caught_up


def _stopping(journal_lost: asyncio.Future[None]) -> Middleware:
    """A request that finds the journal lost ends the server, as the gateway's own task does when it finds out."""

    @web.middleware
    async def stopping(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except JournalLostError as error:
            if not journal_lost.done():
                journal_lost.set_exception(error)
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error

    return stopping


def _limits(settings: Settings) -> FrequencyLimits:
    return FrequencyLimits(settings.rate_limits or None, is_on=settings.rate_limits != 0)


async def _listen_tls(
    listeners: Listeners, runner: web.AppRunner, settings: Settings, data_dir: Path
) -> tuple[int | None, Path | None]:
    """The port and the file with what clients must trust, if a listener is wanted and if it makes its own."""
    if settings.tls_port is None:
        return None, None
    if settings.tls_certificate is not None and settings.tls_key is not None:
        try:
            context = tls.from_files(settings.tls_certificate, settings.tls_key)
        except OSError as error:
            message = f"cannot use {settings.tls_certificate} and {settings.tls_key}: {error.strerror or error}"
            raise OSError(message) from error
        return await listeners.open(runner, settings.tls_port, context), None
    authority_file = data_dir / tls.AUTHORITY_FILE
    context = tls.self_signed(settings.host, authority_file)
    return await listeners.open(runner, settings.tls_port, context), authority_file


def _health(metrics: AppMetrics, access: AccessMetrics) -> list[web.RouteDef]:
    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def exposed(_request: web.Request) -> web.Response:
        text = prometheus_client.generate_latest(await metrics.registry()) + prometheus_client.generate_latest(
            access.registry()
        )
        return web.Response(body=text, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    # Journals are read before the port opens, so that a server that answers is ready.
    handlers: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
        "/healthz": alive,
        "/readyz": alive,
        "/metrics": exposed,
    }
    return [web.get(path, handler) for path, handler in handlers.items()]

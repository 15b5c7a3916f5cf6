"""The only place that wires: settings become a running server."""

import asyncio
import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import prometheus_client
from aiohttp import web

from mock_im_server import catalogue
from mock_im_server.apps import Apps
from mock_im_server.defects import DEFECTS
from mock_im_server.domain.apps import AppSettings, Rules
from mock_im_server.settings import Settings
from mock_im_server.stores.memory import MemoryStore
from mock_im_server.transport import control
from mock_im_server.transport.dispatch import Dispatch
from mock_im_server.transport.frequency import FrequencyLimits
from mock_im_server.transport.gateway import Gateway
from mock_im_server.transport.metrics import AppMetrics
from mock_im_server.transport.rest import BODY_BYTES_MAX, Rest

SETTLE_INTERVAL_S: Final = 1.0
"""How often a clock that runs by itself is asked whether a month has ended."""
BACKLOG: Final = 4_096


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers, and what a client must know of it."""

    apps: Apps
    url: str
    gateway_url: str
    control_url: str
    control_token: str
    tasks: Sequence[asyncio.Task[None]]
    """They run as long as the server; one that ends has failed, and the server must not answer any more."""


def real_ms() -> int:
    """The only reading of the time in this package."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A server from settings, until the block ends. Raises OSError when a port is taken."""
    with ExitStack() as stack:
        data_dir = settings.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mock-im-")))
        data = catalogue.load()
        rules = DEFECTS[settings.defect].rules if settings.defect else Rules()
        apps = Apps(data_dir, catalogue=data, rules=rules, new_store=MemoryStore, real_ms=real_ms)
        await apps.find_all()
        for wanted in settings.apps:
            await _ensure(apps, wanted, settings.start_ms)
        limits = FrequencyLimits(settings.rate_limits or None, is_on=settings.rate_limits != 0)
        gateway = Gateway(apps, data.access_points)
        token = settings.control_token or secrets.token_urlsafe(24)
        public = web.Application(client_max_size=BODY_BYTES_MAX)
        public.add_routes(gateway.routes())
        public.add_routes(Rest(apps, limits, real_ms).routes())
        public.add_routes(Dispatch(data.access_points, data.countries).routes())
        private = public
        if settings.control_port is not None:
            private = web.Application(client_max_size=BODY_BYTES_MAX)
        private.add_routes(control.Control(apps, token).routes())
        public.add_routes(_health(AppMetrics(apps, gateway)))
        tasks: list[asyncio.Task[None]] = []
        runners = [web.AppRunner(public, access_log=None, shutdown_timeout=1)]
        if private is not public:
            runners.append(web.AppRunner(private, access_log=None, shutdown_timeout=1))
        try:
            port = await _listen(runners[0], settings.host, settings.port)
            control_port = port
            if settings.control_port is not None:
                control_port = await _listen(runners[1], settings.host, settings.control_port)
            tasks = [
                asyncio.create_task(gateway.run(), name="gateway"),
                asyncio.create_task(_settle(apps), name="settle"),
            ]
            yield Running(
                apps=apps,
                url=f"http://{settings.host}:{port}",
                gateway_url=f"ws://{settings.host}:{port}",
                control_url=f"http://{settings.host}:{control_port}{control.PREFIX}",
                control_token=token,
                tasks=tasks,
            )
        finally:
            for runner in runners:
                await runner.cleanup()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            apps.close()


async def serve(settings: Settings) -> None:
    """Run until SIGINT, SIGTERM or, if asked for, the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if settings.stop_with_stdin:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    async with running(settings) as server:
        ready = {
            "event": "ready",
            "url": server.url,
            "gateway_url": server.gateway_url,
            "control_url": server.control_url,
            "control_token": server.control_token,
            "apps": [{"sdkappid": app.settings.sdkappid, "plan": app.settings.plan} for app in server.apps.values()],
            "data_dir": None if settings.data_dir is None else str(settings.data_dir),
            "defect": settings.defect,
        }
        print(json.dumps(ready), flush=True)  # noqa: T201 -- the one line that scripts wait for
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *server.tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


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


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=BACKLOG)
    await site.start()
    bound: int = runner.addresses[0][1]
    return bound


async def _settle(apps: Apps) -> None:
    while True:
        await asyncio.sleep(SETTLE_INTERVAL_S)
        for app in list(apps.values()):
            await app.settle()


def _health(metrics: AppMetrics) -> list[web.RouteDef]:
    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def exposed(_request: web.Request) -> web.Response:
        text = prometheus_client.generate_latest(await metrics.registry())
        return web.Response(body=text, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    # Journals are read before the port opens, so that a server that answers is ready.
    handlers: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
        "/healthz": alive,
        "/readyz": alive,
        "/metrics": exposed,
    }
    return [web.get(path, handler) for path, handler in handlers.items()]

"""A real server on a free port, its clock set, and clients that speak to it."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from mock_im_server.app import Running, running
from mock_im_server.domain.apps import AppSettings
from mock_im_server.settings import Settings
from mock_im_server.wire import usersig

APP = 1_400_000_001
KEY = "key-of-a-test"
OCTOBER_MS = 1_790_784_000_000
MAC = usersig.mac_of(KEY)


def signed(user: str, *, app: int = APP, expire_s: int = 3_600) -> str:
    return usersig.sign(MAC, app, user, int(time.time()) - 60, expire_s)


class Client:
    """HTTP to REST, control and everything else."""

    def __init__(self, server: Running, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def rest(self, command: str, body: Any = None, *, user: str = "administrator", **more: Any) -> Any:
        query = {"sdkappid": str(APP), "identifier": user, "usersig": signed(user), **more.pop("query", {})}
        url = f"{self.server.url}/v4/{command}"
        data = msgspec.json.encode(body) if body is not None else more.pop("raw", b"")
        async with self.session.request(more.pop("method", "POST"), url, params=query, data=data, **more) as answer:
            assert answer.status == 200
            return msgspec.json.decode(await answer.read())

    async def control(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or self.server.control_token}"}
        url = f"{self.server.control_url}{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            data = await answer.read()
            return answer.status, msgspec.json.decode(data) if answer.content_type == "application/json" else data

    async def status(self) -> Any:
        return (await self.control("GET", f"/apps/{APP}"))[1]

    async def move_clock(self, now_ms: int) -> int:
        return (await self.control("PUT", f"/apps/{APP}/clock", {"now_ms": now_ms}))[0]

    async def connect(self, path: str = "", instance_id: str = "0" * 32) -> "Socket":
        url = f"{self.server.gateway_url}{path}/binfo?sdkappid={APP}&instanceid={instance_id}"
        return Socket(await self.session.ws_connect(url))


class Socket:
    """A WebSocket that speaks the vendor's frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.raw = socket
        self.seq = 0

    async def ask(self, servcmd: str, body: Any = None, **head: Any) -> Any:
        await self.tell(servcmd, body, **head)
        return await self.answer()

    async def tell(self, servcmd: str, body: Any = None, **head: Any) -> None:
        self.seq += 1
        full = {"ver": "v4", "platform": 7, "sdkappid": APP, "status_instid": 0, "seq": self.seq, **head}
        await self.raw.send_bytes(msgspec.json.encode({"head": {**full, "servcmd": servcmd}, "body": body or {}}))

    async def answer(self) -> Any:
        message = await self.raw.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return msgspec.json.decode(message.data)

    async def login(self, user: str, *, instance: int = 0, usersig: str | None = None) -> Any:
        signature = signed(user) if usersig is None else usersig
        return await self.ask("im_open_status.wslogin", identifier=user, usersig=signature, status_instid=instance)


type_serve = Callable[..., Awaitable[Client]]


@asynccontextmanager
async def serving(data_dir: Path | None = None, *, plan: str = "pro", **more: Any) -> AsyncIterator[Client]:
    settings = Settings(
        **{
            "host": "127.0.0.1",
            "port": 0,
            "control_port": None,
            "apps": (AppSettings(APP, plan, KEY),),
            "start_ms": OCTOBER_MS,
            "data_dir": data_dir,
            "rate_limits": None,
            "defect": None,
            "control_token": None,
            "stop_with_stdin": False,
            **more,
        }
    )
    async with running(settings) as server, aiohttp.ClientSession() as session:
        yield Client(server, session)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with serving() as made:
        yield made


@pytest.fixture
async def trial() -> AsyncIterator[Client]:
    async with serving(plan="trial", rate_limits=0) as made:
        yield made

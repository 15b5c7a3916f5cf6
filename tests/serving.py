"""A real server on a free port, and a client for each of its doors."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from mock_im_server import journal as log
from mock_im_server.app import Running, running
from mock_im_server.domain.apps import AppSettings
from mock_im_server.domain.calendar import BillingCalendar, day_of
from mock_im_server.journal import Row
from mock_im_server.service import App
from mock_im_server.settings import Settings
from mock_im_server.wire import usersig

SDKAPPID = 1_400_000_001
KEY = "key-of-an-app-in-tests"
TOKEN = "token-of-tests"
REAL_MS = 1_795_400_000_000
"""What a clock shows in tests that stop it: 2026-11-23."""
REAL_S = REAL_MS // 1_000
ANSWER_TIMEOUT_S = 10.0

type_json = dict[str, Any]


def at_ms(text: str, time: str = "00:00:00") -> int:
    """An instant of the UTC+8 day `text`."""
    hours, minutes, seconds = map(int, time.split(":"))
    return BillingCalendar().start_ms(day_of(text)) + ((hours * 60 + minutes) * 60 + seconds) * 1_000


def a_usersig(
    user_id: str, *, sdkappid: int = SDKAPPID, key: str = KEY, issued_s: int = REAL_S, expire_s: int = 3_600
) -> str:
    return usersig.sign(usersig.mac_of(key), sdkappid, user_id, issued_s, expire_s)


def some_settings(  # noqa: PLR0913 -- each test names the one that it is about
    *,
    plan: str = "pro",
    start: str | None = "2026-10-01",
    data_dir: Path | None = None,
    rate_limits: int | None = 0,
    defect: str | None = None,
    control_port: int | None = None,
    port: int = 0,
) -> Settings:
    return Settings(
        host="127.0.0.1",
        port=port,
        control_port=control_port,
        apps=(AppSettings(SDKAPPID, plan, KEY),),
        start_ms=None if start is None else at_ms(start),
        data_dir=data_dir,
        rate_limits=rate_limits,
        defect=defect,
        control_token=TOKEN,
        stop_with_stdin=False,
    )


class Wire:
    """One WebSocket, spoken to as the SDK does."""

    def __init__(self, socket: ClientWebSocketResponse, instance_id: str) -> None:
        self.socket = socket
        self.instance_id = instance_id
        self.seq = 89_897_876
        self._answers: dict[int, type_json] = {}

    async def send(self, servcmd: str, body: type_json | None = None, **head: object) -> int:
        self.seq += 1
        full = {"ver": "v4", "platform": 7, "sdkappid": SDKAPPID, "seq": self.seq, "servcmd": servcmd, **head}
        await self.socket.send_bytes(json.dumps({"head": full, "body": body or {}}).encode())
        return int(str(full["seq"]))

    async def answer(self, seq: int) -> type_json:
        while seq not in self._answers:
            answer = json.loads(await self.socket.receive_bytes(timeout=ANSWER_TIMEOUT_S))
            self._answers[answer["head"]["seq"]] = answer
        return self._answers.pop(seq)

    async def ask(self, servcmd: str, body: type_json | None = None, **head: object) -> type_json:
        """The answer's body."""
        answer = await self.answer(await self.send(servcmd, body, **head))
        assert answer["head"]["servcmd"] == servcmd
        return dict(answer["body"])

    async def ask_raw(self, data: bytes) -> type_json:
        await self.socket.send_bytes(data)
        return dict(json.loads(await self.socket.receive_bytes(timeout=ANSWER_TIMEOUT_S)))

    async def login(self, user_id: str, **head: object) -> type_json:
        head = {"identifier": user_id, "usersig": a_usersig(user_id), "status_instid": 0, **head}
        return await self.ask("im_open_status.wslogin", {"State": "Online"}, **head)

    async def closes(self) -> bool:
        message = await self.socket.receive(timeout=ANSWER_TIMEOUT_S)
        return message.type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR}


def identity(login: type_json) -> type_json:
    """The head fields that speak for a user after login."""
    return {"a2": login["A2Key"], "tinyid": login["TinyId"], "status_instid": login["InstId"]}


class Server:
    """A running server and an HTTP session to it."""

    def __init__(self, server: Running, http: ClientSession) -> None:
        self.running = server
        self.http = http

    @property
    def app(self) -> App:
        return self.running.apps[SDKAPPID]

    def rows(self) -> list[Row]:
        """The journal so far."""
        self.app.journal.write()
        batches = log.read(self.app.journal.files()[0].parent).batches
        return [Row(**row) for batch in batches for row in batch.to_pylist()]

    @asynccontextmanager
    async def connected(self, access_point: str = "", instance_id: str | None = None) -> AsyncIterator[Wire]:
        instance_id = uuid4().hex if instance_id is None else instance_id
        path = f"/ap/{access_point}/binfo" if access_point else "/binfo"
        url = f"{self.running.gateway_url}{path}?sdkappid={SDKAPPID}&instanceid={instance_id}&platform=7"
        async with self.http.ws_connect(url) as socket:
            yield Wire(socket, instance_id)

    async def rest(
        self,
        command: str,
        body: object = None,
        *,
        method: str = "POST",
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> type_json:
        """The envelope. Every refusal of the vendor's comes with HTTP 200."""
        query = {
            "sdkappid": str(SDKAPPID),
            "identifier": "administrator",
            "usersig": a_usersig("administrator"),
            "random": "1",
            "contenttype": "json",
            **query,
        }
        data = json.dumps(body).encode() if data is None else data
        given = {name: value for name, value in query.items() if value != "absent"}
        url = f"{self.running.url}/v4/{command}"
        async with self.http.request(method, url, params=given, data=data, headers=headers) as response:
            assert response.status == 200
            return dict(await response.json())

    async def import_account(self, user_id: str) -> int:
        answer = await self.rest("im_open_login_svc/account_import", {"UserID": user_id})
        return int(answer["ErrorCode"])

    async def control(self, method: str, path: str, body: object = None, *, token: str = TOKEN) -> tuple[int, Any]:
        """Status, and JSON or text."""
        url = f"{self.running.control_url}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body)
        async with self.http.request(method, url, data=data, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def page(self, path: str, *, status: int = 200) -> str:
        """What anybody may fetch."""
        async with self.http.get(self.running.url + path) as response:
            assert response.status == status
            return await response.text()

    async def status(self) -> type_json:
        return dict((await self.control("GET", f"/apps/{SDKAPPID}"))[1])

    async def move_clock(self, now_ms: int) -> None:
        status, said = await self.control("PUT", f"/apps/{SDKAPPID}/clock", {"now_ms": now_ms})
        assert status == 200, said

    async def statement(self, month: str) -> type_json:
        status, said = await self.control("GET", f"/apps/{SDKAPPID}/statements/{month}")
        assert status == 200, said
        return dict(said)


@asynccontextmanager
async def a_server(
    settings: Settings | None = None, *, real_ms: Callable[[], int] = lambda: REAL_MS
) -> AsyncIterator[Server]:
    """Real time stands still unless told otherwise."""
    async with running(settings or some_settings(), real_ms=real_ms) as server, ClientSession() as http:
        yield Server(server, http)


def is_one_line(text: str) -> bool:
    return bool(re.fullmatch(r"[^\n]+\n", text))

"""Whether a server keeps something of all that passes: minutes of everything, by users who are always the same.

What may grow is said in `docs/scale.md`; beside it, memory of the second half of the time is as it was at the half.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, TCPConnector
from redis import Redis

from mock_im_server.settings import DEMO_APP
from mock_im_server.wire import usersig
from proofs.redis_server import redis_server

SEED: Final = 7
PLAY_S: Final = 300.0
PLAY_SHARED_S: Final = 600.0
"""Two processes and Redis do less in a second, and take longer to have seen everything."""
SAMPLE_S: Final = 1.0
PLAYERS: Final = 6
USERS: Final = 1_000
GUESTS: Final = 60
"""Users of the second app: a trial, in which accounts may be deleted."""
GROUPS: Final = 40
GROWTH_MAX: Final = 0.03
"""Of the memory at the half, until the end: less than malloc takes and gives back by the way."""
GROWTH_BYTES_MAX: Final = 1 << 20
"""For who has little."""
DESCRIPTORS_MORE: Final = 8
QUIET_S: Final = 3.0
TRIAL: Final = 1_400_000_002
TRIAL_KEY: Final = "key-of-a-trial"
DAY_MS: Final = 86_400_000
_BROKEN: Final = (ClientError, OSError, asyncio.IncompleteReadError, TypeError)

type_say = Callable[[str], None]
type_measure = Callable[[], tuple[int, int]]
"""Bytes and descriptors."""


@dataclass(slots=True)
class Kept:
    """What a process had at the half and at the end."""

    who: str
    half_bytes: float
    end_bytes: float
    more_descriptors: int

    @property
    def growth(self) -> float:
        return self.end_bytes / self.half_bytes - 1

    @property
    def is_flat(self) -> bool:
        more = self.end_bytes - self.half_bytes
        return more <= max(GROWTH_MAX * self.half_bytes, GROWTH_BYTES_MAX) and self.more_descriptors <= DESCRIPTORS_MORE


@dataclass(slots=True)
class Soaked:
    """How a play went."""

    processes: list[Kept]
    done: Counter[str]
    broken: Counter[str]
    """Deeds that ended with their connection, by what they were."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it was done, and not only tried: who is refused everywhere leaves memory flat too."""
        return all(self.done[deed] > self.broken[deed] for deed in self.done | self.broken)


@dataclass(slots=True)
class _Player:
    """Does one thing after the other, as chance has it."""

    http: ClientSession
    ready: dict[str, Any]
    chance: Random
    done: Counter[str]
    broken: Counter[str]
    can_save: bool
    macs: dict[int, usersig.Mac] = field(
        default_factory=lambda: {
            DEMO_APP.sdkappid: usersig.mac_of(DEMO_APP.key),
            TRIAL: usersig.mac_of(TRIAL_KEY),
        }
    )

    async def play(self) -> None:
        deeds = [
            self._sessions, self._sessions, self._sessions, self._lag, self._intrude, self._guess, self._group,
            self._group, self._write, self._account, self._find, self._look, self._spoil, self._save, self._move_clock,
        ]  # fmt: skip
        while True:
            deed = self.chance.choice(deeds)
            try:
                await deed()
            except _BROKEN:
                self.broken[deed.__name__] += 1
            else:
                self.done[deed.__name__] += 1

    def _one_in(self, times: int) -> bool:
        return not self.chance.randrange(times)

    def _user(self) -> str:
        return f"user_{self.chance.randrange(USERS)}"

    def _signed(self, user_id: str, sdkappid: int = DEMO_APP.sdkappid) -> str:
        return usersig.sign(self.macs[sdkappid], sdkappid, user_id, int(time.time()), 86_400)

    async def _connected(self) -> ClientWebSocketResponse:
        query = f"sdkappid={DEMO_APP.sdkappid}&instanceid={self.chance.randrange(1 << 60)}"
        return await self.http.ws_connect(f"{self.ready['gateway_url']}/binfo?{query}")

    async def _ask(self, socket: ClientWebSocketResponse, servcmd: str, **head: object) -> dict[str, Any]:
        seq = self.chance.randrange(1, 1 << 30)
        about = {"ver": "v4", "platform": 7, "sdkappid": DEMO_APP.sdkappid, "servcmd": servcmd, "seq": seq}
        await socket.send_bytes(json.dumps({"head": about | head, "body": {}}).encode())
        while True:
            answer: dict[str, Any] = json.loads(await socket.receive_bytes(timeout=10))
            if answer["head"].get("seq") == seq:
                return answer

    async def _login(self, socket: ClientWebSocketResponse, user_id: str, instance: int) -> dict[str, Any]:
        login = {"identifier": user_id, "usersig": self._signed(user_id), "status_instid": instance}
        body = (await self._ask(socket, "im_open_status.wslogin", **login))["body"]
        return {"a2": body.get("A2Key", ""), "tinyid": body.get("TinyId", ""), "status_instid": body.get("InstId", 0)}

    async def _sessions(self) -> None:
        """Log in, come again by ticket, log out or just go."""
        socket = await self._connected()
        for instance in range(self.chance.randrange(1, 6)):
            ticket = await self._login(socket, self._user(), instance + 1)
            if self._one_in(3):
                await self._ask(socket, "im_open_status.wslogin", **ticket)
            if self._one_in(2):
                await self._ask(socket, "im_open_status.wslogout", **ticket)
        if self._one_in(2):
            await socket.close()
        else:
            transport = socket._conn.transport if socket._conn else None  # noqa: SLF001 -- no other way to reset it
            if transport is not None:
                transport.abort()

    async def _lag(self) -> None:
        """Be sent more than one reads."""
        socket = await self._connected()
        user = self._user()
        await self._login(socket, user, 1)
        text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 4_000}}]
        for number in range(30):
            await self._rest("openim/sendmsg", {"To_Account": user, "MsgRandom": number, "MsgBody": text})
        await socket.close()

    async def _intrude(self) -> None:
        """Speak nonsense, or not to the end."""
        where = urlsplit(self.ready["gateway_url"])
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        upgrade = (
            b"GET /binfo?sdkappid=1400000001 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        deep = b"[" * 100_000
        kinds = [
            b"GET /binfo HTTP/1.1\r\nHo",
            upgrade,
            upgrade + self.chance.randbytes(200),
            upgrade + b"\x82\xff" + (1 << 40).to_bytes(8, "big"),
            upgrade + b"\x82\xff" + len(deep).to_bytes(8, "big") + bytes(4) + deep,
            b"POST /v4/openim/sendmsg HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n{",
            self.chance.randbytes(300),
        ]
        writer.write(self.chance.choice(kinds))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(100)
        if self._one_in(2):
            writer.transport.abort()
        writer.close()

    async def _guess(self) -> None:
        """Log in with UserSigs that are wrong, for users whom nobody has met."""
        socket = await self._connected()
        for _ in range(20):
            ghost = f"ghost_{self.chance.randrange(1 << 40)}" if not self._one_in(10) else "ghost"
            wrong = {"identifier": ghost, "usersig": self._signed("somebody"), "status_instid": 1}
            await self._ask(socket, "im_open_status.wslogin", **wrong)
        await socket.close()

    async def _rest(self, command: str, body: object, sdkappid: int = DEMO_APP.sdkappid) -> int:
        query = {
            "sdkappid": str(sdkappid),
            "identifier": "administrator",
            "usersig": self._signed("administrator", sdkappid),
            "random": str(self.chance.randrange(1 << 31)),
            "contenttype": "json",
        }
        async with self.http.post(f"{self.ready['url']}/v4/{command}", params=query, json=body) as response:
            return int((await response.json())["ErrorCode"])

    async def _group(self) -> None:
        group = {"GroupId": f"group_{self.chance.randrange(GROUPS)}"}
        member = self._user()
        about = {"Type": "Public", "Name": "g", "Owner_Account": self._user()}
        await self._rest("group_open_http_svc/create_group", group | about)
        members = {"MemberList": [{"Member_Account": member}]}
        await self._rest("group_open_http_svc/add_group_member", group | members)
        await self._rest("group_open_http_svc/send_group_msg", group | {"Random": 1, "MsgBody": _text("hello")})
        leaving = {"MemberToDel_Account": [member]}
        await self._rest("group_open_http_svc/delete_group_member", group | leaving)
        if self._one_in(2):
            await self._rest("group_open_http_svc/destroy_group", group)

    async def _write(self) -> None:
        about = {"From_Account": self._user(), "To_Account": self._user(), "MsgRandom": self.chance.randrange(1 << 31)}
        await self._rest("openim/sendmsg", about | {"MsgBody": _text("hello")})
        profile = [{"Tag": "Tag_Profile_IM_Nick", "Value": str(self.chance.random())}]
        await self._rest("profile/portrait_set", {"From_Account": self._user(), "ProfileItem": profile})

    async def _account(self) -> None:
        guest = f"guest_{self.chance.randrange(GUESTS)}"
        await self._rest("im_open_login_svc/account_import", {"UserID": guest}, TRIAL)
        await self._rest("im_open_login_svc/account_delete", {"DeleteItem": [{"UserID": guest}]}, TRIAL)
        await self._rest("im_open_login_svc/kick", {"UserID": self._user()})

    async def _find(self) -> None:
        for _ in range(10):
            place = f"latitude={self.chance.uniform(-90, 90)}&longitude={self.chance.uniform(-180, 180)}"
            await self._fetch(f"{self.ready['url']}/dispatch?{place}&user_id={self._user()}")

    async def _look(self) -> None:
        await self._fetch(f"{self.ready['url']}/metrics")
        for path in ("/apps", f"/apps/{DEMO_APP.sdkappid}", f"/apps/{DEMO_APP.sdkappid}/journal", "/access_points"):
            await self._control("GET", path)

    async def _spoil(self) -> None:
        """Rules that make calls fail, and no rules again."""
        rule = {"api": "openim/sendmsg", "code": 60008, "share": 0.1}
        for rules in ([rule], []):
            await self._control("PUT", f"/apps/{DEMO_APP.sdkappid}/faults", {"rules": rules})

    async def _save(self) -> None:
        """Keep the trial's state and take it back, or begin it anew."""
        if self.can_save and self._one_in(2):
            await self._control("PUT", f"/apps/{TRIAL}/snapshots/one")
            await self._control("POST", f"/apps/{TRIAL}/snapshots/one/restore")
        elif self._one_in(5):
            await self._control("POST", f"/apps/{TRIAL}/reset", {"start": "2026-10-01"})

    async def _move_clock(self) -> None:
        if self._one_in(10):
            for sdkappid in (DEMO_APP.sdkappid, TRIAL):
                await self._control("PUT", f"/apps/{sdkappid}/clock", {"advance_ms": DAY_MS})

    async def _control(self, method: str, path: str, body: object = None) -> None:
        await self._fetch(self.ready["control_url"] + path, method, body)

    async def _fetch(self, url: str, method: str = "GET", body: object = None) -> None:
        # A token too many is nobody's secret here.
        headers = {"Authorization": f"Bearer {self.ready['control_token']}"}
        async with self.http.request(method, url, json=body, headers=headers) as response:
            said = await response.text()
            # What is asked of an app that another process resets meanwhile is refused.
            assert response.status < HTTPStatus.INTERNAL_SERVER_ERROR or said.endswith("was reset meanwhile\n"), said


def of_server(say: type_say, play_s: float = PLAY_S) -> Soaked:
    """The embedded server."""
    with _server() as ready:
        return asyncio.run(_played(ready, {"server": _of_process(ready["pid"])}, play_s, say, can_save=True))


def of_workers(say: type_say, play_s: float = PLAY_SHARED_S) -> Soaked:
    """Two server processes on one Redis."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
        redis = stack.enter_context(redis_server(Path(folder)))
        ready = stack.enter_context(_server("--store", redis.url, "--workers", "2"))
        watched = {f"server {number}": _of_process(pid) for number, pid in enumerate(ready["pids"], 1)}
        client = stack.enter_context(closing(Redis.from_url(redis.url)))
        watched["Redis, news excepted"] = partial(_of_redis, client)
        watched["news in Redis"] = lambda: (_of_streams(client, "*news"), 0)
        return asyncio.run(_played(ready, watched, play_s, say, can_save=False))


def _of_process(pid: int) -> type_measure:
    process = psutil.Process(pid)
    return lambda: (process.memory_full_info().uss, process.num_fds())


def _of_redis(client: Redis) -> tuple[int, int]:
    """Without news and whispers: of those it has the last moments', which now are more and now are less."""
    told = _of_streams(client, "*news") + _of_streams(client, "*whispers")
    return client.info("memory")["used_memory"] - told, 0


def _of_streams(client: Redis, names: str) -> int:
    return sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter(names))


async def _played(
    ready: dict[str, Any], watched: dict[str, type_measure], play_s: float, say: type_say, *, can_save: bool
) -> Soaked:
    done: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    chance = Random(SEED)  # noqa: S311 -- chance that can be repeated, not secrets
    samples: dict[str, list[tuple[int, int]]] = {who: [] for who in watched}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=0)))
        players = [
            _Player(http, ready, Random(chance.random()), done, broken, can_save=can_save)  # noqa: S311 -- as above
            for _ in range(PLAYERS)
        ]
        made = {"sdkappid": TRIAL, "plan": "trial", "key": TRIAL_KEY, "start": "2026-10-01"}
        await players[0]._control("POST", "/apps", made)  # noqa: SLF001 -- of this module
        for first in range(0, USERS, 100):
            names = [f"user_{number}" for number in range(first, first + 100)]
            await players[0]._rest("im_open_login_svc/multiaccount_import", {"Accounts": names})  # noqa: SLF001 -- as above
        tasks = [asyncio.create_task(player.play()) for player in players]
        end_s = time.monotonic() + play_s
        while (left_s := end_s - time.monotonic()) > 0:
            await asyncio.wait(tasks, timeout=SAMPLE_S, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
            for who, measure in watched.items():
                samples[who].append(measure())
            now = ", ".join(f"{who} {taken[-1][0] / 2**20:.1f} MiB" for who, taken in samples.items())
            say(f"{left_s:.0f} s left, {now}")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    await asyncio.sleep(QUIET_S)
    return Soaked([kept_by(who, taken, watched[who]()[1]) for who, taken in samples.items()], done, broken)


def kept_by(who: str, samples: Sequence[tuple[int, int]], descriptors_left: int) -> Kept:
    """By medians of the third and of the last quarter: what was only passing through does not count."""
    quarter = len(samples) // 4
    third, last = samples[2 * quarter : 3 * quarter], samples[3 * quarter :]
    half, end = (median(size for size, _ in part) for part in (third, last))
    return Kept(who, half, end, descriptors_left - int(median(descriptors for _, descriptors in third)))


def _text(text: str) -> list[dict[str, Any]]:
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]


@contextmanager
def _server(*options: str) -> Iterator[dict[str, Any]]:
    # High enough never to refuse, but there: so that failed signatures are counted.
    limits = ("--rate-limits", "1000000", "--webhook", f"{DEMO_APP.sdkappid}:http://127.0.0.1:9/away")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        # It stops when this pipe closes, also when the proof is ended in its midst.
        command = [
            "-m",
            "mock_im_server",
            "--stop-with-stdin",
            "--port",
            "0",
            "--start",
            "2026-10-01",
            "--data-dir",
            folder,
        ]
        with subprocess.Popen(
            [sys.executable, *command, *limits, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None, "stdout is a pipe"
            try:
                yield json.loads(process.stdout.readline()) | {"pid": process.pid}
            finally:
                process.terminate()

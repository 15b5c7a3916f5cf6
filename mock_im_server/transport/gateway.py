"""The WebSocket gateway, at `/binfo` and, for each access point, at `/ap/<code>/binfo`.

Frames of all connections that arrive within one tick of the loop are answered together: one pass through the store and
one write of the journal serve them all, which is what makes a login cheap under load.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from aiohttp import WSMsgType, web
from pyroaring import BitMap

from mock_im_server.apps import Apps
from mock_im_server.domain.faults import Fault
from mock_im_server.service import App, LoginRequest, Origin
from mock_im_server.service.faults import TEXT as REFUSED_BY_FAULT
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.transport import user_commands
from mock_im_server.transport.doors import Doors
from mock_im_server.transport.sdk_answers import body_of, needs_identity
from mock_im_server.transport.user_commands import Asked
from mock_im_server.wire import codes, frames

FRAME_BYTES_MAX: Final = 64 * 1024
UNREAD_BYTES_MAX: Final = 8 * 1024 * 1024
"""A peer with more than this unread is cut off, so that it cannot fill the memory."""
STORE_RETRY_S: Final = 0.5
WRITE_INTERVAL_S: Final = 0.001
DISCONNECT_DELAY_S: Final = 0.05
"""Nobody waits for the row of a closed connection: many share one write."""

_INSTANCE_ID: Final = re.compile(r"[0-9A-Za-z_-]{0,64}", re.ASCII)
"""The SDK's is 32 hex digits. It stands in the journal before a space, so that it must not hold one."""
_IN_ORDER: Final = frozenset({frames.LOGIN, frames.LOGOUT, *user_commands.USER_COMMANDS})
"""What changes or asks for what others change is carried out in the order in which it came."""

type_answers = list[tuple["GatewayConnection", bytes]]
type_late = list[tuple[float, "GatewayConnection", bytes]]
"""Answers that a fault rule holds back for so many seconds."""


class GatewayConnection:
    """One WebSocket."""

    __slots__ = ("_transport", "access_point", "app", "client_ip", "instance_id", "number", "users")

    def __init__(self, transport: asyncio.Transport, instance_id: str, access_point: str, client_ip: str) -> None:
        self._transport = transport
        self.client_ip = client_ip
        self.instance_id = instance_id
        self.access_point = access_point
        self.app: App | None = None
        """Set by the first frame; one connection serves one SDKAppID."""
        self.number = 0
        self.users = BitMap()

    def push(self, *messages: bytes) -> None:
        """Written at once and never awaited: one slow reader must not hold up the others."""
        transport = self._transport
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            transport.abort()
        elif not transport.is_closing():
            transport.write(b"".join(map(frames.websocket_message, messages)))

    def cut(self) -> None:
        """As a lost access point does: without a goodbye."""
        self._transport.abort()


class Gateway:
    """Collects frames, answers them tick by tick."""

    def __init__(self, apps: Apps, doors: Doors) -> None:
        self._apps = apps
        self._doors = doors
        self._inbox: list[tuple[GatewayConnection, bytes]] = []
        self._left: list[GatewayConnection] = []
        self._wake = asyncio.Event()
        self.open_connections = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/binfo", self._serve),
            web.get("/ap/{access_point}/binfo", self._serve),
            web.get("/ap/{access_point}/from/{place}/binfo", self._serve),
        ]

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        visit = self._doors.admit(request)
        instance_id = request.query.get("instanceid", "")
        if not _INSTANCE_ID.fullmatch(instance_id):
            raise web.HTTPBadRequest(text="instanceid must be at most 64 letters, digits, '_' or '-'\n")
        socket = web.WebSocketResponse(compress=False, max_msg_size=FRAME_BYTES_MAX)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        line = self._doors.line(transport, visit, instance_id)
        connection = GatewayConnection(line, instance_id, visit.access_point, request.remote or "")
        self.open_connections += 1
        self._doors.enter(connection)
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self._inbox.append((connection, message.data))
                elif message.type is WSMsgType.TEXT:
                    self._inbox.append((connection, message.data.encode()))
                self._wake.set()
        finally:
            self.open_connections -= 1
            self._doors.leave(connection)
            self._leave(connection)
        return socket

    def _leave(self, connection: GatewayConnection) -> None:
        if not self._left:
            asyncio.get_running_loop().call_later(DISCONNECT_DELAY_S, self._wake.set)
        self._left.append(connection)

    async def run(self) -> None:
        """Answer until cancelled. An OSError of the journal goes through: without it nothing may be acknowledged."""
        loop = asyncio.get_running_loop()
        written_s = loop.time()
        while True:
            await self._wake.wait()
            # A write costs the same for one row as for fifty: under load, rows of a millisecond share it. A frame that
            # comes after a pause is answered at once.
            if (early_s := written_s + WRITE_INTERVAL_S - loop.time()) > 0:
                await asyncio.sleep(early_s)
            self._wake.clear()
            written_s = loop.time()
            inbox, self._inbox = self._inbox, []
            left, self._left = self._left, []
            touched: set[App] = set()
            late: type_late = []
            try:
                await self._apps.catch_up()
                answers = await self._answers(inbox, touched, late)
                await _end(left, touched)
            except StoreAwayError:
                # What was done of this tick has its rows; who asked is told that nobody knows.
                answers = [(connection, _refused_unread(data)) for connection, data in inbox]
                asyncio.get_running_loop().call_later(STORE_RETRY_S, self._end_later, left)
            for app in touched:
                await app.journal.written()
            # After this point everything answered is in the operating system's hands.
            _send(answers)
            for delay_s, connection, answer in late:
                loop.call_later(delay_s, connection.push, answer)

    def _end_later(self, left: Sequence[GatewayConnection]) -> None:
        self._left += left
        self._wake.set()

    async def _answers(
        self, inbox: Sequence[tuple[GatewayConnection, bytes]], touched: set[App], late: type_late
    ) -> type_answers:
        answers: type_answers = []
        crowd = _Crowd(answers)
        for connection, data in inbox:
            try:
                frame = frames.decode(data)
            except frames.MALFORMED:
                answers.append((connection, _refused(frames.echoed(data), codes.JSON_PARSE)))
                continue
            head = frame.head
            app = connection.app
            if app is None or app.is_retired:
                app = self._bound(connection, head)
            if app is None or head.sdkappid != app.settings.sdkappid:
                code = codes.BAD_SDKAPPID if app else codes.SDKAPPID_UNKNOWN
                answers.append((connection, _refused(head, code)))
            elif app.faults.rules and (fault := app.faults.meet(head.servcmd.replace(".", "/"))) is not None:
                await crowd.disperse()
                late.append((fault.latency_ms / 1_000, connection, await _faulted(app, connection, frame, fault)))
                touched.add(app)
            elif head.servcmd == frames.LOGIN and not head.a2:
                await crowd.login(app, LoginRequest(connection, head))
                touched.add(app)
            elif head.servcmd == user_commands.CREATE_GROUP:
                await crowd.create(app, Asked(connection, frame))
                touched.add(app)
            elif head.servcmd in _IN_ORDER:
                await crowd.carry_out(app, connection, frame)
                touched.add(app)
            else:
                answers.append((connection, _answered(app, head)))
        await crowd.disperse()
        return answers

    def _bound(self, connection: GatewayConnection, head: frames.Head) -> App | None:
        connection.app = self._apps.get(head.sdkappid)
        connection.number = 0
        connection.users.clear()
        return connection.app


class _Crowd:
    """Logins, or creations of groups, that follow one another: carried out together, an app's all at once.

    Where the store is on the network, so is what others than its predecessor ask: all of that waits for one answer.
    """

    def __init__(self, answers: type_answers) -> None:
        self._answers = answers
        self._logins: defaultdict[App, list[LoginRequest]] = defaultdict(list)
        self._creations: defaultdict[App, list[Asked]] = defaultdict(list)
        self._singles: dict[tuple[App, str], tuple[GatewayConnection, frames.Frame]] = {}
        """By who asks: what one user asks is carried out in the order in which it came."""
        self._askers: set[tuple[App, str]] = set()
        """Those who ask for a group."""

    async def login(self, app: App, request: LoginRequest) -> None:
        if self._creations or self._singles:
            await self.disperse()
        self._logins[app].append(request)

    async def create(self, app: App, asked: Asked) -> None:
        who = app, asked.frame.head.tinyid
        if self._logins or who in self._singles:
            await self.disperse()
        self._askers.add(who)
        self._creations[app].append(asked)

    async def carry_out(self, app: App, connection: GatewayConnection, frame: frames.Frame) -> None:
        if not app.peers.is_far:
            await self.disperse()
            self._answers.append((connection, await _carried_out(app, connection, frame)))
            return
        who = app, frame.head.tinyid
        if self._logins or who in self._askers or who in self._singles:
            await self.disperse()
        self._singles[who] = connection, frame

    async def disperse(self) -> None:
        """Carry out what has gathered."""
        for app, requests in self._logins.items():
            self._add(requests, await app.login(requests))
        self._logins.clear()
        if self._singles:
            await self._carry_out_together()
        for app, asked in self._creations.items():
            self._add(asked, await user_commands.created(app, asked))
        self._creations.clear()
        self._askers.clear()

    async def _carry_out_together(self) -> None:
        """All that has gathered, with one wait for the store: nobody here asks for more than one thing."""
        singles, self._singles = self._singles, {}
        creations = dict(self._creations)
        self._creations.clear()
        connections: defaultdict[App, set[GatewayConnection]] = defaultdict(set)
        for (app, _), (connection, _) in singles.items():
            connections[app].add(connection)
        for app, all_asked in creations.items():
            connections[app].update(asked.connection for asked in all_asked)  # type: ignore[misc]  # the gateway's own
        for app, unnumbered in connections.items():
            # Beforehand, or each of a connection's first commands would give it a number.
            await app.number_connections(unnumbered, await app.settled_ms())
        made = asyncio.gather(*[user_commands.created(app, asked) for app, asked in creations.items()])
        done = asyncio.gather(*[_carried_out(app, *single) for (app, _), single in singles.items()])
        replies_to_all, answers = await asyncio.gather(made, done)
        for asked, replies in zip(creations.values(), replies_to_all, strict=True):
            self._add(asked, replies)
        for (connection, _), answer in zip(singles.values(), answers, strict=True):
            self._answers.append((connection, answer))

    def _add(self, asked: Sequence[LoginRequest | Asked], replies: Sequence[bytes]) -> None:
        for (connection, _), reply in zip(asked, replies, strict=True):
            self._answers.append((connection, reply))  # type: ignore[arg-type]  # the gateway's own connections


async def _faulted(app: App, connection: GatewayConnection, frame: frames.Frame, fault: Fault) -> bytes:
    """The answer to a frame that meets a fault: refused, or carried out like any other."""
    head = frame.head
    if fault.code:
        await app.number_connections({connection}, await app.settled_ms())
        origin = Origin(connection.number, head.seq, head.platform, is_rest=False)
        await app.faults.refuse(head.servcmd.replace(".", "/"), fault.code, origin)
        return frames.answer(head, fault.code, codes.TEXTS.get(fault.code, REFUSED_BY_FAULT))
    if head.servcmd == frames.LOGIN and not head.a2:
        return (await app.login([LoginRequest(connection, head)]))[0]
    if head.servcmd == user_commands.CREATE_GROUP:
        return (await user_commands.created(app, [Asked(connection, frame)]))[0]
    if head.servcmd in _IN_ORDER:
        return await _carried_out(app, connection, frame)
    return _answered(app, head)


async def _carried_out(app: App, connection: GatewayConnection, frame: frames.Frame) -> bytes:
    head = frame.head
    if head.servcmd == frames.LOGIN:
        return await app.resume(connection, head)
    if head.servcmd == frames.LOGOUT:
        return await app.logout(connection, head)
    return await user_commands.carried_out(app, Asked(connection, frame))


async def _end(left: Sequence[GatewayConnection], touched: set[App]) -> None:
    """End the sessions of closed connections; after their last frames, which may stand in the same tick."""
    by_app: defaultdict[App, list[GatewayConnection]] = defaultdict(list)
    for connection in left:
        if connection.app is not None and not connection.app.is_retired:
            by_app[connection.app].append(connection)
    for app, connections in by_app.items():
        await app.disconnect(connections)
    touched.update(by_app)


def _send(answers: Sequence[tuple[GatewayConnection, bytes]]) -> None:
    by_connection: defaultdict[GatewayConnection, list[bytes]] = defaultdict(list)
    for connection, answer in answers:
        by_connection[connection].append(answer)
    for connection, messages in by_connection.items():
        connection.push(*messages)


def _refused_unread(data: bytes) -> bytes:
    """The answer where the store is away: the vendor's for a service that timed out."""
    try:
        return _refused(frames.decode(data).head, codes.BAD_HTTP_REQUEST)
    except frames.MALFORMED:
        return _refused(frames.echoed(data), codes.JSON_PARSE)


def _answered(app: App, head: frames.Head) -> bytes:
    """The answer to what the SDK asks beside logging in and out."""
    body = body_of(head.servcmd)
    if body is None:
        return _refused(head, codes.BAD_RESOURCE)
    # By each frame's own ticket: after a broken connection, waiting questions arrive before the resume.
    if needs_identity(head.servcmd) and not app.holds_ticket(head):
        return _refused(head, codes.TICKET_INVALID)
    return frames.answer(head, 0, "", body(app.real_s()))


def _refused(head: frames.Head, code: int) -> bytes:
    return frames.answer(head, code, codes.TEXTS[code])

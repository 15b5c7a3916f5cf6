"""What fuzz tests share: a server in a thread of its own with an eye on it, bare sockets, and JSON gone wrong.

A server is there for many examples, as it is for all clients of a day. `--hypothesis-profile=long` makes a hundred
times as many examples, others in every run.
"""

import asyncio
import gc
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mock_im_server import journal as log
from tests.serving import SDKAPPID, Server, a_server, some_settings

WAITS_S = 20.0
LONG = "long"
EXAMPLES_OF_A_SERVER = 500
"""What they leave is looked through after each of them, so that it must not grow for ever."""

settings.register_profile(LONG, max_examples=10_000)

type_ask = Callable[[Server], Coroutine[Any, Any, Any]]


def examples(usual: int) -> settings:
    """So many examples in the usual run, always the same; a hundred times as many, always others, in a long one."""
    is_long = settings.get_current_profile_name() == LONG
    return settings(
        max_examples=usual * settings.default.max_examples // 100 if is_long else usual,
        deadline=None,
        derandomize=not is_long,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


# --- a server -----------------------------------------------------------------------------------------


class _Ear(logging.Handler):
    """Hears every warning, and worse, of the whole process."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(f"{record.name}: {self.format(record)}")


class Live:
    """A server that runs, and everything that goes wrong in it."""

    def __init__(self, data_dir: Path, prepare: type_ask, look: type_ask) -> None:
        self.wrong: list[str] = []
        self._data_dir = data_dir
        self._prepare = prepare
        self._look = look
        self._numbers = count(1)
        self._seen = 0
        self.before_end: Callable[[], None] = lambda: None
        """Ends what the test itself keeps open."""
        self._begin()

    def call(self, ask: type_ask) -> Any:
        """What a coroutine in the server's own loop comes to."""
        return asyncio.run_coroutine_threadsafe(ask(self.server), self._loop).result(WAITS_S)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.server.running.url.removeprefix("http://").partition(":")
        return host, int(port)

    def has_changed(self) -> bool:
        """Whether anything is not as it was when this was asked last."""
        before, self._known = self._known, str(self.call(self._look))
        return self._known != before

    def check(self) -> None:
        """Nothing was logged, and every part is at work. What was wrong is told once, and the next example goes on."""
        wrong = list(self.wrong) + [str(part.exception()) for part in self.server.running.parts if part.done()]
        self.wrong.clear()
        if any(part.done() for part in self.server.running.parts):
            self.http.close()
            self.stop()
            self._begin()
        assert not wrong, wrong

    def next_example(self) -> None:
        """Now and then there is another server, which knows nothing of before."""
        self._seen += 1
        if self._seen % EXAMPLES_OF_A_SERVER == 0:
            try:
                self.end()
            finally:
                self.before_end()
                self.stop()
                self._begin()

    def end(self) -> None:
        """Healthy clients are served as ever, nobody else is inside, and the journal tells all that was done."""
        self.check()
        self.http.close()
        self.before_end()
        self.call(_healthy_client)
        self.wait_for(lambda: self.call(_inside) == 0)
        # Every app beyond the first has a journal open.
        journals = len(self.server.running.apps) - 1
        self.wait_for(lambda: _descriptors() <= self._descriptors + journals)
        known, journal = self.call(lasting), self.call(_end_of_journal)
        self.stop()
        gc.collect()
        assert not self.wrong, self.wrong
        folder = self._folder / str(SDKAPPID) / "journal"
        read = log.read(folder)
        assert (read.rows, read.head) == journal
        assert asyncio.run(_found_again(self._folder)) == known

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(WAITS_S)
        assert not self._thread.is_alive(), "the server does not end"

    def wait_for(self, holds: Callable[[], bool]) -> None:
        until_s = time.monotonic() + WAITS_S
        while not holds():
            assert time.monotonic() < until_s, "it does not come to pass"
            time.sleep(0.002)

    def _begin(self) -> None:
        self._folder = self._data_dir / str(next(self._numbers))
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(WAITS_S), "the server does not begin"
        self.http = Http(self.address)
        self.call(self._prepare)
        self.call(_healthy_client)
        self.wait_for(lambda: self.call(_inside) == 0)
        self._descriptors = _descriptors()
        self._known = str(self.call(self._look))

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self.wrong.append(str(context)))
        self._stop = asyncio.Event()
        async with a_server(some_settings(data_dir=self._folder)) as self.server:
            ready.set()
            await self._stop.wait()


@contextmanager
def live(data_dir: Path, prepare: type_ask, look: type_ask | None = None) -> Iterator[Live]:
    """A server that must be well at the end.

    `prepare` makes what requests speak of; `look` tells all that they leave as it was when they are refused.
    """
    server = Live(data_dir, prepare, look or state)
    ear = _Ear(server.wrong)
    logging.getLogger().addHandler(ear)
    try:
        yield server
        server.end()
    finally:
        logging.getLogger().removeHandler(ear)
        server.stop()


async def state(server: Server) -> list[Any]:
    """What requests of clients can change."""
    app = server.app
    profiles = sorted((user_id, sorted(of_user.items())) for user_id, of_user in app.profiles._of_user.items())
    status = await app.status()
    changing = status.pop("online"), status.pop("journal_rows")
    assert changing, "sessions end a moment after their connections, and refusals have rows"
    groups = sorted((group.group_id, group.owner, str(group.details), group.max_members) for group in app.groups.all())
    members = sorted((group.group_id, sorted(group.members)) for group in app.groups.all())
    calls = app.calls.status(app.now_ms())
    return [status, groups, members, profiles, calls, app.faults.rules, sorted(server.running.apps)]


async def lasting(server: Server) -> list[Any]:
    """What is found again after a restart: all but profiles, which are in no journal."""
    status, groups, members, _, calls, faults, apps = await state(server)
    points = await server.control("GET", "/access_points")
    routing = await server.control("GET", f"/apps/{SDKAPPID}/routing")
    return [status, groups, members, calls, faults, apps, points, routing]


async def _end_of_journal(server: Server) -> tuple[int, bytes]:
    cut = await server.app.journal.cut()
    return cut.rows, cut.head


async def _found_again(data_dir: Path) -> list[object]:
    async with a_server(some_settings(data_dir=data_dir)) as server:
        return await lasting(server)


def _descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def _inside(server: Server) -> int:
    """Open WebSockets and users online."""
    metrics = await server.page("/metrics")
    (connections,) = (line for line in metrics.splitlines() if line.startswith("im_connections "))
    return int(float(connections.split()[1])) + len(server.app.sessions)


async def _healthy_client(server: Server) -> None:
    """Somebody new logs in twice and counts once."""
    await server.control("PUT", f"/apps/{SDKAPPID}/faults", {"rules": []})
    before = await server.app.status()
    user_id = f"healthy-{before['accounts']}"
    async with server.connected() as wire:
        for _ in range(2):
            assert (await wire.login(user_id, status_instid=1))["ErrorCode"] == 0
    after = await server.app.status()
    assert [after[key] - before[key] for key in ("accounts", "dau", "logins")] == [1, 1, 2]


# --- bytes --------------------------------------------------------------------------------------------


class Socket:
    """A connection to the server, with nothing between."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, WAITS_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, data: bytes, cuts: Sequence[int] = ()) -> None:
        """In pieces that are cut at these bytes. A server that has hung up need not listen."""
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        with suppress(ConnectionError):
            for start, end in pairwise(places):
                self._socket.sendall(data[start:end])

    def read(self, size: int) -> bytes:
        """Exactly so many bytes. Raises EOFError at the end."""
        while len(self._read) < size:
            self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def read_until(self, end: bytes) -> bytes:
        """Everything up to these bytes and with them. Raises EOFError at the end."""
        while end not in self._read:
            self._more()
        return self.read(self._read.index(end) + len(end))

    def end(self) -> None:
        """Say no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def read_rest(self) -> bytes:
        """All that the server says to who says no more, until it hangs up."""
        self.end()
        with suppress(EOFError):
            while True:
                self._more()
        return self._read

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        self._read += data


class Http:
    """One request after the other, on a connection that is kept as long as the server keeps it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: Socket | None = None

    def ask(
        self, method: str, target: bytes, body: bytes = b"", headers: Mapping[str, bytes] = {}
    ) -> tuple[int, bytes]:
        """Status and body. Raises EOFError where the server hangs up instead."""
        given = {"Host": b"here", "Content-Length": str(len(body)).encode(), **headers}
        lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in given.items())
        line = self._socket = self._socket or Socket(self._address)
        line.send(method.encode() + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body)
        is_kept = False
        try:
            head = line.read_until(b"\r\n\r\n").lower()
            said = line.read(int(head.partition(b"content-length:")[2].split()[0]))
            is_kept = head.startswith(b"http/1.1") and b"connection: close" not in head
        finally:
            if not is_kept:
                self.close()
        return int(head.split()[1]), said

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


# --- JSON gone wrong ------------------------------------------------------------------------------------


class Verbatim(bytes):
    """Written as it stands, whatever it is."""


class Pairs(list[tuple[str, Any]]):
    """An object that may have a key twice."""


def written(value: Any) -> bytes:
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, dict | Pairs):
        pairs = value.items() if isinstance(value, dict) else value
        return b"{" + b",".join(written(key) + b":" + written(part) for key, part in pairs) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(written, value)) + b"]"
    return json.dumps(value).encode()


def nested(depth: int) -> Verbatim:
    return Verbatim(b"[" * depth + b"]" * depth)


def nested_object(depth: int) -> Verbatim:
    return Verbatim(b'{"a":' * depth + b"1" + b"}" * depth)


NUMBERS = [
    0,
    1,
    -1,
    100,
    *(sign * (1 << bits) + more for bits in (15, 31, 32, 63, 64) for sign in (1, -1) for more in (-1, 0)),
    10**30,
]
NAMES = [
    "",
    "alice",
    "bob",
    "room",
    "live",
    "administrator",
    "@TGS#_a",
    "On",
    "Admin",
    "Public",
    "\0",
    "a\nb",
    "ü" * 40,
    "a" * 33,
]
BROKEN = [
    b"",
    b"1e999",
    b"-",
    b"NaN",
    b"1" * 400,
    b"1" * 5_000,
    b'"' + b"9" * 4_301 + b'"',
    b'"\\ud800"',
    b'"\xff"',
    b'"\\u0000"',
    b"[1,]",
    b"'a'",
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(NAMES),
    st.text(max_size=8),
    st.sampled_from([Verbatim(text) for text in BROKEN]),
    st.sampled_from([str(number) for number in NUMBERS]),
    st.builds(nested, st.integers(1, 40) | st.integers(900, 1_000)),
    st.builds(nested_object, st.integers(1, 40) | st.integers(900, 1_000)),
    st.integers(1, 12_000).map("a".__mul__),
    st.lists(st.sampled_from(["alice", "bob", "room", 1, None]), max_size=8),
    st.dictionaries(st.sampled_from(["MsgType", "MsgContent", "UserID", "Key", "x"]), st.integers(), max_size=3),
)


@st.composite
def gone_wrong(draw: st.DrawFn, right: Any, most: int = 3) -> bytes:
    """JSON that was right, with some of its values replaced, left out, given twice or wrapped."""
    whole = right
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(whole))
        whole = _changed(draw, whole, draw(st.sampled_from(places)))
    return written(whole)


def _places(value: Any, at: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    yield at
    for index, part in enumerate(_parts(value)):
        yield from _places(part, (*at, index))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Pairs):
        return [part for _, part in value]
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _changed(draw: st.DrawFn, value: Any, at: tuple[int, ...]) -> Any:
    if not at:
        return draw(st.one_of(ODD, ODD.map(lambda odd: [odd, value]), st.just([value]), st.just({"": value})))
    pairs = (
        value
        if isinstance(value, Pairs)
        else Pairs(value.items() if isinstance(value, dict) else [("", part) for part in value])
    )
    made = Pairs(pairs)
    index, rest = at[0], at[1:]
    key, part = made[index]
    change = draw(st.sampled_from(["within", "within", "within", "left out", "twice"])) if not rest else "within"
    if change == "left out":
        del made[index]
    elif change == "twice":
        made.insert(index, (key, draw(ODD)))
    else:
        made[index] = key, _changed(draw, part, rest)
    return [part for _, part in made] if isinstance(value, list) and not isinstance(value, Pairs) else made

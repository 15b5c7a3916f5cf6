"""The figures of quotas: creations that race, logins while a backend is told of them, the reset of a large app."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from statistics import median, quantiles
from typing import Any
from urllib.request import Request, urlopen

from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from benchmarks import login_frames, pipelined_client, rest_client, servers
from benchmarks.figures import ROUNDS, Result
from mock_im_server.settings import DEMO_APP
from mock_im_server.transport.webhooks import WAITING_MAX

SLOW_S = 0.1
NEVER_S = 3_600.0
SETTLES_S = 1.0
PING_INTERVAL_S = 0.002
CONNECTIONS, IN_FLIGHT = 50, 20


def creations() -> list[Result]:
    """Creations of live groups a second of server CPU, nearly all of them refused at the cap of 50."""
    count = 50_000
    with servers.mock() as mock:
        who = _logged_in(mock.port)
        costs = []
        for number in range(ROUNDS):
            made = [_creation(seq, who, f"room{seq}") for seq in range(number * count + 1, (number + 1) * count + 1)]
            before = mock.cpu_s()
            pipelined_client.run(mock.port, made, CONNECTIONS, IN_FLIGHT)
            costs.append((mock.cpu_s() - before) / count)
    rate = 1 / median(costs)
    detail = f"{median(costs) * 1e6:.0f} µs each, with its journal row, on {CONNECTIONS} connections"
    return [Result("racing creations a second of server CPU", rate, "/s", "≥ 6,000", rate >= 6_000, detail)]


def webhooks() -> list[Result]:
    """Logins a second of server CPU with webhooks on, against the same logins with webhooks off."""
    count, rounds = 20_000, 30
    costs: dict[str, list[float]] = {"off": [], "slow": [], "stalled": []}
    with (
        servers.webhook_receiver(SLOW_S) as slow,
        servers.webhook_receiver(NEVER_S) as stalled,
        servers.mock() as mock,
    ):
        # One process for all three: two processes alike differ by more than what is measured here.
        modes = [("off", ""), ("slow", slow), ("stalled", stalled)]
        pipelined_client.run(mock.port, login_frames.frames(0, count), CONNECTIONS, IN_FLIGHT)
        for number in range(rounds):
            made = login_frames.frames(0, count)
            # In turn, each as often the first as the others: a neighbour on the machine meets all of them alike.
            for name, url in modes[number % 3 :] + modes[: number % 3]:
                _controlled(mock, "PUT", "/webhook", {"url": url})
                # What a backend cannot take in time waits first: as many as may, which take the place of later ones.
                pipelined_client.run(mock.port, made[:WAITING_MAX], CONNECTIONS, IN_FLIGHT)
                before = mock.cpu_s()
                pipelined_client.run(mock.port, made, CONNECTIONS, IN_FLIGHT)
                costs[name].append((mock.cpu_s() - before) / count)
    return [
        _webhooks(f"a backend that takes {SLOW_S * 1_000:.0f} ms", costs["off"], costs["slow"], 0.9),
        _webhooks("a backend that stalls", costs["off"], costs["stalled"], 0.95),
    ]


def reset() -> list[Result]:
    """What the caller waits for when an app of a million accounts begins anew, and what others wait meanwhile."""
    count = 1_000_000
    waits, stalls = [], []
    with servers.mock() as mock:
        for _ in range(3):
            rest_client.run(mock.port, rest_client.batches(0, count), CONNECTIONS)
            status = _controlled(mock, "GET", "")
            assert status["accounts"] == count, status
            with _pinging(mock.port) as pings:
                began = time.perf_counter()
                _controlled(mock, "POST", "/reset")
                waits.append((time.perf_counter() - began) * 1_000)
                time.sleep(SETTLES_S)
            stalls.append(max(pings))
    wait = median(waits)
    detail = f"{min(waits):.0f}–{max(waits):.0f} ms; nobody else waited longer than {max(stalls):.0f} ms, a second on"
    return [Result("reset of an app with 1,000,000 accounts", wait, "ms", "≤ 50", wait <= 50, detail)]


@contextmanager
def _pinging(port: int) -> Iterator[list[float]]:
    """Milliseconds that requests took which were made one after the other in the meantime."""
    pings: list[float] = []
    is_over = threading.Event()

    def ping() -> None:
        connection = HTTPConnection("127.0.0.1", port)
        while not is_over.wait(PING_INTERVAL_S):
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            pings.append((time.perf_counter() - began) * 1_000)
        connection.close()

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield pings
    finally:
        is_over.set()
        thread.join()


def _controlled(mock: servers.Measured, method: str, path: str, body: object = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {mock.ready['control_token']}"}
    url = f"{mock.ready['control_url']}/apps/{DEMO_APP.sdkappid}{path}"
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, method=method, headers=headers)) as response:
        return dict(json.loads(response.read()))


def _webhooks(backend: str, off: Sequence[float], on: Sequence[float], reach: float) -> Result:
    # The quarter of the rounds that were disturbed least: neighbours on the machine only ever add to a cost.
    cost_off, cost_on = quantiles(off)[0], quantiles(on)[0]
    ratio = cost_off / cost_on
    ratios = [without / with_hook for without, with_hook in zip(off, on, strict=True)]
    low, middle, high = quantiles(ratios)
    detail = (
        f"{1 / cost_on:,.0f} logins/s of server CPU against {1 / cost_off:,.0f}/s, lower quartiles of {len(on)} rounds "
        f"in turn; quartiles of their ratios {low:.2f}, {middle:.2f}, {high:.2f}"
    )
    return Result(f"logins with webhooks to {backend}", ratio, "×", f"≥ {reach:g}", ratio >= reach, detail)


def _logged_in(port: int) -> dict[str, str]:
    with connect(f"ws://127.0.0.1:{port}/binfo", compression=None) as wire:
        wire.send(login_frames.payload(1, 1))
        return dict(json.loads(wire.recv())["body"])


def _creation(seq: int, who: dict[str, str], group_id: str) -> bytes:
    frame = (
        f'{{"head":{{"ver":"v4","platform":7,"sdkappid":{DEMO_APP.sdkappid},"contenttype":"json",'
        f'"status_instid":{who["InstId"]},"a2":"{who["A2Key"]}","tinyid":"{who["TinyId"]}",'
        f'"servcmd":"group_open_http_svc.create_group","seq":{seq}}},'
        f'"body":{{"Type":"AVChatRoom","Name":"a group under load","GroupId":"{group_id}"}}}}'
    )
    return Frame(Opcode.BINARY, frame.encode()).serialize(mask=True)


FIGURES: dict[str, Callable[[], list[Result]]] = {
    "creations": creations,
    "webhooks": webhooks,
    "reset": reset,
}

"""The figures of quotas: creations that race, logins while a backend is told of them, the reset of a large app."""

import json
from collections.abc import Callable, Sequence
from statistics import median, quantiles

from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from benchmarks import login_frames, pipelined_client, servers
from benchmarks.figures import ROUNDS, Result
from mock_im_server.settings import DEMO_APP

SLOW_S = 0.1
NEVER_S = 3_600.0
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
    count, rounds = 10_000, 30
    costs: dict[str, list[float]] = {"off": [], "slow": [], "stalled": []}
    with (
        servers.webhook_receiver(SLOW_S) as slow,
        servers.webhook_receiver(NEVER_S) as stalled,
        servers.mock() as off,
        servers.mock("--webhook", f"{DEMO_APP.sdkappid}:{slow}") as to_slow,
        servers.mock("--webhook", f"{DEMO_APP.sdkappid}:{stalled}") as to_stalled,
    ):
        mocks = [("off", off), ("slow", to_slow), ("stalled", to_stalled)]
        for number in range(rounds):
            made = login_frames.frames(number * count, count)
            # In turn, each as often the first as the others: a neighbour on the machine meets all of them alike.
            for name, mock in mocks[number % 3 :] + mocks[: number % 3]:
                before = mock.cpu_s()
                pipelined_client.run(mock.port, made, CONNECTIONS, IN_FLIGHT)
                costs[name].append((mock.cpu_s() - before) / count)
    return [
        _webhooks(f"a backend that takes {SLOW_S * 1_000:.0f} ms", costs["off"], costs["slow"], 0.9),
        _webhooks("a backend that stalls", costs["off"], costs["stalled"], 0.95),
    ]


def _webhooks(backend: str, off: Sequence[float], on: Sequence[float], reach: float) -> Result:
    ratio = median(off) / median(on)
    ratios = [without / with_hook for without, with_hook in zip(off, on, strict=True)]
    rates = f"{1 / median(on):,.0f} logins/s of server CPU against {1 / median(off):,.0f}/s"
    low, _, high = quantiles(ratios)
    detail = f"{rates}; half of {len(ratios)} ratios {low:.2f}–{high:.2f}"
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
}

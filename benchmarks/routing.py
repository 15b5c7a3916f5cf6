"""How fast access points are ranked, dispatch answers, and answers wait."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from random import Random
from statistics import median

import numpy as np

from benchmarks import pipelined_client, rest_client, servers
from benchmarks.figures import ROUNDS, Result
from benchmarks.login_frames import frames
from mock_im_server import catalogue
from mock_im_server.domain.geography import Ranking
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import Choice
from mock_im_server.network import Network
from mock_im_server.rankings import BatchRanking

PLACES = 300_000
PLACES_ONE_BY_ONE = 10_000
LOOK_UPS = 1_000_000
FAR_AWAY = "/ap/sg/from/DE/binfo"


def routing() -> list[Result]:
    """Rankings of all access points a second in one process, and dispatch against a bare aiohttp handler."""
    return [*_rankings(), *_dispatch()]


def _rankings() -> list[Result]:
    data = catalogue.load()
    ranking = Ranking(data.access_points.values())
    batch = BatchRanking(ranking)
    generator = np.random.default_rng(7)
    latitudes, longitudes = generator.uniform(-90, 90, PLACES), generator.uniform(-180, 180, PLACES)
    at_once = [PLACES / _cpu_s(lambda: batch.nearest(latitudes, longitudes)) for _ in range(ROUNDS)]
    places = list(zip(latitudes.tolist(), longitudes.tolist(), strict=True))[:PLACES_ONE_BY_ONE]
    one_by_one = [
        PLACES_ONE_BY_ONE / _cpu_s(lambda: [ranking.nearest(*place) for place in places]) for _ in range(ROUNDS)
    ]
    _check_alike(ranking, batch, places)
    network = Network(data.access_points, {**data.countries, **data.cities}, LatencyTable(data.latency_model))
    names = [*data.countries, *data.cities]
    Random(7).shuffle(names)
    asked = list(islice(cycle(names), LOOK_UPS))
    known = network.routes(Choice()).known
    for name in names:
        known[name]
    look_ups = [LOOK_UPS / _cpu_s(lambda: _look_up(known, asked)) for _ in range(ROUNDS)]
    rate, known_rate = median(at_once), median(look_ups)
    points = len(ranking.points)
    return [
        Result(
            f"all {points} access points ranked for coordinates not seen before",
            rate,
            "/s",
            "≥ 300,000",
            rate >= 300_000,
            f"{PLACES:,} places at once, exactly as one by one, which does {median(one_by_one):,.0f}/s; one process",
        ),
        Result(
            "the ranking for a known place",
            known_rate,
            "/s",
            "≥ 3,000,000",
            known_rate >= 3_000_000,
            f"{len(names):,} countries and cities in any order, one process",
        ),
    ]


def _look_up(known: Mapping[str, object], asked: Sequence[str]) -> None:
    for name in asked:
        known[name]


def _check_alike(ranking: Ranking, batch: BatchRanking, places: Sequence[tuple[float, float]]) -> None:
    order, metres = batch.nearest(*np.array(places).T)
    for place, indices, distances in zip(places, order.tolist(), metres.tolist(), strict=True):
        alike = [(ranking.points[at], metre / 1_000) for at, metre in zip(indices, distances, strict=True)]
        assert alike == ranking.nearest(*place), "batches answer as one by one"


def _dispatch() -> list[Result]:
    count, connections = 20_000, 50
    names = sorted(catalogue.load().countries)
    random = Random(7)
    known = [_get(f"/dispatch?country={name}") for name in islice(cycle(names), count)]
    unseen = [
        _get(f"/dispatch?latitude={random.uniform(-90, 90):.4f}&longitude={random.uniform(-180, 180):.4f}")
        for _ in range(count)
    ]
    results = []
    with servers.json_answers() as bare, servers.mock() as mock:
        for what, requests, reach in (("a known place", known, 0.7), ("coordinates not seen before", unseen, None)):
            costs: dict[str, list[float]] = {"bare": [], "mock": []}
            for _ in range(ROUNDS):
                for name, server in (("bare", bare), ("mock", mock)):
                    before = server.cpu_s()
                    rest_client.run(server.port, requests, connections)
                    costs[name].append((server.cpu_s() - before) / count)
            results.append(_against_bare(what, costs["mock"], costs["bare"], reach))
    return results


def _against_bare(what: str, mine: list[float], bare: list[float], reach: float | None) -> Result:
    ratios = [other / one for one, other in zip(mine, bare, strict=True)]
    ratio = median(ratios)
    rates = f"{1 / median(mine):,.0f} answers/s of server CPU against {1 / median(bare):,.0f}/s"
    detail = f"{rates}; ratios {min(ratios):.2f}–{max(ratios):.2f}"
    name = f"dispatch for {what} against a bare aiohttp JSON handler"
    return Result(name, ratio, "×", f"≥ {reach:g}" if reach else "reported", ratio >= (reach or 0), detail)


def _get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def round_trips() -> list[Result]:
    """Logins a second with simulated round trips of 240 ms against without: pairs of runs in turn."""
    count, connections, in_flight = 120_000, 400, 60
    ratios, delayed, plain, delayed_cpu, plain_cpu = [], [], [], [], []
    with servers.mock("--round-trips") as far, servers.mock() as near:
        for number in range(ROUNDS):
            made = frames(number * count, count)
            for server, rates, costs in ((near, plain, plain_cpu), (far, delayed, delayed_cpu)):
                before = server.cpu_s()
                rates.append(count / pipelined_client.run(server.port, made, connections, in_flight, FAR_AWAY))
                costs.append((server.cpu_s() - before) / count * 1e6)
            ratios.append(delayed[-1] / plain[-1])
    ratio = median(ratios)
    cpu = f"server CPU {median(delayed_cpu):.1f} µs a login against {median(plain_cpu):.1f}"
    rates = f"{median(delayed):,.0f} against {median(plain):,.0f} logins/s"
    detail = f"{rates}, {connections * in_flight:,} in flight; ratios {min(ratios):.2f}–{max(ratios):.2f}; {cpu}"
    return [Result("logins/s with simulated round trips against without", ratio, "×", "≥ 0.9", ratio >= 0.9, detail)]


def _cpu_s(work: Callable[[], object]) -> float:
    # Of this process, as its neighbours on the machine are nobody's merit.
    began = time.process_time()
    work()
    return time.process_time() - began


FIGURES: dict[str, Callable[[], list[Result]]] = {"routing": routing, "round_trips": round_trips}

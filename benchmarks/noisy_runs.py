"""Simulated runs for the comparison: lognormal latencies, and 5 % of noise from one run to the next."""

from collections.abc import Iterator

import numpy as np

from analysis.baselines import Measurement, Side
from analysis.comparison import DEFAULT_METRICS

NOISE = 0.05
REQUESTS = 2_000
SETTINGS = {"scenario": "simulated"}


def pairs(count: int, runs: int, slower: float, seed: int) -> Iterator[tuple[Side, Side]]:
    """Pairs of sides with `runs` each; the candidate's times are `slower` times as long."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield side(rng, "base", runs, 1.0), side(rng, "candidate", runs, slower)


def side(rng: np.random.Generator, name: str, runs: int, factor: float) -> Side:
    return Side(SETTINGS, [_run(rng, f"{name}-{number}", factor) for number in range(runs)])


def _run(rng: np.random.Generator, name: str, factor: float) -> Measurement:
    service_ms = rng.lognormal(1.0, 0.5, REQUESTS) * factor * np.exp(rng.normal(0, NOISE))
    response_ms = service_ms + rng.exponential(0.5, REQUESTS)
    quantiles = [
        float(np.quantile(times, share, method="higher"))
        for times in (service_ms, response_ms)
        for share in (0.5, 0.95, 0.99)
    ]
    # A closed loop on 20 connections: as many logins a second as their mean time allows.
    rate = 20_000 / float(service_ms.mean())
    return Measurement(name, dict(zip(DEFAULT_METRICS, [*quantiles, rate], strict=True)))

"""Latencies of the answered requests: service time from the send, response time from the planned instant.

Response time holds what a late send cost, so that a slow server cannot hide behind a waiting client.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

US_PER_MS: Final = 1_000
US_PER_S: Final = 1_000_000

Floats = NDArray[np.float64]


class Sorted(Protocol):
    """Times in ascending order, to be looked up by their place."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: Any) -> Any: ...  # noqa: ANN401 -- a place or an array of them


@dataclass(frozen=True, slots=True)
class Latencies:
    """Sorted service and response times and lateness of sends, in ms."""

    service_ms: Sorted
    response_ms: Sorted
    late_ms: Sorted


class Counted:
    """Times of which it is known how often each occurs, as if they stood in ascending order."""

    def __init__(self, values_us: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        self._values_ms = values_us / US_PER_MS
        self._until = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._until[-1]) if len(self._until) else 0

    def __getitem__(self, at: Any) -> Any:  # noqa: ANN401 -- a place or an array of them
        return self._values_ms[np.searchsorted(self._until, at, side="right")]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The run in slices of equal length: when (s since zero), answers per second, and latencies in ms."""

    at_s: Floats
    answers_per_s: Floats
    service_p50_ms: Floats
    service_p99_ms: Floats
    response_p99_ms: Floats


def of(answered: pd.DataFrame) -> Latencies:
    """Take the latencies of all answered requests."""
    service = (answered["answered_us"] - answered["sent_us"]).to_numpy()
    response = (answered["answered_us"] - answered["planned_us"]).to_numpy()
    late = (answered["sent_us"] - answered["planned_us"]).to_numpy()
    return Latencies(*(np.sort(values) / US_PER_MS for values in (service, response, late)))


def quantile(sorted_ms: Sorted, share: float) -> float | None:
    """Return the smallest value that is not exceeded by `share` of the samples; None without samples.

    >>> quantile(np.array([1.0, 2.0, 3.0, 4.0]), 0.5)
    2.0
    """
    if not len(sorted_ms):
        return None
    return float(sorted_ms[max(0, int(np.ceil(share * len(sorted_ms))) - 1)])


def timeline(answered: pd.DataFrame, slices: int) -> Timeline:
    """Cut the run's time into slices; those without an answer are left out."""
    at_us = answered["answered_us"]
    start, end = int(at_us.min()), int(at_us.max())
    width = max(1, -(-(end - start + 1) // slices))
    at = (at_us - start) // width
    service = (at_us - answered["sent_us"]) / US_PER_MS
    response = (at_us - answered["planned_us"]) / US_PER_MS
    times = pd.DataFrame({"service": service, "response": response}).groupby(at.to_numpy())
    quantiles = times.quantile(np.array([0.5, 0.99])).unstack()  # noqa: PD010 -- a stacked index is no pivot
    return Timeline(
        at_s=(quantiles.index.to_numpy() + 0.5) * width / US_PER_S + start / US_PER_S,
        answers_per_s=times.size().to_numpy() * US_PER_S / width,
        service_p50_ms=quantiles[("service", 0.5)].to_numpy(),
        service_p99_ms=quantiles[("service", 0.99)].to_numpy(),
        response_p99_ms=quantiles[("response", 0.99)].to_numpy(),
    )


def per_second(answered: pd.DataFrame) -> float | None:
    """Return the rate of answers between the first send and the last answer; None without any."""
    if answered.empty:
        return None
    span_us = int(answered["answered_us"].max()) - int(answered["sent_us"].min())
    return len(answered) * US_PER_S / max(1, span_us)


def logins_per_second(answered: pd.DataFrame) -> float | None:
    """Return the rate of successful logins; None without any."""
    return per_second(answered[(answered["code"] == 0) & (answered["verb"] == "login")])

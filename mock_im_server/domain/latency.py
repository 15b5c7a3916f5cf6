"""How long a round trip takes: a declared model, and what was measured instead where somebody has measured.

`rtt = base + 2 · d / v · detour`: light in fibre, on a way that is longer than the great circle. The numbers and their
sources stand in `data/latency_model.toml`; the model says what is typical and nothing of a certain line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from random import Random
from typing import Final

JITTERS: Final = 4_096
"""A power of two. So many factors are drawn once, then used in turn."""


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Round trips from distances.

    >>> LatencyModel(base_ms=10.0, fibre_km_per_ms=200.0, detour=2.2, jitter_sigma=0.1).round_trip_ms(1_000.0)
    32.0
    """

    base_ms: float
    """What a client without any distance waits: its last mile, and the answering."""
    fibre_km_per_ms: float
    detour: float
    """Length of the way taken, in great-circle distances."""
    jitter_sigma: float
    """Of the logarithm of a round trip over its typical value."""

    @property
    def ms_per_km(self) -> float:
        return 2 * self.detour / self.fibre_km_per_ms

    def round_trip_ms(self, distance_km: float) -> float:
        return self.base_ms + self.ms_per_km * distance_km

    def jitters(self, seed: int) -> tuple[float, ...]:
        """Factors of a lognormal distribution with median 1, the same for the same seed."""
        random = Random(seed)  # noqa: S311 -- of a simulation, and seeded
        return tuple(exp(random.gauss(0.0, self.jitter_sigma)) for _ in range(JITTERS))


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """The model, with measured round trips in its place: by a place's name, then by an access point's code."""

    model: LatencyModel
    measured: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def measured_at(self, place: str) -> Mapping[str, float]:
        """Of a city `KR/Busan` its own rows, and where it has none those of its country."""
        if not self.measured:
            return {}
        country, _, _ = place.partition("/")
        return {**self.measured.get(country, {}), **self.measured.get(place, {})}

    def round_trip_ms(self, place: str, code: str, distance_km: float) -> float:
        """`place` is "" for bare coordinates: then only the model speaks."""
        found = self.measured_at(place).get(code)
        return self.model.round_trip_ms(distance_km) if found is None else found

"""Who the simulated users are: UserIDs, homes and devices, pure functions of the seed and the user's index."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from im_load import chance, columns

HOME_PURPOSE: Final = 1
PLATFORM_PURPOSE: Final = 2
MINUTE_MS: Final = 60_000

PLATFORMS: Final = ("Android", "iPhone", "Web", "PC", "iPad")
PLATFORM_NUMBERS: Final = (2, 3, 7, 1, 4)
"""Numbers in a frame's head. 7 was recorded from the vendor's web SDK, the others are assumed."""
_PLATFORM_PERMILLE: Final = (560, 270, 100, 50, 20)


@dataclass(frozen=True, slots=True)
class World:
    """Places where users live, and their shares of the users, in parts per million."""

    countries: tuple[str, ...]
    cities: tuple[str, ...]
    """Empty where only the country is known."""
    shares_ppm: NDArray[np.int64]
    utc_offsets_ms: NDArray[np.int64]
    """Of local time; 0 where only the country is known."""

    def home_of(self, seed: int, users: NDArray[np.int64]) -> NDArray[np.int16]:
        """Each user's place, the same for the whole run: indices into `countries` and `cities`."""
        drawn = chance.numbers(seed, HOME_PURPOSE, users) % np.uint64(self.shares_ppm.sum())
        edges = np.cumsum(self.shares_ppm)
        return np.searchsorted(edges, drawn.astype(np.int64), side="right").astype(np.int16)


@cache
def countries() -> World:
    """The countries of the server's data file: data, so that both sides speak of the same places."""
    rows = _rows("data/countries.csv")
    return World(
        tuple(row["country"] for row in rows), ("",) * len(rows), _shares(rows), np.zeros(len(rows), dtype=np.int64)
    )


@cache
def cities() -> World:
    """Large cities, with everybody who lives elsewhere counted in one of them."""
    rows = _rows("data/cities.csv")
    offsets = [int(row["utc_offset_minutes"]) * MINUTE_MS for row in rows]
    return World(
        tuple(row["country"] for row in rows),
        tuple(row["city"] for row in rows),
        _shares(rows),
        np.array(offsets, dtype=np.int64),
    )


def _rows(name: str) -> list[dict[str, str]]:
    text = files("mock_im_server").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _shares(rows: list[dict[str, str]]) -> NDArray[np.int64]:
    return np.array([int(row["users_share_ppm"]) for row in rows], dtype=np.int64)


def platform_of(seed: int, users: NDArray[np.int64]) -> NDArray[np.int8]:
    """Indices into `PLATFORMS`: each user's first device."""
    drawn = chance.numbers(seed, PLATFORM_PURPOSE, users) % np.uint64(1_000)
    edges = np.cumsum(_PLATFORM_PERMILLE)
    return np.searchsorted(edges, drawn.astype(np.int64), side="right").astype(np.int8)


def platforms(seed: int, users: NDArray[np.int64], devices: NDArray[np.int8]) -> NDArray[np.int8]:
    """Indices into `PLATFORMS`; a user's second device is of another kind than the first."""
    first = platform_of(seed, users)
    other = (first + 1) % len(PLATFORMS)
    return np.where(devices == 1, first, other).astype(np.int8)


def user_id(user: int) -> str:
    """The UserID of a user's index, at most 32 bytes."""
    return f"user_{user:07d}"


def user_ids(users: NDArray[np.int64]) -> pa.Array:
    """The same for many at once; empty for whoever is nobody (below 0)."""
    return columns.where(users >= 0, columns.numbered("user_", users, digits=7), "")

"""Many places ranked at once: the answers of `domain.geography`, twenty times as fast.

numpy's sines and arc cosines differ from the C library's in the last bits. That matters only where a distance lies
within a few hundredths of a millimetre of a half metre, or where a place is so near to an access point, or to its
antipode, that the arc cosine magnifies those bits: such places are ranked one by one.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mock_im_server.domain.geography import EARTH_RADIUS_M, Ranking

PLACES_AT_ONCE: Final = 2_048
"""So many keep the work in the processor's cache."""
_HALF_CIRCLE_M: Final = 20_015_115
_DOUBTFUL_M: Final = 5e-5
"""Above 6,371,008.8 m · 3e-15 / sin(angle), the error of a distance, as long as the cosine is below the next bound."""
_COSINE_MAX: Final = 1 - 1e-6
"""Nearer than 9 km to a point or to its antipode."""


class BatchRanking:
    """The access points, ready to be asked for arrays of places."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._vectors = np.array(ranking.vectors).reshape(-1, 3).T
        # Distance and code in one integer, as in `Ranking.keys`; sorting 32 bits takes half the time of 64.
        self._key_type = np.int32 if _HALF_CIRCLE_M * len(ranking.points) < np.iinfo(np.int32).max else np.int64

    def keys(self, latitudes: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.integer]:
        """A row of `Ranking.keys` for each place. Raises ValueError where a place is none."""
        if not (np.all(np.abs(latitudes) <= 90) and np.all(np.abs(longitudes) <= 180)):  # noqa: PLR2004 -- degrees
            message = "not places on earth: a latitude is beyond 90 degrees, or a longitude beyond 180"
            raise ValueError(message)
        keys = np.empty((len(latitudes), len(self._ranking.points)), dtype=self._key_type)
        for first in range(0, len(latitudes), PLACES_AT_ONCE):
            part = slice(first, first + PLACES_AT_ONCE)
            self._rank(latitudes[part], longitudes[part], keys[part])
        return keys

    def nearest(
        self, latitudes: NDArray[np.float64], longitudes: NDArray[np.float64]
    ) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """For each place a row: indices into the points by code, the nearest first, and distances in whole metres."""
        keys = self.keys(latitudes, longitudes)
        count = max(1, len(self._ranking.points))
        metres = keys // count
        # Three times as fast as the remainder.
        return keys - metres * count, metres

    def _rank(self, latitudes: NDArray[np.float64], longitudes: NDArray[np.float64], keys: NDArray[np.integer]) -> None:
        north, east = np.radians(latitudes), np.radians(longitudes)
        level = np.cos(north)
        cosines = np.column_stack((level * np.cos(east), level * np.sin(east), np.sin(north))) @ self._vectors
        near = np.abs(cosines) > _COSINE_MAX
        np.clip(cosines, -1.0, 1.0, out=cosines)
        metres = np.arccos(cosines, out=cosines)
        metres *= EARTH_RADIUS_M
        metres += 0.5
        keys[:] = metres
        metres -= keys
        doubtful = near | (np.abs(metres - 0.5) > 0.5 - _DOUBTFUL_M)
        count = keys.shape[1]
        keys *= count
        keys += np.arange(count, dtype=keys.dtype)
        keys.sort(axis=1)
        for row in np.flatnonzero(doubtful.any(axis=1)).tolist():
            keys[row] = self._ranking.keys(float(latitudes[row]), float(longitudes[row]))

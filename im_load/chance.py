"""Chance as a pure function: the same seed, purpose and user give the same number on every machine and in every worker.

SplitMix64 (Steele, Lea, Flood 2014) over numpy's unsigned integers: nothing is drawn in sequence, so that a worker can
compute its own share of a plan without the rest.
"""

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

type_numbers = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_MASK: Final = (1 << 64) - 1


def numbers(seed: int, purpose: int, users: NDArray[np.int64]) -> type_numbers:
    """A 64-bit number for each user, unrelated between purposes."""
    # Python integers wrap by hand: numpy warns when a scalar overflows, arrays wrap silently.
    key = (seed * 0x9E3779B97F4A7C15 + purpose * 0xD1342543DE82EF95) & _MASK
    mixed = _mixed(np.array([key], dtype=np.uint64))
    return _mixed(users.astype(np.uint64) * _GOLDEN + mixed)


def hex_digits(seed: int, *parts: int) -> str:
    """32 hex digits that name something of a run."""
    text = ".".join(map(str, (seed, *parts)))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _mixed(values: type_numbers) -> type_numbers:
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))

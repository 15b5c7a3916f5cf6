"""Arrow columns made by hand from numpy arrays and lists.

`pa.array` imports pandas on its first call: a second of work or more, four workers at once on a busy machine ten, in
which none of them sends a heartbeat. `pa.scalar`, and texts as arguments of Arrow's functions, do the same.
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_KINDS = {np.dtype(np.int32): pa.int32(), np.dtype(np.int64): pa.int64()}


def numbers(values: npt.NDArray[np.integer]) -> pa.Array:
    """Integers, none missing."""
    return pa.Array.from_buffers(_KINDS[values.dtype], len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def nullable(values: Sequence[int | None], dtype: type[np.integer]) -> pa.Array:
    """Integers, some perhaps missing.

    >>> nullable([7, None], np.int32).to_pylist()
    [7, None]
    """
    if None not in values:
        return numbers(np.array(values, dtype=dtype))
    valid = np.array([value is not None for value in values])
    filled = numbers(np.array([value or 0 for value in values], dtype=dtype))
    return pa.Array.from_buffers(filled.type, len(values), [_bits(valid), filled.buffers()[1]])


def texts(values: Sequence[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def named(indices: npt.NDArray[np.integer], names: Sequence[str]) -> pa.DictionaryArray:
    """For each index its name; a name may stand at several.

    >>> named(np.array([0, 1, 2]), ["kr", "jp", "kr"]).dictionary.to_pylist()
    ['kr', 'jp']
    """
    known = list(dict.fromkeys(names))
    if len(known) < len(names):  # Readers want each name of a dictionary once.
        at = {name: number for number, name in enumerate(known)}
        indices, names = np.array([at[name] for name in names])[indices], known
    return pa.DictionaryArray.from_arrays(numbers(indices.astype(np.int32)), texts(names))


def encoded(values: Sequence[str]) -> pa.DictionaryArray:
    """A few texts, each many times.

    >>> encoded(["b", "a", "b"]).to_pylist()
    ['b', 'a', 'b']
    """
    index_of: dict[str, int] = {}
    indices = [index_of.setdefault(value, len(index_of)) for value in values]
    return named(np.array(indices, dtype=np.int32), list(index_of))


def numbered(prefix: str, values: npt.NDArray[np.int64], *, digits: int) -> pa.Array:
    """A text for each number: the prefix and at least so many digits.

    >>> numbered("user_", np.array([5]), digits=7).to_pylist()
    ['user_0000005']
    """
    padded = pc.utf8_lpad(pc.cast(numbers(values), pa.string()), digits, "0")
    return pc.utf8_replace_slice(padded, 0, 0, prefix)


def where(chosen: npt.NDArray[np.bool_], column: pa.Array, otherwise: str | None) -> pa.Array:
    """The column's values where chosen."""
    if chosen.all():
        return column
    others = pa.nulls(len(column), pa.string()) if otherwise is None else texts([otherwise] * len(column))
    mask = pa.Array.from_buffers(pa.bool_(), len(chosen), [None, _bits(chosen)])
    return pc.if_else(mask, column, others)


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))

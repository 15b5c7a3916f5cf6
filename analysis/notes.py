"""What the journal's texts say of groups and calls, as columns beside its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.findings import Finding, invalid, rows

Ints = NDArray[np.int64]

NOBODY: Final = -1
NO_LIMIT: Final = 2**62
"""Stands where a group has no number of members of its own."""
_TEXTS_AT_ONCE: Final = 65_536


class _Person(msgspec.Struct, gc=False):
    user_id: str
    tier: str


class _Note(msgspec.Struct, gc=False):
    group_id: str | None = None
    call_id: str | None = None
    type: str | None = None
    max_members: int | None = None
    members: list[int] | None = None
    participants: list[_Person] | None = None
    user_id: str | None = None
    tier: str | None = None
    seconds: dict[str, int] | None = None


_NOTHING: Final = _Note()


@dataclass(frozen=True, slots=True)
class Notes:
    """One entry for each row about a group or a call, in the journal's order.

    `at` are positions in the journal. `name` numbers the GroupIds and CallIds: indices into `names`.
    """

    at: Ints
    name: Ints
    names: pa.Array
    type: Ints
    types: Sequence[str]
    max_members: Ints
    members: tuple[Ints, Ints]
    """Entries that name members, and their users' numbers, flat."""
    presences: Sequence[tuple[int, str, str | None]]
    """Who is at which tier of a call from an entry on, flat: entry, UserID and tier; no tier for one who left."""
    seconds: Sequence[tuple[int, str, int]]
    """Entries of calls that ended, and what the server counted by tier, flat."""
    findings: tuple[Finding, ...] = ()

    def type_number(self, name: str) -> int:
        """Return how `type` writes a group's type; a number that no entry has for an absent one."""
        return self.types.index(name) if name in self.types else len(self.types)


def read(at: Ints, texts: pa.ChunkedArray) -> Notes:
    """Read the texts of the rows at these positions; what is unreadable is a finding and says nothing."""
    notes: list[_Note] = []
    unreadable = 0
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = [text or "{}" for text in texts.slice(start, _TEXTS_AT_ONCE).to_pylist()]
        found, broken = _decoded(part)
        notes += found
        unreadable += broken
    name = pa.array([note.group_id or note.call_id for note in notes], pa.string()).dictionary_encode()
    kind = pa.array([note.type for note in notes], pa.string()).dictionary_encode()
    members = [(entry, user) for entry, note in enumerate(notes) if note.members for user in note.members]
    flat = np.array(members, np.int64).reshape(-1, 2)
    text = f"{rows(unreadable)} of the journal about groups or calls have a text that cannot be read"
    return Notes(
        at=at,
        name=_indices(name),
        names=name.dictionary,
        type=_indices(kind),
        types=kind.dictionary.to_pylist(),
        max_members=np.array([NO_LIMIT if n.max_members is None else n.max_members for n in notes], np.int64),
        members=(flat[:, 0], flat[:, 1]),
        presences=[present for entry, note in enumerate(notes) if note.call_id for present in _presences(entry, note)],
        seconds=[(entry, *item) for entry, note in enumerate(notes) if note.seconds for item in note.seconds.items()],
        findings=(invalid("journal_values", text),) if unreadable else (),
    )


def _presences(entry: int, note: _Note) -> Iterator[tuple[int, str, str | None]]:
    for person in note.participants or ():
        yield entry, person.user_id, person.tier
    if note.user_id:
        yield entry, note.user_id, note.tier


def _decoded(texts: list[str]) -> tuple[list[_Note], int]:
    """Decode all at once, which is several times as fast; one by one where one of them is broken."""
    try:
        return _MANY.decode(f"[{','.join(texts)}]"), 0
    except (msgspec.DecodeError, UnicodeEncodeError):
        notes = [_one(text) for text in texts]
        return [note or _NOTHING for note in notes], notes.count(None)


def _one(text: str) -> _Note | None:
    try:
        return _ONE.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def _indices(encoded: pa.DictionaryArray) -> Ints:
    return np.asarray(encoded.indices.fill_null(NOBODY).to_numpy(zero_copy_only=False), np.int64)


_ONE: Final = msgspec.json.Decoder(_Note)
_MANY: Final = msgspec.json.Decoder(list[_Note])

"""Who was in which group from when to when, folded from the journal for all rows at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import journals
from analysis.notes import NOBODY, Notes
from analysis.occupancy import last_before, next_after

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Memberships:
    """Each entry into a group: who, where, at which row, until which row; who was in it already enters nothing new.

    A membership ends when the user leaves or is deleted, or when the group is destroyed: whichever comes first.
    """

    entry: Ints
    """Of the notes."""
    group: Ints
    user: Ints
    row: Ints
    end: Ints
    """The row that ended it; the span where none did."""
    is_new: Flags
    users: int
    span: int

    @classmethod
    def of(cls, notes: Notes, kind: Ints, user: Ints, span: int) -> "Memberships":
        """Fold a journal; `kind` and `user` belong to all its rows."""
        entries, members = notes.members
        made = kind[notes.at[entries]] == journals.GROUP_CREATED
        joined, left, gone = (
            np.flatnonzero(kind[notes.at] == one) for one in (journals.JOINED, journals.LEFT, journals.GROUP_DESTROYED)
        )
        deleted = np.flatnonzero(kind == journals.DELETED)
        entry = np.concatenate([entries[made], joined])
        group, row = notes.name[entry], notes.at[entry]
        who = np.concatenate([members[made], user[notes.at[joined]]])
        users = int(max(who.max(initial=0), user.max(initial=0))) + 2  # room for nobody, who is -1
        pair = group * users + who
        end = np.minimum.reduce(
            [
                next_after(notes.name[left] * users + user[notes.at[left]], notes.at[left], (pair, row), span),
                next_after(notes.name[gone], notes.at[gone], (group, row), span),
                next_after(user[deleted], deleted, (who, row), span),
            ]
        )
        previous = last_before(pair, row, (pair, row), span)
        is_new = (previous < 0) | (np.append(end, NOBODY)[previous] <= row)
        return cls(entry, group, who, row, end, is_new, users, span)

    def holds(self, group: Ints, user: Ints, row: Ints) -> Flags:
        """Tell who is in a group just before a row."""
        pair = self.group * self.users + self.user
        last = last_before(pair, self.row, (group * self.users + user, row), self.span)
        return np.asarray((last >= 0) & (np.append(self.end, NOBODY)[last] >= row))

"""Answers that leave no row in the journal, because nothing changed: which of them are right?

A journal has a row for each change and each refusal. Importing an account that exists succeeds and changes nothing;
so does quitting a group in which one is not, and there is no kind for a refused quit.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import journals

Ints = NDArray[np.int64]

_REGISTERING: Final = (journals.LOGGED_IN, journals.IMPORTED)


@dataclass(frozen=True, slots=True)
class _Account:
    """From when to when an account may have existed, by what clients saw."""

    sent_us: float
    deleted_us: float


def explained(alone: pd.DataFrame, matched: pd.DataFrame, partners: pd.DataFrame, prepared: Ints) -> int:
    """Count the answers without a row that need none.

    `matched` rows of the ledger stand beside their `partners` in the journal; `prepared` are users whose accounts were
    made before the run.
    """
    if alone.empty:
        return 0
    imports = alone[(alone["verb"] == "import") & (alone["code"] == 0)]
    known = _accounts(imports["user"].to_numpy(), matched, partners)
    count = int((alone["verb"] == "quit_group").sum())
    made_before = set(prepared.tolist())
    for user, sent, answered in zip(imports["user"], imports["sent_us"], imports["answered_us"], strict=True):
        if user in made_before or any(a.sent_us <= answered and sent <= a.deleted_us for a in known[user]):
            count += 1
    return count


def _accounts(users: Ints, matched: pd.DataFrame, partners: pd.DataFrame) -> defaultdict[int, list[_Account]]:
    """Pair each registration of these users with the deletion that follows it in the journal."""
    found: defaultdict[int, list[_Account]] = defaultdict(list)
    of_them = matched["user"].isin(users).to_numpy()
    acts = pd.DataFrame(
        {
            "user": matched["user"].to_numpy()[of_them],
            "sent": matched["sent_us"].to_numpy()[of_them],
            "answered": matched["answered_us"].to_numpy()[of_them],
            "kind": partners["kind"].to_numpy()[of_them],
            "seq": partners["seq"].to_numpy()[of_them],
        }
    ).sort_values(["user", "seq"])
    until: dict[int, float] = {}
    for user, sent, answered, kind in reversed(
        list(acts[["user", "sent", "answered", "kind"]].itertuples(index=False, name=None))
    ):
        if kind == journals.DELETED:
            until[user] = answered
        elif kind in _REGISTERING:
            found[user].append(_Account(sent, until.get(user, float("inf"))))
    return found

"""What a server process has in mind of an app beside the counts in the store, said as a whole.

Where several processes serve an app, each hears what the others change. One that starts later begins with this, so that
what was said long ago need not be kept for it.
"""

from typing import Any

import msgspec

from mock_im_server.domain.calls import Call
from mock_im_server.domain.clock import Clock
from mock_im_server.domain.faults import FaultRule
from mock_im_server.domain.groups import Group


class CallsKept(msgspec.Struct):
    """Trials and calls."""

    opened_ms: list[int]
    calls: list[Call]
    seconds: dict[int, dict[str, int]]
    """Of calls that have ended, by billing day and tier."""


class Kept(msgspec.Struct):
    """An app as one process knows it; sessions, profiles and statistics are each process's own."""

    clock: Clock
    ticket_salt: str
    plan: str
    plan_changed_month: str
    month: str
    """The month that is open, where there is no statement yet."""
    statements: dict[str, dict[str, Any]]
    """By month, in their order."""
    groups: list[Group]
    groups_made: int
    faults: tuple[FaultRule, ...]
    generations: dict[int, int]
    kicked_s: dict[str, int]
    calls: CallsKept

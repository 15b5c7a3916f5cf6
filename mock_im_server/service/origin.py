"""Where a request came from, for the journal."""

from typing import NamedTuple


class Origin(NamedTuple):
    """The request's id: a connection's number in the app's journal and the request's `seq` there; zeros: unnamed."""

    connection: int = 0
    request_seq: int = 0
    platform: int = 0

"""Where a request came from, for the journal."""

from typing import NamedTuple


class Origin(NamedTuple):
    """The request's id: a connection's number in the app's journal and the request's `seq` there; zeros: unnamed.

    Behind them what only webhooks tell: an app that has none may leave it out.
    """

    connection: int = 0
    request_seq: int = 0
    platform: int = 0
    client_ip: str = ""
    is_rest: bool = True

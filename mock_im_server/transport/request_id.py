"""How a client without a WebSocket names its requests, so that a ledger and the journal can be laid side by side.

The header `X-Request-Id: <32 hex digits>-<number>`: the client's name and its own count. A foreign server ignores it.
"""

import re
from typing import Final

from aiohttp import web

from mock_im_server.service import App, Origin

HEADER: Final = "X-Request-Id"

_REQUEST_ID: Final = re.compile(r"([0-9a-fA-F]{32})-([0-9]{1,18})", re.ASCII)
"""18 digits fit the journal's column."""
_UNNAMED: Final = Origin()


async def origin_of(app: App, request: web.Request) -> Origin:
    """Where a request comes from; zeros for a client that does not name itself."""
    named = _REQUEST_ID.fullmatch(request.headers.get(HEADER, ""))
    origin = _UNNAMED
    if named is not None:
        origin = await app.origin(named[1], int(named[2]), await app.settled_ms())
    return origin if app.listener is None else origin._replace(client_ip=request.remote or "")

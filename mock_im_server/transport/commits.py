"""One write of the journal for all requests of a tick: a write costs the same for one row as for fifty."""

import asyncio
from collections.abc import Iterable

from mock_im_server.service import App


class Commits:
    """Holds requests back until their rows are in the operating system's hands."""

    def __init__(self) -> None:
        self._apps: set[App] = set()
        # A future for each request and not one for all: a client that goes away cancels its own only.
        self._waiting: list[asyncio.Future[None]] = []
        self._writing: set[asyncio.Task[None]] = set()

    async def written(self, app: App) -> None:
        """Return once all rows of the app are written. Raises JournalLostError."""
        if app.journal.is_written:
            return
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._apps.add(app)
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _begin(self) -> None:
        apps, self._apps = self._apps, set()
        waiting, self._waiting = self._waiting, []
        writing = asyncio.create_task(_write(apps, waiting))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)


async def _write(apps: Iterable[App], waiting: Iterable[asyncio.Future[None]]) -> None:
    failure: OSError | None = None
    for app in apps:
        try:
            await app.journal.written()
        except OSError as error:
            failure = error
    for future in waiting:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)

"""The apps of a server: made, found again after a restart, reset. Each has a folder of its own."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from mock_im_server import journal as log
from mock_im_server import recovery
from mock_im_server.catalogue import Catalogue
from mock_im_server.domain.apps import AppSettings, Rules
from mock_im_server.domain.clock import Clock
from mock_im_server.journal import Journal
from mock_im_server.service import App
from mock_im_server.stores.base import Store

FIRST_SDKAPPID: Final = 1_400_000_001

type_now = Callable[[], int]


class AppRefusedError(ValueError):
    """Raised when an app cannot be made as asked; the message says what to change."""


class Apps(Mapping[int, App]):
    """All apps by SDKAppID."""

    def __init__(
        self,
        data_dir: Path,
        *,
        catalogue: Catalogue,
        rules: Rules,
        new_store: Callable[[], Store],
        real_ms: type_now,
    ) -> None:
        self._data_dir = data_dir
        self._catalogue = catalogue
        self._rules = rules
        self._new_store = new_store
        self._real_ms = real_ms
        self._apps: dict[int, App] = {}

    def __getitem__(self, sdkappid: int) -> App:
        return self._apps[sdkappid]

    def __iter__(self) -> Iterator[int]:
        return iter(self._apps)

    def __len__(self) -> int:
        return len(self._apps)

    async def find_all(self) -> None:
        """Take up every app of the data directory where its journal ends. Raises JournalDamagedError."""
        for path in sorted(self._data_dir.glob("*/app.json")):
            settings = AppSettings(**json.loads(path.read_text(encoding="utf-8")))
            await self._recover(settings)

    async def make(self, settings: AppSettings, *, fixed_ms: int | None = None) -> App:
        """A new app; its clock stands at `fixed_ms` or follows real time. Raises AppRefusedError."""
        if settings.sdkappid in self._apps:
            message = f"SDKAppID {settings.sdkappid} is taken"
            raise AppRefusedError(message)
        self._check(settings)
        folder = self._folder(settings.sdkappid)
        folder.mkdir(parents=True)
        app = self._assembled(settings, Clock(fixed_ms))
        await app.open()
        # Last, so that an app is found again only when its journal has begun.
        path = folder / "app.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
        self._apps[settings.sdkappid] = app
        return app

    async def reset(self, sdkappid: int, *, fixed_ms: int | None = None) -> App:
        """Begin an app anew: no accounts, no counts, an empty journal. Its connections end with the old state."""
        old = self._apps.pop(sdkappid)
        old.journal.close()
        old.end_sessions()
        shutil.rmtree(self._folder(sdkappid))
        return await self.make(old.settings, fixed_ms=fixed_ms)

    def free_sdkappid(self) -> int:
        return max(self._apps, default=FIRST_SDKAPPID - 1) + 1

    def close(self) -> None:
        for app in self._apps.values():
            app.journal.close()

    async def _recover(self, settings: AppSettings) -> None:
        self._check(settings)
        folder = self._folder(settings.sdkappid) / "journal"
        contents = log.read(folder)
        app = self._assembled(settings, Clock())
        app.journal.resume_after(contents.head, contents.rows, contents.last_seq)
        if contents.rows:
            await app.restore(recovery.fold(contents.batches))
        else:
            await app.open()
        self._apps[settings.sdkappid] = app

    def _assembled(self, settings: AppSettings, clock: Clock) -> App:
        return App(
            settings,
            plan=self._catalogue.plans[settings.plan],
            book=self._catalogue.price_books[settings.price_book],
            rules=self._rules,
            clock=clock,
            store=self._new_store(),
            journal=Journal(self._folder(settings.sdkappid) / "journal"),
            real_ms=self._real_ms,
        )

    def _folder(self, sdkappid: int) -> Path:
        return self._data_dir / str(sdkappid)

    def _check(self, settings: AppSettings) -> None:
        _one_of("plan", settings.plan, self._catalogue.plans)
        _one_of("price book", settings.price_book, self._catalogue.price_books)
        if not settings.key:
            message = f"app {settings.sdkappid} needs a key"
            raise AppRefusedError(message)


def _one_of(what: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        message = f"unknown {what} {name!r}: choose one of {', '.join(known)}"
        raise AppRefusedError(message)

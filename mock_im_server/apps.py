"""The apps of a server: made, found again after a restart, reset. Each has a folder of its own."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from mock_im_server import checkpoints, recovery
from mock_im_server import journal as log
from mock_im_server.catalogue import Catalogue
from mock_im_server.domain.apps import BY_OPENING_DAY, AppSettings, Rules
from mock_im_server.domain.calendar import DAY_MS, BillingCalendar, iso_day
from mock_im_server.domain.clock import EARLIEST_MS, LATEST_MS, Clock
from mock_im_server.journal import Appendable, Journal
from mock_im_server.service import App
from mock_im_server.stores.base import Store, StoreAwayError

FIRST_SDKAPPID: Final = 1_400_000_001
SDKAPPID_MAX: Final = (1 << 32) - 1
CHARGE_DAY_MAX: Final = 28
_SETTINGS: Final = "app.json"
JOURNAL: Final = "journal"
_SNAPSHOTS: Final = "snapshots"
_SNAPSHOT_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_GONE: Final = "journal.gone-"
"""What the journal of an app is called that was reset, until it is deleted."""

SETTLE_INTERVAL_S: Final = 1.0
"""How often a clock that runs by itself is asked whether a month has ended."""

CHECKPOINT_INTERVAL_S: Final = 1.0
"""How often journals are asked whether one is due."""

type_now = Callable[[], int]
type_hear = Callable[[Mapping[str, Any]], Awaitable[None]]


class AppRefusedError(ValueError):
    """Raised when an app cannot be made as asked; the message says what to change."""


class SnapshotUnknownError(LookupError):
    """Raised when an app has no snapshot of that name; the message says which ones it has."""


class Apps(Mapping[int, App]):
    """All apps by SDKAppID."""

    def __init__(  # noqa: PLR0913 -- what all apps share; named at the only call
        self,
        data_dir: Path,
        *,
        catalogue: Catalogue,
        rules: Rules,
        new_store: Callable[[], Store],
        real_ms: type_now,
        bars_guessing: bool = False,
        syncs_journals: bool = False,
    ) -> None:
        self._syncs_journals = syncs_journals
        self._bars_guessing = bars_guessing
        self._data_dir = data_dir
        self._catalogue = catalogue
        self._rules = rules
        self._make_store = new_store
        self._real_ms = real_ms
        self._apps: dict[int, App] = {}
        self._resets = 0
        self._freeing: set[asyncio.Task[None]] = set()
        self._copying = asyncio.Lock()
        """One snapshot or reset after the other: they share drafts, and the journal must stay where it is."""
        self.on_made: list[Callable[[App], None]] = []
        """Told of every app that is made, also in place of one that is reset."""
        self.on_news: list[type_hear] = []
        """Told what other server processes tell of access points, routing and webhooks."""
        self.on_opened: list[Callable[[App], Awaitable[None]]] = []
        """The same, awaited before anybody else can know the app: for what belongs at a journal's beginning."""

    def __getitem__(self, sdkappid: int) -> App:
        return self._apps[sdkappid]

    def __iter__(self) -> Iterator[int]:
        return iter(self._apps)

    def __len__(self) -> int:
        return len(self._apps)

    async def catch_up(self) -> None:
        """Hear what other server processes have done; there are none."""

    async def tell(self, news: Mapping[str, Any]) -> None:
        """Tell other server processes; there are none."""

    async def run(self) -> None:
        """What an app needs done beside its requests, until cancelled: settle months while the clock runs by itself."""
        while True:
            await asyncio.sleep(SETTLE_INTERVAL_S)
            for app in list(self._apps.values()):
                with suppress(StoreAwayError):  # The next round may find it.
                    await app.settled_ms()

    async def keep_checkpoints(self) -> None:
        """Have journals folded beside, so that a server that comes back need not read all of them; until cancelled."""
        while True:
            await asyncio.sleep(CHECKPOINT_INTERVAL_S)
            for app in list(self._apps.values()):
                if isinstance(app.journal, Journal):
                    await checkpoints.make_if_due(app.journal)

    async def find_all(self) -> None:
        """Take up every app of the data directory where its journal ends. Raises JournalDamagedError."""
        for gone in self._data_dir.glob(f"*/{_GONE}*"):
            shutil.rmtree(gone)
        for path in sorted(self._data_dir.glob(f"*/{_SETTINGS}")):
            settings = _settings(path.parent)
            self._apps[settings.sdkappid] = await self._recovered(path.parent / JOURNAL, settings)

    async def make(self, settings: AppSettings, *, fixed_ms: int | None = None) -> App:
        """A new app; its clock stands at `fixed_ms` or follows real time. Raises AppRefusedError."""
        if settings.sdkappid in self._apps:
            message = f"SDKAppID {settings.sdkappid} is taken"
            raise AppRefusedError(message)
        check_start(fixed_ms)
        _within("billing offset in ms", settings.billing_offset_ms, -DAY_MS, DAY_MS)
        if settings.price_book == BY_OPENING_DAY:
            settings = replace(settings, price_book=self._book_of_day(settings, fixed_ms))
        self._check(settings)
        self._make_room(settings)
        app = self._assembled(settings, Clock(fixed_ms))
        await app.open()
        for begin in self.on_opened:
            await begin(app)
        self._enter(app)
        return app

    async def reset(self, sdkappid: int, *, fixed_ms: int | None = None) -> App:
        """Begin an app anew: no accounts, no sessions, an empty journal. Connections stay; old tickets do not hold."""
        check_start(fixed_ms)
        async with self._copying:
            old = self._taken_out(sdkappid)
            return await self.make(old.settings, fixed_ms=fixed_ms)

    async def save(self, sdkappid: int, name: str) -> None:
        """Keep an app's state under a name, in place of an older one of that name. Raises AppRefusedError.

        The state is the journal up to here; profiles are in no journal and so in no snapshot.
        """
        if not _SNAPSHOT_NAME.fullmatch(name):
            message = f"a snapshot's name is 1 to 64 letters, digits, '_' or '-', not {name!r}"
            raise AppRefusedError(message)
        folder = self._folder(sdkappid)
        draft, kept = folder / f"{_SNAPSHOTS}.draft", folder / _SNAPSHOTS / name
        async with self._copying:
            sizes = dict((await self._apps[sdkappid].journal.cut()).files)
            await asyncio.to_thread(_copy_settings_and_segments, folder, sizes, draft)
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            draft.rename(kept)

    def snapshots(self, sdkappid: int) -> list[str]:
        """Names of an app's snapshots, in the order of the alphabet."""
        return sorted(path.name for path in (self._folder(sdkappid) / _SNAPSHOTS).glob("*"))

    async def restore(self, sdkappid: int, name: str) -> App:
        """Take an app back to a snapshot: its sessions end, and its clock stands where it stood.

        Raises SnapshotUnknownError; JournalDamagedError, and then the app goes on as it was.
        """
        async with self._copying:
            kept = self._snapshot(sdkappid, name)
            draft = await self._copied(kept, sdkappid)
            app = await self._recovered(draft, _settings(kept))
            self._taken_out(sdkappid)
            return self._entered(draft, app)

    async def fork(self, sdkappid: int, name: str, *, into: int, key: str) -> App:
        """Make another app that begins where a snapshot ends.

        Raises SnapshotUnknownError, AppRefusedError, JournalDamagedError.
        """
        async with self._copying:
            kept = self._snapshot(sdkappid, name)
            settings = replace(_settings(kept), sdkappid=into, key=key)
            self._check(settings)
            if into in self._apps:
                message = f"SDKAppID {into} is taken"
                raise AppRefusedError(message)
            self._folder(into).mkdir(parents=True, exist_ok=True)
            draft = await self._copied(kept, into)
            app = await self._recovered(draft, settings)
            shutil.rmtree(self._folder(into) / JOURNAL, ignore_errors=True)
            return self._entered(draft, app)

    async def change_plan(self, sdkappid: int, plan: str) -> None:
        """Raises AppRefusedError for a plan that there is not, PlanRefusedError for one that may not be taken now."""
        _one_of("plan", plan, self._catalogue.plans)
        app = self._apps[sdkappid]
        self._check_price(app.settings.price_book, plan)
        await app.change_plan(self._catalogue.plans[plan])

    def free_sdkappid(self) -> int:
        return max(self._apps, default=FIRST_SDKAPPID - 1) + 1

    async def freed(self) -> None:
        """Wait until nothing is left of apps that were reset."""
        await asyncio.gather(*self._freeing)

    def close(self) -> None:
        for app in self._apps.values():
            app.journal.close()

    def _enter(self, app: App) -> None:
        """Let an app be found, now and after a restart."""
        settings = app.settings
        # Last, so that an app is found again only when its journal has begun.
        _write_private(self._folder(settings.sdkappid) / _SETTINGS, json.dumps(asdict(settings), indent=2) + "\n")
        self._apps[settings.sdkappid] = app
        for hear in self.on_made:
            hear(app)

    def _taken_out(self, sdkappid: int) -> App:
        """An app that is no more; what it leaves is freed beside."""
        old = self._apps.pop(sdkappid)
        old.retire()
        folder = self._folder(sdkappid)
        # First the file by which an app is found: a server killed here has lost the app, not half of it.
        (folder / _SETTINGS).unlink()
        self._resets += 1
        gone = folder / f"{_GONE}{self._resets}"
        (folder / JOURNAL).rename(gone)
        freeing = asyncio.create_task(_freed(old, gone), name=f"reset {sdkappid}")
        self._freeing.add(freeing)
        freeing.add_done_callback(self._freeing.discard)
        return old

    def _snapshot(self, sdkappid: int, name: str) -> Path:
        if name not in self.snapshots(sdkappid):
            known = ", ".join(self.snapshots(sdkappid)) or "none yet"
            message = f"app {sdkappid} has no snapshot {name!r}; there are: {known}"
            raise SnapshotUnknownError(message)
        return self._folder(sdkappid) / _SNAPSHOTS / name

    async def _copied(self, kept: Path, sdkappid: int) -> Path:
        draft = self._folder(sdkappid) / f"{JOURNAL}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        await asyncio.to_thread(shutil.copytree, kept / JOURNAL, draft)
        return draft

    def _entered(self, draft: Path, app: App) -> App:
        """An app that goes on where a copied journal ends."""
        _take_the_place(draft, of=JOURNAL)
        self._enter(app)
        return app

    async def _recovered(self, folder: Path, settings: AppSettings) -> App:
        """An app as the journal in this folder leaves it."""
        self._check(settings)
        known = checkpoints.latest(folder)
        mark = known.mark if known else log.BEGINNING
        contents = log.read(folder, mark)
        if not contents.rows:
            message = f"{folder} holds no journal, but app {settings.sdkappid} had begun one"
            raise log.JournalDamagedError(message)
        app = self._assembled(settings, Clock())
        assert isinstance(app.journal, Journal), "only files are recovered from"
        app.journal.resume_after(contents.head, contents.rows, contents.last_seq)
        app.journal.ended_bytes = sum(path.stat().st_size for path in log.segments(folder, mark))
        state = recovery.fold(contents.batches, known.state if known else None)
        await app.restore(state, self._catalogue.plans[state.plan])
        return app

    def _make_room(self, settings: AppSettings) -> None:
        folder = self._folder(settings.sdkappid)
        folder.mkdir(parents=True, exist_ok=True)
        # What an app leaves that was being made or reset when its server was killed: nobody was told of it.
        shutil.rmtree(folder / JOURNAL, ignore_errors=True)

    def _new_journal(self, settings: AppSettings) -> Appendable:
        return Journal(self._folder(settings.sdkappid) / JOURNAL, syncs=self._syncs_journals)

    def _new_store(self, _settings: AppSettings) -> Store:
        return self._make_store()

    def _assembled(self, settings: AppSettings, clock: Clock) -> App:
        return App(
            settings,
            plan=self._catalogue.plans[settings.plan],
            book=self._catalogue.price_books[settings.price_book],
            rules=self._rules,
            clock=clock,
            store=self._new_store(settings),
            journal=self._new_journal(settings),
            real_ms=self._real_ms,
            call_trial=self._catalogue.call_trial,
            bars_guessing=self._bars_guessing,
        )

    def _folder(self, sdkappid: int) -> Path:
        return self._data_dir / str(sdkappid)

    def _book_of_day(self, settings: AppSettings, fixed_ms: int | None) -> str:
        _one_of("site", settings.site, self._catalogue.sites)
        opened_ms = self._real_ms() if fixed_ms is None else fixed_ms
        day = BillingCalendar(settings.billing_offset_ms).day(opened_ms)
        book = self._catalogue.book_of_app_opened(settings.site, day)
        if book is None:
            message = f"no price list of site {settings.site} is known for an app opened on {iso_day(day)}: name one"
            raise AppRefusedError(message)
        return book.name

    def _check_price(self, price_book: str, plan: str) -> None:
        if plan not in self._catalogue.price_books[price_book].plan_fee:
            message = f"price list {price_book} has no price for plan {plan}"
            raise AppRefusedError(message)

    def _check(self, settings: AppSettings) -> None:
        _one_of("plan", settings.plan, self._catalogue.plans)
        _one_of("price book", settings.price_book, self._catalogue.price_books)
        self._check_price(settings.price_book, settings.plan)
        _within("SDKAppID", settings.sdkappid, 1, SDKAPPID_MAX)
        _within("billing offset in ms", settings.billing_offset_ms, -DAY_MS, DAY_MS)
        _within("day of the charge", settings.charge_day, 1, CHARGE_DAY_MAX)
        if not settings.key:
            message = f"app {settings.sdkappid} needs a key"
            raise AppRefusedError(message)


def _one_of(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        message = f"unknown {what} {name!r}: choose one of {', '.join(known)}"
        raise AppRefusedError(message)


def _settings(folder: Path) -> AppSettings:
    return AppSettings(**json.loads((folder / _SETTINGS).read_text(encoding="utf-8")))


def _copy_settings_and_segments(folder: Path, sizes: Mapping[Path, int], target: Path) -> None:
    """Segments as long as they are said to be: rows may have been added meanwhile."""
    shutil.rmtree(target, ignore_errors=True)
    (target / JOURNAL).mkdir(parents=True)
    shutil.copy2(folder / _SETTINGS, target / _SETTINGS)
    for path, size in sizes.items():
        copy = target / JOURNAL / path.name
        shutil.copyfile(path, copy)
        os.truncate(copy, size)


def _take_the_place(draft: Path, *, of: str) -> None:
    draft.rename(draft.with_name(of))


async def _freed(old: App, journal: Path) -> None:
    """What a reset leaves: nobody waits for it."""
    await asyncio.to_thread(shutil.rmtree, journal)
    await old.release()


def check_start(fixed_ms: int | None) -> None:
    if fixed_ms is not None and not EARLIEST_MS <= fixed_ms <= LATEST_MS - DAY_MS:
        message = "a clock starts between 1970 and 2199"
        raise AppRefusedError(message)


def _within(what: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        message = f"the {what} must be {least} to {most}, not {number}"
        raise AppRefusedError(message)


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by nobody else: the file holds the app's key."""
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)

"""Keeps house among runs: what is in a folder of them, how large it is, and what may go.

Only directories that are runs by name and by content are seen here; whatever else lies in the folder is left alone.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from analysis import run_files

State = Literal["passed", "failed", "invalid", "not audited", "unfinished", "in progress"]

_NAME: Final = re.compile(r".+-(\d{8}T\d{6})(-\d+)?(\.partial)?")
_GONE: Final = ".removed"
"""Ends the name of what is being removed: whoever stops that halfway leaves no half run behind."""


class RemovalError(Exception):
    """Raised with one sentence when runs cannot be removed; nothing has been then."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A run as it lies in its folder."""

    path: Path
    started: datetime
    bytes: int
    state: State
    is_latest: bool
    peak_dau: int | None
    total_cents: int | None
    currency: str | None

    @property
    def name(self) -> str:
        return self.path.name

    def document(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {**asdict(self), "path": str(self.path), "started": self.started.isoformat()}


def found(folder: Path) -> list[Kept]:
    """List the runs of a folder, the oldest first. Raises OSError."""
    latest = _latest(folder)
    runs = [_kept(path, path == latest) for path in folder.iterdir() if _is_run(path)]
    return sorted(runs, key=lambda run: (run.started, run.name))


def chosen(
    runs: Sequence[Kept], names: Sequence[str], *, keep: int | None, older_than_days: float | None, now: datetime
) -> list[Kept]:
    """Choose what may go: the runs that are named; or all but the `keep` newest that are older than that.

    Runs in progress are never chosen. Raises RemovalError for a name that is no run, or one that goes on.
    """
    if names:
        return [_named(runs, name) for name in dict.fromkeys(names)]
    if keep is None and older_than_days is None:
        return []
    idle = [run for run in runs if run.state != "in progress"]
    old = idle if not keep else idle[:-keep]
    if older_than_days is None:
        return old
    return [run for run in old if now - run.started > timedelta(days=older_than_days)]


def remove(folder: Path, runs: Sequence[Kept]) -> None:
    """Remove runs and let `latest` point to the newest that is left with a verdict, or to none. Raises OSError."""
    for run in runs:
        with _held(run.path) as is_held:
            if not is_held:
                raise RemovalError(f"{run.name} is in progress")
            gone = run.path.with_name(f".{run.name}{_GONE}")
            run.path.rename(gone)
            shutil.rmtree(gone)
    link = folder / run_files.LATEST
    if link.is_symlink() and not link.exists():
        left = [run for run in found(folder) if (run.path / run_files.VERDICT).is_file()]
        link.unlink()
        if left:
            link.symlink_to(left[-1].name)


def size(count: int) -> str:
    """Write bytes for people.

    >>> size(512), size(81_234_567), size(3_000_000_000)
    ('512 B', '81.2 MB', '3.0 GB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def _is_run(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir() or not _NAME.fullmatch(path.name) or path.name.startswith("."):
        return False
    plan = _json(path / run_files.PLAN)
    if plan is not None:
        return "scenario" in plan and "arrivals" in plan
    # Before its plan is written a run has a folder for ledgers and nothing of anybody else.
    return path.name.endswith(run_files.PARTIAL_SUFFIX) and (path / run_files.LEDGER_FOLDER).is_dir()


def _kept(path: Path, is_latest: bool) -> Kept:  # noqa: FBT001 -- as the field
    verdict = _json(path / run_files.VERDICT) or {}
    match = _NAME.fullmatch(path.name)
    assert match is not None, "a run is known by its name"
    return Kept(
        path=path,
        started=datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC),
        bytes=sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir()),
        state=_state(path, verdict.get("outcome")),
        is_latest=is_latest,
        peak_dau=verdict.get("peak_dau"),
        total_cents=verdict.get("total_cents"),
        currency=verdict.get("currency"),
    )


def _state(path: Path, outcome: State | None) -> State:
    with _held(path) as is_held:
        if not is_held:
            return "in progress"
    if outcome is not None:
        return outcome
    return "unfinished" if path.name.endswith(run_files.PARTIAL_SUFFIX) else "not audited"


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold a run's directory, unless the harness does, which locks it while it plays; the kernel ends that with it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _named(runs: Sequence[Kept], name: str) -> Kept:
    wanted = Path(name).name
    for run in runs:
        if run.name == wanted:
            if run.state == "in progress":
                raise RemovalError(f"{name} is in progress")
            return run
    raise RemovalError(f"{name} is no run of this folder")


def _latest(folder: Path) -> Path | None:
    link = folder / run_files.LATEST
    return folder / link.readlink() if link.is_symlink() else None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None

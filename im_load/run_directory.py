"""The directory of a run, while it grows: `<id>.partial` until everything has been handed over."""

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

from analysis import run_files

HASH_BYTES: Final = 32


class RunDirectory:
    """Files of one run."""

    def __init__(self, runs: Path, scenario: str, month: str, seed: int, now: datetime) -> None:
        """Make the directory. Raises OSError when it cannot be made."""
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
        name = f"{scenario}-{month}-seed{seed}-{stamp}"
        self.id = _unused(runs, name)
        self.runs = runs
        self.path = runs / f"{self.id}{run_files.PARTIAL_SUFFIX}"
        self.path.mkdir(parents=True)
        # Held while the run goes on, so that nobody tidies it away; the kernel lets go when this process ends.
        self._hold = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._hold, fcntl.LOCK_EX)
        (self.path / run_files.LEDGER_FOLDER).mkdir()
        self._ledgers: dict[int, LedgerFile] = {}

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (self.path / name).write_text(text, encoding="utf-8")

    def ledger(self, worker: int) -> "LedgerFile":
        if worker not in self._ledgers:
            name = f"{run_files.LEDGER_FOLDER}/worker-{worker}.arrow"
            self._ledgers[worker] = LedgerFile(self.path, name)
        return self._ledgers[worker]

    def close_ledgers(self) -> None:
        for ledger in self._ledgers.values():
            ledger.close()

    def complete(self) -> None:
        """Take the mark of an unfinished run off."""
        whole = self.runs / self.id
        self.path.rename(whole)
        self.path = whole

    def release(self) -> None:
        """Nothing more will be written: from now on the run may be removed."""
        os.close(self._hold)

    def link_latest(self) -> None:
        """Let `latest` point here; at no moment is there none."""
        link = self.runs / run_files.LATEST
        fresh = self.runs / f".{run_files.LATEST}-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.path.name)
        fresh.replace(link)


class LedgerFile:
    """A worker's ledger as it arrives."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.bytes = 0
        self._hash = blake2b(digest_size=HASH_BYTES)
        self._file: BinaryIO = (folder / name).open("wb")

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()


def _unused(runs: Path, name: str) -> str:
    candidate, number = name, 1
    while (runs / candidate).exists() or (runs / f"{candidate}{run_files.PARTIAL_SUFFIX}").exists():
        number += 1
        candidate = f"{name}-{number}"
    return candidate

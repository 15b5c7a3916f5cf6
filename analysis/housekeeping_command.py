"""The command `runs`: lists the runs of a folder and removes old ones."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from analysis.bills import ABSENT, money
from analysis.housekeeping import Kept, RemovalError, chosen, found, remove, size

_RUNS: Final = """\
List the runs of a folder with their size, outcome and bill, or remove some: those that are
named, or all but the newest, or those that are older than some days. What is no run is left
alone, and so is a run in progress; `latest` goes on to point to a run that is there."""

_MORE: Final = """\
example:
  python -m analysis runs
  python -m analysis runs --keep 10
  python -m analysis runs --older-than 30 --yes
  python -m analysis runs --remove dau_spike-2026-10-seed7-20261123T021500

Before anything is removed it is listed and asked for; --yes answers, for scripts."""


def add(commands: "argparse._SubParsersAction[Any]", refuse: Callable[[str], int]) -> None:
    """Add the command; `refuse` says what is wrong and returns the exit code of wrong use."""
    parser = commands.add_parser(
        "runs",
        help="list runs, remove old ones",
        description=_RUNS,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", nargs="?", default=Path("runs"), help="(runs)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--remove", nargs="+", metavar="RUN", help="remove these")
    which.add_argument("--keep", type=_count, metavar="N", help="remove all but the N newest")
    parser.add_argument("--older-than", type=_days, metavar="DAYS", help="remove those; with --keep, both must hold")
    parser.add_argument("--yes", action="store_true", help="remove without asking")
    parser.add_argument("--json", action="store_true", help="print JSON: the runs, or what was removed")
    parser.set_defaults(command=lambda given: _runs(given, refuse))


def _runs(given: argparse.Namespace, refuse: Callable[[str], int]) -> int:
    if given.remove and given.older_than is not None:
        return refuse("--remove names the runs: leave --older-than out")
    try:
        if given.remove or given.keep is not None or given.older_than is not None:
            _remove(given)
        else:
            _list(given)
    except RemovalError as wrong:
        return refuse(str(wrong))
    except OSError as wrong:
        return refuse(f"{wrong.filename}: {wrong.strerror}")
    return 0


def _list(given: argparse.Namespace) -> None:
    runs = found(given.folder)
    if given.json:
        _say(_json(runs))
    else:
        _say(_table(runs) if runs else f"no runs in {given.folder}")


def _remove(given: argparse.Namespace) -> None:
    runs, now = found(given.folder), datetime.now(UTC)
    going = chosen(runs, given.remove or [], keep=given.keep, older_than_days=given.older_than, now=now)
    if going and not given.json:
        _say(_table(going))
    if going and not given.yes:
        if not sys.stdin.isatty():
            raise RemovalError("nobody is there to be asked: give --yes to remove them")
        if not _agrees(going):
            _say("nothing was removed")
            return
    remove(given.folder, going)
    text = f"removed {_summed(going)}" if going else "nothing to remove"
    _say(_json(going) if given.json else text)


def _agrees(going: Sequence[Kept]) -> bool:
    sys.stderr.write(f"remove {_summed(going)}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _json(runs: Sequence[Kept]) -> str:
    return json.dumps([run.document() for run in runs], indent=2)


def _table(runs: Sequence[Kept]) -> str:
    width = max(len(run.name) for run in runs)
    lines = [f"{'run':{width}}  {'size':>8}  {'outcome':11}  {'peak DAU':>11}  {'bill':>15}"]
    lines += [_row(run, width) for run in runs]
    return "\n".join([*lines, _summed(runs)])


def _row(run: Kept, width: int) -> str:
    peak = ABSENT if run.peak_dau is None else f"{run.peak_dau:,}"
    total = ABSENT if run.total_cents is None else f"{money(run.total_cents)} {run.currency}"
    latest = "  latest" if run.is_latest else ""
    return f"{run.name:{width}}  {size(run.bytes):>8}  {run.state:11}  {peak:>11}  {total:>15}{latest}"


def _summed(runs: Sequence[Kept]) -> str:
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}, {size(sum(run.bytes for run in runs))}"


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:  # noqa: PLR2004 -- no run is older than this
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return days


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

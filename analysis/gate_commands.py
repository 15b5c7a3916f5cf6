"""The commands about gates beside the audit: `gates` checks a gate file, `early` judges a run that still goes on."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_GATES: Final = """\
Check gate files before a run: unknown metrics, keys and values are named, and nothing is
judged. What only a run can tell, a day or country without requests, shows in the audit."""

_EARLY: Final = """\
Judge a run that still goes on by those gates that may abort it (abort = true): exit code 1
as soon as one is broken. Reads the ledgers as far as they have come and writes nothing."""

BROKEN: Final = 1


def add(commands: "argparse._SubParsersAction[Any]", refuse: Callable[[str], int]) -> None:
    """Add both; `refuse` says what is wrong and returns the exit code of wrong use."""
    check = commands.add_parser("gates", help="check a gate file without a run", description=_GATES)
    check.add_argument("files", type=Path, metavar="FILE", nargs="+", help="gate file, TOML")
    check.set_defaults(command=lambda chosen: _check(chosen, refuse))
    early = commands.add_parser("early", help="tell whether a run may be stopped already", description=_EARLY)
    early.add_argument("run", type=Path, metavar="RUN", help="directory of the run, e.g. runs/….partial")
    early.add_argument("--gates", type=Path, metavar="FILE", required=True, help="gate file")
    early.set_defaults(command=lambda chosen: _early(chosen, refuse))


def _check(chosen: argparse.Namespace, refuse: Callable[[str], int]) -> int:
    from analysis import gates  # noqa: PLC0415 -- pandas is not worth loading for `--help`

    try:
        counts = {path: len(gates.read(path)) for path in chosen.files}
    except gates.GateError as wrong:
        return refuse(str(wrong))
    for path, count in counts.items():
        sys.stdout.write(f"{path}: {count} gate{'' if count == 1 else 's'}\n")
    return 0


def _early(chosen: argparse.Namespace, refuse: Callable[[str], int]) -> int:
    from analysis import early, gates, loading  # noqa: PLC0415

    try:
        broken = early.broken(gates.read(chosen.gates), chosen.run.resolve())
    except (gates.GateError, loading.NotARunError) as wrong:
        return refuse(str(wrong))
    for result in broken:
        sys.stdout.write(f"{result.finding.text}\n")
    return BROKEN if broken else 0

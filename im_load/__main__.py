"""The command line of the harness beside Locust's: `doctor` says what load this machine can carry."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from im_load import machine
from im_load.doctor import USERS, Examination, Wish
from im_load.options import DAU_MAX
from im_load.sockets import sources_max

NOT_FEASIBLE: Final = 1
WRONG_USE: Final = 3
COUNT_MAX: Final = 10_000_000

_DOCTOR: Final = """\
Look at cores, memory, disk, descriptors, ports and backlog of this machine; say what each
allows, what to do where one is low, and what load is feasible. Judges a day of users, by
default that of make demo. A run itself is looked at with locust … --dry-run.

exit codes: 0 feasible · 1 not feasible · 3 wrong use"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see --help)", file=sys.stderr)
        sys.exit(WRONG_USE)


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command; returns its exit code."""
    parser = _Parser(prog="python -m im_load", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    doctor = commands.add_parser(
        "doctor",
        help="what load this machine can carry",
        description=_DOCTOR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = doctor.add_argument
    add("--users", type=_count(DAU_MAX), default=USERS, metavar="N", help=f"distinct users of the day ({USERS})")
    add("--connections-at-once", type=_count(COUNT_MAX), default=0, metavar="N", help="connections that are to be open")
    add("--rate", type=_count(COUNT_MAX), default=0, metavar="N", help="requests a second that are to be reached")
    add("--per-user", action="store_true", help="every login has a connection of its own (--connections per-user)")
    add("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="whose disk is meant (runs)")
    chosen = parser.parse_args(words)
    wish = Wish(
        users=chosen.users,
        connections=chosen.connections_at_once,
        rate=chosen.rate,
        is_per_user=chosen.per_user,
    )
    found = Examination(machine.here(chosen.runs, sources_max("127.0.0.1")), wish)
    print(f"{found.text()}\n\n{found.verdict()}")
    return NOT_FEASIBLE if found.lacks() else 0


class _count:  # noqa: N801 -- argparse names a type in its errors
    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, text: str) -> int:
        number = int(text) if text.isdecimal() else 0
        if not 1 <= number <= self._most:
            message = f"{text!r}: a whole number from 1 to {self._most} is needed"
            raise argparse.ArgumentTypeError(message)
        return number


if __name__ == "__main__":
    sys.exit(main())

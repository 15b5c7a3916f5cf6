"""The command line of the analysis: `audit` judges a run from its files, `bill` prices a peak without one."""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

from analysis import run_files
from analysis.bills import TIMES, Usage, bill, money, price
from analysis.prices import DEFAULT_BOOK, price_books

WRONG_USE: Final = 3
INTERRUPTED: Final = 2
PROGRESS_AFTER_S: Final = 2.0

_DESCRIPTION: Final = """\
Judge a load-test run from its files alone, whichever server it ran against, or price a
peak without any load.

exit codes: 0 passed · 1 a comparison or gate failed · 2 the run is invalid · 3 wrong use"""

_AUDIT: Final = """\
Recount a run's daily active users and its bill from the ledger and, separately, from the
journal; compare plan, ledger, journal and statement with zero tolerance; apply the gates.
Writes verdict.json, summary.md, junit.xml and report.html into the run's directory."""

_AUDIT_MORE: Final = """\
example:
  python -m analysis audit runs/latest
  python -m analysis audit runs/latest --gates gates/million.toml

A gate file holds [[gate]] tables: metric; one of equals, at_most, at_least;
kind = "exact", "validity" or "performance"; on_failure = "fail" (default) or "warn".
A failed validity gate makes the run invalid. Metrics:
"""

_BILL: Final = """\
Price a month by its peak day: the plan's fee and, on paid plans, each started 10,000 of
what lies above the free 10,000 DAU. The trial refuses logins over its quota instead."""

_BILL_MORE: Final = """\
example:
  python -m analysis bill --dau 1000000 --plan pro
  python -m analysis bill --dau 1000000 --plan pro --price-book 2021-08 --json"""


class _Parser(argparse.ArgumentParser):
    """Wrong use ends with 3: argparse's own 2 means an invalid run here."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}\n")

    def format_help(self) -> str:
        """List the metrics below the audit's help; they are not worth loading for anything else."""
        if self.epilog != _AUDIT_MORE:
            return super().format_help()
        from analysis.metrics import METRICS  # noqa: PLC0415

        rows = [f"  {name:25} {metric.meaning}\n" for name, metric in METRICS.items()]
        return super().format_help() + "".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except Exception:  # noqa: BLE001 -- Python's own exit code for a crash, 1, would mean a failed run
        traceback.print_exc()
        return WRONG_USE


def _audit(chosen: argparse.Namespace) -> int:
    # Imported here so that `bill` answers at once.
    from analysis import audit, gates, loading, report, verdict  # noqa: PLC0415

    progress = _Progress()
    folder: Path = chosen.run
    try:
        gate_file = gates.read(chosen.gates or gates.DEFAULT_FILE)
        progress("reading")
        run = loading.load(folder.resolve())
        audited = audit.audit(run, progress)
        judged = verdict.Verdict(audited, gates.evaluate(gate_file, audited))
    except (gates.GateError, loading.NotARunError) as wrong:
        return _refuse(str(wrong))
    progress("writing the report")
    try:
        report.write(judged, run.folder)
        verdict.write(judged, run.folder)
    except OSError as unwritable:
        return _refuse(f"cannot write into {folder}: {unwritable.strerror}")
    progress.end()
    _say(verdict.text(judged, str(folder / run_files.REPORT)))
    return judged.exit_code


def _bill(chosen: argparse.Namespace) -> int:
    books = price_books()
    book = books.get(chosen.price_book)
    if book is None:
        return _refuse(f"price book {chosen.price_book!r} is unknown; known: {', '.join(books)}")
    if chosen.plan not in book.plan_fee:
        return _refuse(f"plan {chosen.plan!r} is unknown; known: {', '.join(book.plan_fee)}")
    priced = bill(book, chosen.plan, Usage(chosen.dau))
    if chosen.json:
        document = {
            "plan": chosen.plan,
            "price_book": book.name,
            "currency": book.currency,
            "peak_dau": chosen.dau,
            "dau_units": priced.dau_units,
            "amount_cents": priced.dau_cents,
            "total_cents": priced.total_cents,
            "lines": [asdict(line) for line in priced.lines],
        }
        _say(json.dumps(document, indent=2))
        return 0
    rows = [("plan fee", f"{chosen.plan}, a month", priced.lines[0].amount_cents)]
    if line := priced.dau:
        units = f"{line.units} {TIMES} {price(line.unit_price)}, {line.quantity:,} DAU less {line.free:,} free"
        rows.append(("DAU overage", units, line.amount_cents))
    rows.append(("total", f"{book.currency} a month, price book {book.name}", priced.total_cents))
    wide = max(len(what) for _, what, _ in rows)
    for name, what, amount in rows:
        _say(f"{name:12}  {what:{wide}}  {money(amount):>12}")
    return 0


class _Progress:
    """Says what is being done once that takes a while, on a terminal only."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shows = sys.stderr.isatty()
        self._has_shown = False

    def __call__(self, step: str) -> None:
        elapsed = time.monotonic() - self._started
        if self._shows and elapsed > PROGRESS_AFTER_S:
            sys.stderr.write(f"\r\033[K{elapsed:4.1f} s  {step} …")
            sys.stderr.flush()
            self._has_shown = True

    def end(self) -> None:
        if self._has_shown:
            sys.stderr.write("\r\033[K")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m analysis", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    audit = commands.add_parser(
        "audit",
        help="judge a run from its files",
        description=_AUDIT,
        epilog=_AUDIT_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audit.add_argument("run", type=Path, metavar="RUN", help="directory of a run, e.g. runs/latest")
    audit.add_argument(
        "--gates", type=Path, metavar="FILE", help="gate file (default: the four that every run must pass)"
    )
    audit.set_defaults(command=_audit)
    price_of = commands.add_parser(
        "bill",
        help="price a peak without any load",
        description=_BILL,
        epilog=_BILL_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    price_of.add_argument("--dau", type=_dau, required=True, metavar="N", help="DAU of the month's peak day")
    price_of.add_argument("--plan", required=True, help="trial, pro or ultimate")
    price_of.add_argument(
        "--price-book", default=DEFAULT_BOOK, metavar="NAME", help="2020 (default: the FAQ's prices) or 2021-08"
    )
    price_of.add_argument("--json", action="store_true", help="print JSON, amounts in cents")
    price_of.set_defaults(command=_bill)
    return parser


def _dau(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count of users")
    return int(text)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _refuse(message: str) -> int:
    sys.stderr.write(f"python -m analysis: {message}\n")
    return WRONG_USE


if __name__ == "__main__":
    sys.exit(main())

"""The command line of the analysis: `audit` judges a run, `compare` sets of runs, `bill` prices a month; and so on."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, NoReturn

from analysis import comparison_command, forecast_command, gate_commands, housekeeping_command, progress, run_files
from analysis.bills import CALL_TIERS
from analysis.prices import DEFAULT_BOOK, price_books, sites
from analysis.quotes import QuoteError, Wish, book_named, book_opened, quote

WRONG_USE: Final = 3
INTERRUPTED: Final = 2

_DESCRIPTION: Final = """\
Judge a load-test run from its files alone, whichever server it ran against, or price a
month without any load.

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
kind = "exact", "validity" or "performance"; on_failure = "fail" (default) or "warn";
for metrics of requests (*) where = { verb, kind, platform, country, access_point, code,
day, hour, from_s, to_s } and samples_min. A failed validity gate makes the run invalid.
More in docs/gates.md. Metrics:
"""

_BILL: Final = """\
Price a month: the plan's fee; on paid plans each started unit of users and groups above
the free ones; and call minutes beyond 10,000 free ones. The trial refuses instead of
charging, except for call minutes. Which users are charged is the price book's affair: of
the peak day (--dau) or of the whole month (--mau)."""

_BILL_MORE: Final = """\
example:
  python -m analysis bill --dau 1000000 --plan pro
  python -m analysis bill --dau 1000000 --plan pro --price-book 2021-08 --json
  python -m analysis bill --dau 25000 --groups 250000 --plan pro --opened 2021-09-01
  python -m analysis bill --mau 12000 --call-minutes audio=1000,hd=11000 --plan pro \\
    --price-book 2022-12"""

_FOCUS: Final = """\
Write the lines of a run's statement as charges in the columns of FOCUS 1.2 (FinOps Open
Cost and Usage Specification) into focus.csv in the run's directory."""


class _Parser(argparse.ArgumentParser):
    """Wrong use ends with 3: argparse's own 2 means an invalid run here."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}\n")

    def format_help(self) -> str:
        """List the metrics below the audit's help; they are not worth loading for anything else."""
        if self.epilog != _AUDIT_MORE:
            return super().format_help()
        from analysis.metrics import METRICS  # noqa: PLC0415

        rows = [f"  {name:29}{'*' if metric.taken_of else ' '} {metric.meaning}\n" for name, metric in METRICS.items()]
        return super().format_help() + "".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = _parser().parse_args(comparison_command.sides_apart(given))
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
    from analysis import audit, big_runs, gates, github, loading, report, verdict  # noqa: PLC0415

    shown = progress.Progress()
    folder: Path = chosen.run
    gate_file = chosen.gates or gates.DEFAULT_FILE
    try:
        chosen_gates = gates.read(gate_file)
        shown("reading")
        run = big_runs.load(folder.resolve(), chosen.big_from, shown, _note)
        audited = audit.audit(run, shown)
        judged = verdict.Verdict(audited, gates.evaluate(chosen_gates, audited))
    except (gates.GateError, loading.NotARunError) as wrong:
        return _refuse(str(wrong))
    shown("writing the report")
    try:
        report.write(judged, run.folder)
        verdict.write(judged, run.folder)
    except OSError as unwritable:
        return _refuse(f"cannot write into {folder}: {unwritable.strerror}")
    shown.end()
    _say(verdict.text(judged, str(folder / run_files.REPORT)))
    if chosen.github and (lines := github.annotations(judged, gate_file, Path.cwd())):
        _say(lines)
    if chosen.job_summary is not None:
        try:
            github.append_summary(verdict.summary(judged), chosen.job_summary)
        except OSError as unwritable:
            return _refuse(f"cannot write {chosen.job_summary}: {unwritable.strerror}")
    return judged.exit_code


def _bill(chosen: argparse.Namespace) -> int:
    wish = Wish(chosen.plan, chosen.dau, chosen.mau, chosen.groups, chosen.call_minutes)
    try:
        if chosen.opened:
            book = book_opened(chosen.site or "intl", chosen.opened)
        elif chosen.site:
            return _refuse("--site chooses a list by a day: give it with --opened")
        else:
            book = book_named(chosen.price_book)
        priced = quote(wish, book)
    except QuoteError as wrong:
        return _refuse(str(wrong))
    _say(json.dumps(priced.document(), indent=2) if chosen.json else priced.text())
    return 0


def _focus(chosen: argparse.Namespace) -> int:
    # Imported here so that `bill` answers at once.
    from analysis import documents, focus  # noqa: PLC0415

    try:
        path, rows = focus.export(chosen.run)
    except documents.DocumentError as missing:
        return _refuse(f"{chosen.run}: {missing}")
    except OSError as unwritable:
        return _refuse(f"cannot write into {chosen.run}: {unwritable.strerror}")
    total = sum(Decimal(row["BilledCost"]) for row in rows)
    currency = rows[0]["BillingCurrency"] if rows else ""
    _say(f"{path}: {len(rows)} charges, {total:,} {currency}")
    return 0


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
        "--gates", type=Path, metavar="FILE", help="gate file (default: the five that every run must pass)"
    )
    audit.add_argument(
        "--big-from",
        type=_count,
        default=20_000_000,
        metavar="ROWS",
        help="read a run of logins in parts if its ledger has so many rows (20000000): less memory, same verdict",
    )
    in_actions = os.environ.get("GITHUB_ACTIONS") == "true"
    audit.add_argument(
        "--github",
        action=argparse.BooleanOptionalAction,
        default=in_actions,
        help="print findings as annotations of GitHub Actions (default: where GITHUB_ACTIONS is true)",
    )
    summary = os.environ.get("GITHUB_STEP_SUMMARY") if in_actions else None
    audit.add_argument(
        "--job-summary",
        type=Path,
        metavar="FILE",
        default=Path(summary) if summary else None,
        help="append summary.md to FILE (default: GITHUB_STEP_SUMMARY, in GitHub Actions)",
    )
    audit.set_defaults(command=_audit)
    _add_bill(commands)
    exported = commands.add_parser(
        "focus",
        help="write a run's statement in FOCUS columns",
        description=_FOCUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    exported.add_argument("run", type=Path, metavar="RUN", help="directory of a run, e.g. runs/latest")
    exported.set_defaults(command=_focus)
    comparison_command.add(commands, _refuse)
    gate_commands.add(commands, _refuse)
    forecast_command.add(commands, _refuse)
    housekeeping_command.add(commands, _refuse)
    return parser


def _add_bill(commands: "argparse._SubParsersAction[_Parser]") -> None:
    price_of = commands.add_parser(
        "bill",
        help="price a month without any load",
        description=_BILL,
        epilog=_BILL_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    price_of.add_argument("--dau", type=_count, metavar="N", help="DAU of the month's peak day")
    price_of.add_argument("--mau", type=_count, metavar="N", help="different users of the month, for lists by MAU")
    price_of.add_argument("--groups", type=_count, metavar="N", help="the month's peak of existing groups")
    price_of.add_argument(
        "--call-minutes",
        type=_minutes,
        metavar="TIER=N,...",
        help=f"minutes of all participants, by tier: {', '.join(CALL_TIERS)}",
    )
    price_of.add_argument("--plan", required=True, help="trial, pro or ultimate")
    which = price_of.add_mutually_exclusive_group()
    which.add_argument(
        "--price-book", metavar="NAME", help="2020 (default: the FAQ's prices), " + ", ".join(_other_books())
    )
    which.add_argument(
        "--opened", type=_date, metavar="DATE", help="take the list under which an app opened on that day"
    )
    price_of.add_argument("--site", metavar="SITE", help=f"with --opened: intl (default), {_other_sites()}")
    price_of.add_argument("--json", action="store_true", help="print JSON, amounts in cents")
    price_of.set_defaults(command=_bill)


def _other_books() -> list[str]:
    return [name for name in price_books() if name != DEFAULT_BOOK]


def _other_sites() -> str:
    return ", ".join(site for site in sites() if site != "intl")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count")
    return int(text)


def _minutes(text: str) -> dict[str, int]:
    minutes: dict[str, int] = {}
    for part in text.split(","):
        tier, _, count = part.partition("=")
        if tier not in CALL_TIERS or tier in minutes:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not TIER=N with a tier of {', '.join(CALL_TIERS)}, each once"
            )
        minutes[tier] = _count(count)
    return minutes


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2021-08-06") from None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _refuse(message: str) -> int:
    sys.stderr.write(f"python -m analysis: {message}\n")
    return WRONG_USE


if __name__ == "__main__":
    sys.exit(main())

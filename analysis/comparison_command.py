"""The command `compare`: two sides of runs on the command line, a table or JSON on standard output."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analysis.baselines import Side

_COMPARE: Final = """\
Tell whether runs became slower: many runs a side, one number a run and metric. A metric is
worse when a rank test over the runs says so, for all metrics together, and the typical
change is large enough. Give RUNs before and after a --, directories of runs, folders that
hold such, or a baseline file. Without a -- and with --html, runs of any settings are set
side by side, and nothing is judged.

exit codes: 0 not worse, or not judged · 1 worse · 3 not comparable (settings differ, too few runs, …)"""

_MORE: Final = """\
example:
  python -m analysis compare before/ -- after/ --html comparison.html
  python -m analysis compare runs/one runs/other --html comparison.html
  python -m analysis compare runs/a* --save-baseline baseline.json
  python -m analysis compare baseline.json -- runs/b* \\
    --metric "latency.service_p99_ms{verb=login, day=spike}"

At least 5 runs a side are needed, 10 are better; play them in turns on one machine."""

SEPARATOR: Final = "--"


def add(commands: "argparse._SubParsersAction[Any]", refuse: Callable[[str], int]) -> None:
    """Add the command; `refuse` says what is wrong and returns the exit code of wrong use."""
    parser = commands.add_parser(
        "compare",
        help="tell whether runs became slower",
        description=_COMPARE,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m analysis compare BASE... [-- CANDIDATE...] [options]",
    )
    parser.add_argument(
        "base", type=Path, metavar="BASE", nargs="+", help="a run, a folder of runs, or a baseline file"
    )
    parser.add_argument("--candidate", type=Path, nargs="*", default=[], help=argparse.SUPPRESS)
    parser.add_argument(
        "--metric", action="append", metavar="NAME", help="instead of the seven usual ones; NAME{where} as in gates"
    )
    parser.add_argument("--effect", type=_share, metavar="X", help="least change that counts (0.1)")
    parser.add_argument("--significance", type=_share, metavar="P", help="rate of false alarms (0.01)")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="SETTING", help='may differ, e.g. "workers" or "option rate"'
    )
    parser.add_argument(
        "--save-baseline", type=Path, metavar="FILE", help="keep the last side, unless it is worse; one side is enough"
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page: verdicts, bills, caps, times, settings"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=lambda chosen: _compare(chosen, refuse))


def sides_apart(arguments: Sequence[str]) -> list[str]:
    """Turn what follows a -- into an option, which argparse would not keep apart from what stands before it.

    >>> sides_apart(["compare", "a", "b", "--", "c", "--json"])
    ['compare', 'a', 'b', '--candidate', 'c', '--json']
    """
    if arguments[:1] != ["compare"] or SEPARATOR not in arguments:
        return list(arguments)
    at = list(arguments).index(SEPARATOR)
    return [*arguments[:at], "--candidate", *arguments[at + 1 :]]


def _compare(chosen: argparse.Namespace, refuse: Callable[[str], int]) -> int:
    # Imported here so that `bill` answers at once.
    from analysis import baselines, comparison  # noqa: PLC0415

    metrics = chosen.metric or comparison.DEFAULT_METRICS
    try:
        comparison.check_metrics(metrics)
        if not chosen.candidate and chosen.html:
            return _side_by_side(chosen, metrics, refuse)
        base = baselines.read(chosen.base, metrics)
        if not chosen.candidate:
            return _save_only(base, chosen, refuse)
        candidate = baselines.read(chosen.candidate, metrics)
        usual = comparison.DEFAULT
        criteria = comparison.Criteria(chosen.effect or usual.effect, chosen.significance or usual.level)
        compared = comparison.compare(base, candidate, metrics, criteria, chosen.allow)
        if chosen.html:
            from analysis import comparison_page  # noqa: PLC0415

            _write_page(comparison_page.judged(compared), chosen.html)
        if chosen.save_baseline and not compared.worse:
            baselines.write(candidate, chosen.save_baseline)
    except baselines.BaselineError as wrong:
        return refuse(str(wrong))
    except OSError as unwritable:
        return refuse(f"cannot write {chosen.save_baseline}: {unwritable.strerror}")
    _name_skipped([*base.skipped, *candidate.skipped])
    text = json.dumps(compared.document(), indent=2, ensure_ascii=False) if chosen.json else compared.text()
    sys.stdout.write(f"{text}\n")
    return compared.exit_code


def _side_by_side(chosen: argparse.Namespace, metrics: Sequence[str], refuse: Callable[[str], int]) -> int:
    """Show runs of any settings; without two sides there is nothing to judge, and nothing to keep as a baseline."""
    from analysis import comparison_page, side_by_side  # noqa: PLC0415

    if chosen.save_baseline:
        return refuse("--save-baseline keeps the runs of a side: give it without --html, or with a -- and a candidate")
    rows, skipped = side_by_side.read(chosen.base, chosen.metric or ())
    _write_page(comparison_page.unjudged(rows, metrics), chosen.html)
    _name_skipped(skipped)
    text = (
        json.dumps(side_by_side.document(rows), indent=2, ensure_ascii=False)
        if chosen.json
        else side_by_side.text(rows)
    )
    sys.stdout.write(f"{text}\n")
    return 0


def _save_only(base: "Side", chosen: argparse.Namespace, refuse: Callable[[str], int]) -> int:
    from analysis import baselines  # noqa: PLC0415

    if chosen.save_baseline is None:
        return refuse("nothing to compare with: give the candidate's runs after a --, or --save-baseline FILE")
    baselines.write(base, chosen.save_baseline)
    _name_skipped(base.skipped)
    count = len(base.runs)
    sys.stdout.write(f"{chosen.save_baseline}: {count} run{'' if count == 1 else 's'}\n")
    return 0


def _write_page(page: str, path: Path) -> None:
    from analysis import baselines, pages  # noqa: PLC0415

    try:
        pages.write(page, path)
    except OSError as unwritable:
        raise baselines.BaselineError(f"cannot write {path}: {unwritable.strerror}") from unwritable


def _name_skipped(names: Sequence[str]) -> None:
    for name in names:
        sys.stderr.write(f"skipped, not finished: {name}\n")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value

"""The command `forecast`: next month's bill as a distribution, from a history of daily active users."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analysis.histories import History

SEED: Final = 7
SAMPLES: Final = 10_000
SAMPLES_MAX: Final = 1_000_000
PICTURES: Final = (".png", ".svg", ".pdf")

_FORECAST: Final = """\
Forecast the bill of a month from a history of daily active users: a CSV file with the
columns date and dau. Past stretches of days, as multiples of the level before them, are
drawn at random onto today's level; the same seed gives the same answer. Days that the file
lacks are unknown, not zero.

exit codes: 0 done · 1 with --validate: the interval does not hold · 3 wrong use"""

_MORE: Final = """\
example:
  python -m analysis forecast history.csv --plan pro
  python -m analysis forecast history.csv --month 2026-11 --plot fan.png --json
  python -m analysis forecast history.csv --validate

--validate forecasts each month of the file from what came before it only, and ends with 1
unless 83 to 97 % of the peaks lie in their 90 % intervals and these are narrower than the
spread of all peaks before. More in docs/forecast.md."""


def add(commands: "argparse._SubParsersAction[Any]", refuse: Callable[[str], int]) -> None:
    """Add the command; `refuse` says what is wrong and returns the exit code of wrong use."""
    parser = commands.add_parser(
        "forecast",
        help="next month's bill, from a history of daily active users",
        description=_FORECAST,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("history", type=Path, metavar="HISTORY", help="CSV file with the columns date and dau")
    parser.add_argument("--month", metavar="YYYY-MM", help="the month to forecast (the one after the last day)")
    parser.add_argument("--plan", default="pro", help="pro (default) or ultimate")
    parser.add_argument("--price-book", metavar="NAME", help="2020 (default), or another that charges the peak day")
    parser.add_argument("--seed", type=_whole(0, 2**63 - 1), default=SEED, help=f"of the simulation ({SEED})")
    parser.add_argument(
        "--samples", type=_whole(100, SAMPLES_MAX), default=SAMPLES, metavar="N", help=f"simulated months ({SAMPLES})"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"draw a fan chart: {', '.join(PICTURES)}")
    parser.add_argument("--validate", action="store_true", help="hold forecasts of past months against what came")
    parser.add_argument("--json", action="store_true", help="print JSON, amounts in cents")
    parser.set_defaults(command=lambda chosen: _forecast(chosen, refuse))


def _forecast(chosen: argparse.Namespace, refuse: Callable[[str], int]) -> int:
    # Imported here so that `bill` answers at once.
    from analysis import forecasts, histories, projections  # noqa: PLC0415
    from analysis.quotes import QuoteError, book_named  # noqa: PLC0415

    if chosen.plot and chosen.plot.suffix not in PICTURES:
        return refuse(f"--plot {chosen.plot}: a name that ends in one of {', '.join(PICTURES)} is needed")
    try:
        book = book_named(chosen.price_book)
        projections.check(book, chosen.plan)
        history = histories.read(chosen.history)
        if chosen.validate:
            return _validate(history, chosen)
        month = projections.month_of(chosen.month, history)
        # Of a month that is over its own days are not looked at: it is forecast as it would have been then.
        known = history if month.end_time.normalize() > history.last else history.before(month.start_time)
        made = forecasts.forecast(known, month, seed=chosen.seed, samples=chosen.samples)
    except (histories.HistoryError, QuoteError) as wrong:
        return refuse(str(wrong))
    if chosen.plot:
        from analysis import forecast_plots  # noqa: PLC0415 -- drawing is slow to load

        try:
            forecast_plots.write(made, known, book, chosen.plot)
        except OSError as unwritable:
            return refuse(f"cannot write {chosen.plot}: {unwritable.strerror}")
    projected = projections.Projection(made, known, book, chosen.plan, chosen.seed)
    _say(projected.document() if chosen.json else projected.text())
    return 0


def _validate(history: "History", chosen: argparse.Namespace) -> int:
    from analysis import backtests, progress  # noqa: PLC0415 -- as above

    shown = progress.Progress()
    tested = backtests.backtest(history, seed=chosen.seed, samples=chosen.samples, progress=shown)
    shown.end()
    _say(tested.document() if chosen.json else tested.text())
    return 0 if tested.holds else 1


def _say(what: dict[str, Any] | str) -> None:
    text = what if isinstance(what, str) else json.dumps(what, indent=2)
    sys.stdout.write(f"{text}\n")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse

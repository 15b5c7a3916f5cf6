"""The fan chart of a forecast: what was, what may come, and the steps of the price."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.figures import ACCENT, FREE, INK, MUTED, SECOND, short, style, title
from analysis.forecasts import Forecast
from analysis.histories import History
from analysis.prices import PriceBook

PAST_DAYS: Final = 120
STEPS_MAX: Final = 8
"""More steps of the price than these are not drawn one by one."""
BANDS: Final = ((0.05, 0.95, "90 %", 0.18), (0.25, 0.75, "50 %", 0.3))


def write(forecast: Forecast, history: History, book: PriceBook, path: Path) -> None:
    """Draw it into a file whose name says the format; raises OSError."""
    with style("forecast"):
        figure = Figure(figsize=(10.4, 4.6))
        figure.subplots_adjust(left=0.06, right=0.975, bottom=0.1, top=0.92, wspace=0.08)
        days, month = figure.subplots(1, 2, sharey=True, width_ratios=[5, 1])
        _days(days, forecast, history)
        _peaks(month, forecast)
        _axis(days)
        for axes in (days, month):
            _steps(axes, book)
        figure.savefig(path, dpi=150)


def _days(axes: Axes, forecast: Forecast, history: History) -> None:
    past = history.days[-PAST_DAYS:]
    axes.plot(past.index, past.to_numpy(), color=INK, lw=1.2, label="known")
    for low, high, label, alpha in BANDS:
        edges = np.nanquantile(forecast.paths, (low, high), axis=0)
        axes.fill_between(forecast.days, *edges, color=ACCENT, alpha=alpha, lw=0, label=f"{label} of a day")
    middle = np.nanquantile(forecast.paths, 0.5, axis=0)
    axes.plot(forecast.days, middle, color=ACCENT, lw=1.6, ls="--", label="middle of a day")
    axes.legend(loc="upper left", frameon=False, ncols=4, fontsize=8.5)
    text = f"DAU until {history.last:%Y-%m-%d}, and {forecast.month} as it may come"
    title(axes, f"{text} · the shaded part is free, each dotted line begins a unit")


def _peaks(axes: Axes, forecast: Forecast) -> None:
    edges = np.geomspace(max(1, forecast.peaks.min()), forecast.peaks.max() + 1, 40)
    counts, _ = np.histogram(forecast.peaks, edges)
    axes.stairs(counts, edges, orientation="horizontal", fill=True, color=SECOND, alpha=0.35)
    axes.axhline(forecast.peak(0.5), color=SECOND, lw=1.4, ls="--")
    axes.text(0.98, forecast.peak(0.5), f"{forecast.peak(0.5):,}", transform=axes.get_yaxis_transform(),
              ha="right", va="bottom", fontweight="bold", color=SECOND,
              bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip
    axes.set_xticks([])
    title(axes, "the month's peak")


def _axis(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 1.6)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.grid(visible=False)


def _steps(axes: Axes, book: PriceBook) -> None:
    """What is free is shaded; each line above begins a unit."""
    assert book.dau is not None, "only books by peak day are forecast"
    low, high = axes.get_ylim()
    axes.axhspan(low, max(low, book.dau.free), color=FREE, lw=0, zorder=0)
    for start in book.dau.free + book.dau.per * np.arange(STEPS_MAX):
        if low < start < high:
            axes.axhline(float(start), color=MUTED, lw=0.6, ls=":", zorder=1)
    axes.set_ylim(low, high)

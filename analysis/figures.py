"""The figures of the report, as SVG that is the same bytes for the same numbers.

Letters stay letters, so that a page's own font sets them and a reader can find them; nothing is told by colour alone.
"""

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.billing_days import iso
from analysis.bills import Bill, Usage, money
from analysis.cap_series import CapSeries
from analysis.latencies import Floats, Latencies, Sorted, Timeline
from analysis.loading import Terms
from analysis.prices import Overage
from analysis.volumes import DayOfGroups

INK: Final = "#1f2a37"
MUTED: Final = "#66717f"
RULE: Final = "#d9d5cc"
ACCENT: Final = "#17607a"
SECOND: Final = "#b4531f"
FREE: Final = "#eef3ee"

TIERS_MAX: Final = 300
"""Beyond that many steps only every tenth, or hundredth, is drawn."""
_NINES_MAX: Final = 5
_HEADROOM: Final = 2.6
"""Above the peak, for its label."""
_COSTLY: Final = (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000)
"""Multiples of the free quota at which the right-hand axis names the price."""
_COSTLY_DECADES: Final = (10, 100, 1_000, 10_000)
_DECADES: Final = 20
"""A narrow figure that reaches above this multiple of the free quota names only powers of ten."""
_CURVE_POINTS: Final = 160
_SECOND_MS: Final = 1_000
_CROWDED: Final = 1_000
"""A latency axis that spans more than this factor has a tick at powers of ten only."""

_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#ece9e2",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}


def dau_by_day(dau: Mapping[int, int], terms: Terms, bill: Bill, *, narrow: bool) -> str:
    """Draw each day's DAU against the steps of the price, on a logarithmic axis."""
    name = "dau-narrow" if narrow else "dau-wide"
    with style(name):
        figure = Figure(figsize=(3.75, 4.3) if narrow else (10.4, 4.5))
        axes = figure.add_subplot()
        left, right = (0.13, 0.745) if narrow else (0.048, 0.9)
        figure.subplots_adjust(left=left, right=right, bottom=0.115, top=0.925)
        days = [day for day in terms.days if dau.get(day)]
        values = [dau[day] for day in days]
        low = min([value / 2 for value in values], default=1_000)
        high = max([*values, terms.book.dau.free if terms.book.dau else 1_000]) * _HEADROOM
        axes.set_yscale("log")
        axes.set_ylim(max(low, 0.7), high)
        axes.set_xlim(terms.days.start - 0.8, terms.days.stop - 0.2)
        if terms.book.dau:
            _tiers(axes, terms.book.dau, high)
        _stems(axes, days, values)
        _mark_peak(axes, days, values, terms, bill)
        _calendar(axes, terms.days, step=7 if narrow else 3)
        _prices(axes, terms, narrow=narrow)
        title(axes, "distinct users per billing day")
        return svg(figure, name, "Distinct users of each billing day against the price steps")


def percentiles(latencies: Latencies) -> str:
    """Draw service and response time by percentile; each further nine takes the same room."""
    with style("percentiles"):
        figure = Figure(figsize=(4.7, 3.5))
        axes = figure.add_subplot()
        figure.subplots_adjust(left=0.09, right=0.935, bottom=0.08, top=0.915)
        axes.set_yscale("log")
        nines = min(_NINES_MAX, np.log10(max(10, len(latencies.service_ms))))
        response, service = latencies.response_ms, latencies.service_ms
        axes.plot(*_curve(response, nines), "--", label="response", color=SECOND)
        axes.plot(*_curve(service, nines), label="service", color=ACCENT)
        ticks = [0.0, np.log10(2), 1.0, 2.0, 3.0, 4.0, 5.0]
        labels = ["", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"]
        shown = [(at, label) for at, label in zip(ticks, labels, strict=True) if at <= nines]
        axes.set_xticks([at for at, _ in shown], [label for _, label in shown])
        axes.set_xlim(0, nines * 1.02)
        _milliseconds(axes)
        # Both curves rise to the right: only below them there is room.
        axes.legend(loc="lower right", frameon=False, handlelength=2.6)
        title(axes, "latency by percentile, ms")
        return svg(figure, "percentiles", "Service and response time by percentile")


def over_time(line: Timeline) -> str:
    """Draw latency over the run's time, and the answers per second below."""
    with style("time"):
        figure = Figure(figsize=(4.7, 3.5))
        figure.subplots_adjust(left=0.1, right=0.98, bottom=0.13, top=0.915, hspace=0.25)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.set_yscale("log")
        above.plot(line.at_s, line.response_p99_ms, color=SECOND, ls="--", lw=1.2, label="response 99 %")
        above.plot(line.at_s, line.service_p99_ms, color=ACCENT, lw=1.4, label="service 99 %")
        above.plot(line.at_s, line.service_p50_ms, color=ACCENT, ls=":", lw=1.6, label="service 50 %")
        _milliseconds(above)
        above.legend(loc="upper left", frameon=False, ncols=3, fontsize=8.5, handlelength=2.2, columnspacing=1.0)
        above.set_ylim(top=above.get_ylim()[1] * 2.2)
        title(above, "latency over the run, ms")
        below.fill_between(line.at_s, line.answers_per_s, step="mid", color=ACCENT, alpha=0.25, lw=0)
        below.step(line.at_s, line.answers_per_s, where="mid", color=ACCENT, lw=0.9)
        below.set_ylim(bottom=0)
        below.yaxis.set_major_formatter(FuncFormatter(short))
        title(below, "answers per second")
        below.set_xlabel("seconds since the run's zero")
        return svg(figure, "time", "Latency and answers per second over the run's time")


def cap_over_time(series: CapSeries, *, narrow: bool) -> str:
    """Draw how a quota filled against its cap, and below what was admitted and refused meanwhile."""
    name = f"cap-{series.quota.name.replace('_', '-')}-{'narrow' if narrow else 'wide'}"
    with style(name):
        figure = Figure(figsize=(3.75, 4.0) if narrow else (10.4, 3.9))
        left, right = (0.13, 0.97) if narrow else (0.048, 0.985)
        figure.subplots_adjust(left=left, right=right, bottom=0.13, top=0.925, hspace=0.28)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _filling(above, series)
        edges = [*series.at_s, series.at_s[-1] + series.slice_s]
        for counts, label, color, hatch in (
            (series.admitted, "admitted", ACCENT, None),
            (-series.refused, "refused", SECOND, "////"),
        ):
            below.stairs(counts, edges, fill=hatch is None, color=color, hatch=hatch, lw=0.8, label=label)
        below.axhline(0, color=MUTED, lw=0.8)
        below.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: short(abs(value))))
        low, high = below.get_ylim()
        below.set_ylim(low, high + 0.35 * (high - low))
        below.legend(loc="upper left", frameon=False, ncols=2, fontsize=8.5)
        title(below, "admitted and refused" if narrow else f"requests admitted and refused, each {series.slice_s:g} s")
        below.set_xlabel("seconds since the run's zero")
        label = f"How {series.quota.words} filled against the cap, and what was admitted and refused"
        return svg(figure, name, label)


def _filling(axes: Axes, series: CapSeries) -> None:
    """The places taken: the most in each slice, the fewest as the lower edge of the band; the cap is dashed."""
    ends = np.append(series.at_s, series.at_s[-1] + series.slice_s)
    high, low, cap = (np.append(values, values[-1]) for values in (series.high, series.low, series.cap))
    axes.fill_between(ends, low, high, step="post", color=ACCENT, alpha=0.2, lw=0)
    most, fewest = ("most taken", "fewest taken") if series.is_proven else ("possibly taken", "taken for certain")
    axes.step(ends, high, where="post", color=ACCENT, lw=1.4, label=most)
    axes.step(ends, low, where="post", color=ACCENT, lw=0.8, ls=":", label=fewest)
    axes.step(ends, cap, where="post", color=INK, lw=1.4, ls="--", label="cap")
    top = np.nanmax([*high, *cap, 1])
    axes.set_ylim(0, top * 1.32)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.legend(loc="upper left", frameon=False, ncols=3, fontsize=8.5, handlelength=2.4, columnspacing=1.2)
    scope = " of the fullest" if series.quota.is_of_one else ""
    title(axes, f"{series.quota.words}{scope}: places taken")


def groups_by_day(days: Mapping[int, DayOfGroups], month: range, *, narrow: bool) -> str:
    """Draw the net count of groups at the end of each day, with what was made and destroyed."""
    name = "groups-narrow" if narrow else "groups-wide"
    with style(name):
        figure = Figure(figsize=(3.75, 3.2) if narrow else (10.4, 3.0))
        left, right = (0.13, 0.97) if narrow else (0.048, 0.985)
        figure.subplots_adjust(left=left, right=right, bottom=0.16, top=0.9)
        axes = figure.add_subplot()
        shown = sorted(day for day in days if day in month)
        made, gone = ([getattr(days[day], name) for day in shown] for name in ("made", "destroyed"))
        axes.bar(shown, made, width=0.7, color=ACCENT, alpha=0.35, label="made")
        axes.bar(shown, [-n for n in gone], width=0.7, fill=False, hatch="////", ec=SECOND, lw=0.8, label="destroyed")
        axes.step([*shown, month.stop], [days[day].left for day in [*shown, shown[-1]]], "o-", where="post",
                  color=INK, ms=2.5 if narrow else 3.5, lw=1.3, label="left at its end")  # fmt: skip
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.set_xlim(month.start - 0.8, month.stop - 0.2)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: short(abs(value))))
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.25 * (high - low))
        axes.legend(loc="upper right", frameon=False, ncols=3, fontsize=8 if narrow else 8.5, columnspacing=1.0)
        _calendar(axes, month, step=7 if narrow else 3)
        title(axes, "groups by day")
        return svg(figure, name, "Groups made and destroyed on each day, and how many were left")


def style(name: str) -> AbstractContextManager[None]:
    """Set our style; the salt keeps the ids of a figure the same from run to run."""
    return mpl.rc_context(_STYLE | {"svg.hashsalt": name})


def title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=9.5, color=MUTED)


def _tiers(axes: Axes, overage: Overage, high: float) -> None:
    free, per = overage.free, overage.per
    axes.axhspan(axes.get_ylim()[0], free, color=FREE, lw=0)
    steps = int((high - free) // per) + 1
    stride = 10 ** max(0, int(np.ceil(np.log10(max(1, steps) / TIERS_MAX))))
    axes.grid(visible=False)
    axes.hlines(
        free + per * np.arange(0, steps, stride),
        *axes.get_xlim(),
        color=RULE,
        # The steps crowd towards the top: thinner lines keep them a shade.
        lw=np.clip(4 / np.maximum(1, np.arange(0, steps, stride)), 0.15, 0.6),
        zorder=1,
    )


def _stems(axes: Axes, days: list[int], values: list[int]) -> None:
    axes.vlines(days, axes.get_ylim()[0], values, color=ACCENT, alpha=0.35, lw=1.6, zorder=2)
    axes.plot(days, values, "o", color=ACCENT, ms=4.6, zorder=3)


def _mark_peak(axes: Axes, days: list[int], values: list[int], terms: Terms, bill: Bill) -> None:
    if not values:
        axes.text(0.5, 0.6, "nobody logged in", transform=axes.transAxes, ha="center", color=MUTED)
        return
    top = int(np.argmax(values))
    axes.plot(days[top], values[top], "o", color=SECOND, ms=8, zorder=4)
    place = (days[top] - terms.days.start) / len(terms.days)
    side = ("left", "center", "right")[min(2, int(3 * place))]
    axes.annotate(
        f"{values[top]:,} on {iso(days[top])}\n{_charge(bill)}",
        (days[top], values[top]),
        xytext=(0, 10),
        textcoords="offset points",
        ha=side,
        linespacing=1.35,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 2},
    )


def _charge(bill: Bill) -> str:
    if bill.dau is None:
        return "charged by the month" if bill.line("mau") else "never charged"
    plural = "" if bill.dau_units == 1 else "s"
    return f"{bill.dau_units:,} unit{plural} · {money(bill.dau_cents)} {bill.currency}"


def _calendar(axes: Axes, days: range, step: int) -> None:
    shown = [day for day in days if (day - days.start) % step == 0]
    axes.set_xticks(shown, [str(int(iso(day)[-2:])) for day in shown])
    axes.set_xlabel(f"day of {iso(days.start)[:7]}")


def _prices(axes: Axes, terms: Terms, *, narrow: bool) -> None:
    """Left the users, right what a peak of that height costs."""
    _, high = axes.get_ylim()
    free = terms.book.dau.free if terms.book.dau else 1_000
    spans_decades = narrow and high > _DECADES * free
    costly = _COSTLY_DECADES if spans_decades else _COSTLY
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if spans_decades else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_minor_locator(NullLocator())
    shown = [at * free for at in costly if at * free < high / _HEADROOM * 1.01]
    if terms.bill(Usage(free)).dau is None:
        return
    right = axes.secondary_yaxis("right")
    right.yaxis.set_major_locator(FixedLocator([free, *shown]))
    right.yaxis.set_major_formatter(FuncFormatter(lambda dau, _at: _cost(terms, dau)))
    right.yaxis.set_minor_locator(NullLocator())
    right.spines["right"].set_visible(False)
    right.set_ylabel(f"{terms.book.currency} at that peak")


def _cost(terms: Terms, dau: float) -> str:
    cents = terms.bill(Usage(round(dau))).dau_cents
    return money(cents) if cents else "free"


def _curve(sorted_ms: Sorted, nines: float) -> tuple[Floats, Floats]:
    """Return x, in nines, and y of a percentile curve."""
    at = np.linspace(0, nines, _CURVE_POINTS)
    index = np.ceil((1 - 10.0**-at) * len(sorted_ms)).astype(int) - 1
    # A logarithmic axis has no zero: a microsecond stands for it.
    return at, np.maximum(sorted_ms[np.maximum(index, 0)], 1e-3)


def _milliseconds(axes: Axes) -> None:
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > _CROWDED * low else (1.0, 2.0, 5.0), numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(_duration))
    axes.yaxis.set_minor_locator(NullLocator())


def _duration(value_ms: float, _at: object = None) -> str:
    """Write milliseconds bare and seconds with their unit: five digits would not fit.

    >>> _duration(0.5), _duration(200), _duration(20_000)
    ('0.5', '200', '20 s')
    """
    return f"{value_ms:g}" if value_ms < _SECOND_MS else f"{value_ms / _SECOND_MS:g} s"


def short(value: float, _at: object = None) -> str:
    """Write a count short: 8 k, 1 M.

    >>> short(8_000), short(1_000_000), short(500)
    ('8 k', '1 M', '500')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def svg(figure: Figure, name: str, label: str) -> str:
    """Return an inline SVG that scales with its column; ids are its own on the page."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r' (?:width|height)="[\d.]+pt"', "", drawn, count=2)
    # Of millionths of a point nobody sees anything, and they are a third of the page.
    drawn = re.sub(r'(?<=[ "])(-?\d+\.\d\d)\d+(?=[ "])', r"\1", drawn)
    drawn = re.sub(r'\bid="', f'id="{name}-', drawn)
    drawn = re.sub(r'(url\(#|href="#)', rf"\1{name}-", drawn)
    return drawn.replace("<svg", f'<svg role="img" aria-label="{label}" class="{name}"', 1)

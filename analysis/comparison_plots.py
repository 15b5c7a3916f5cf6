"""The figures of a comparison: a panel for each metric, in it a row for each side or run, and a mark for each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.comparison import figure as figure_of
from analysis.figures import ACCENT, INK, MUTED, RULE, SECOND, style, svg, title

_COLUMNS: Final = 2
_MARKS: Final = (("o", ACCENT), ("D", SECOND), ("s", ACCENT), ("^", SECOND), ("v", ACCENT), ("X", SECOND))
"""Shape before colour: the first side has circles, the second diamonds."""
_ROW_IN: Final = 0.3
_AROUND_IN: Final = 0.75
_SPREAD: Final = 10
"""Beyond this ratio of the largest to the smallest an axis has ticks at decades."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A metric: its title, whether it is a time, and the values of each row."""

    title: str
    is_time: bool
    rows: Mapping[str, Sequence[float]]


def times(panels: Sequence[Panel], *, narrow: bool) -> str:
    """Draw the panels; times on a logarithmic axis, with the median of each row as a stroke."""
    name = f"times-{'narrow' if narrow else 'wide'}"
    columns = 1 if narrow else min(_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    height = _AROUND_IN + _ROW_IN * max(len(panel.rows) for panel in panels)
    with style(name):
        figure = Figure(figsize=(3.75 if narrow else 10.4, lines * height))
        grid = figure.subplots(lines, columns, squeeze=False)
        total = lines * height
        figure.subplots_adjust(
            left=0.21 if narrow else 0.08, right=0.95 if narrow else 0.985, wspace=0.2,
            top=1 - 0.32 / total, bottom=0.3 / total, hspace=_AROUND_IN / (height - _AROUND_IN),
        )  # fmt: skip
        for at, axes in enumerate(grid.flat):
            if at < len(panels):
                _panel(axes, panels[at])
            else:
                axes.set_axis_off()
        return svg(figure, name, "Each metric of each run")


def _panel(axes: Axes, panel: Panel) -> None:
    values = [value for row in panel.rows.values() for value in row]
    is_log = panel.is_time and min(values) > 0
    if is_log:
        axes.set_xscale("log")
    for at, row in enumerate(panel.rows.values()):
        shape, color = _MARKS[at % len(_MARKS)]
        axes.plot(row, [at] * len(row), shape, ms=5, mfc="none", mec=color, mew=1.3, clip_on=False)
        if len(row) > 1:
            axes.plot([float(np.median(row))], [at], "|", ms=15, mew=1.8, color=INK)
        else:
            axes.annotate(figure_of(row[0]), (row[0], at), xytext=(0, 5), textcoords="offset points",
                          ha="center", fontsize=8, color=INK)  # fmt: skip
    axes.set_yticks(range(len(panel.rows)), list(panel.rows))
    axes.set_ylim(len(panel.rows) - 0.45, -0.75)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.hlines(range(len(panel.rows)), 0, 1, transform=axes.get_yaxis_transform(), color=RULE, lw=0.6, zorder=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", colors=INK)
    _scale(axes, values, is_log=is_log)
    title(axes, panel.title)


def _scale(axes: Axes, values: Sequence[float], *, is_log: bool) -> None:
    """Leave room for a value beside the outermost mark, and name at most five points of the axis."""
    low, high = min(values), max(values)
    if is_log:
        around = max(high / low, 1.2) ** 0.18
        low, high = low / around, high * around
    else:
        around = 0.18 * (high - low) or abs(high) * 0.2 or 1.0
        low, high = low - around, high + around
    axes.set_xlim(low, high)
    if is_log and high / low > _SPREAD:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > _SPREAD**2 else (1.0, 3.0)))
    else:
        nice = MaxNLocator(4).tick_values(low, high)
        axes.xaxis.set_major_locator(FixedLocator([at for at in nice if low <= at <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:,.6g}"))
    axes.tick_params(axis="x", colors=MUTED)

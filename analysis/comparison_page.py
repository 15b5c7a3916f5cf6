"""The page of a comparison: is it worse, what did the runs come to, their times, the settings in which they differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from analysis import comparison_plots, pages, selections, side_by_side
from analysis.comparison import Comparison, Difference, figure
from analysis.comparison_plots import Panel
from analysis.metrics import METRICS
from analysis.quotas import QUOTAS
from analysis.side_by_side import Row

PANELS_MAX: Final = 12
"""Further metrics stand in the table alone."""

_MARKS: Final = {"passed": "✓", "failed": "✕", "invalid": "!"}


@dataclass(frozen=True, slots=True)
class _Head:
    """The first that is read: `state` is that of the worst, `line` says why."""

    title: str
    state: str
    line: str


def judged(compared: Comparison) -> str:
    """Return the page of two sides. Raises BaselineError for a verdict that cannot be read."""
    rows = side_by_side.of_comparison(compared)
    panels = [_judged(rows, difference) for difference in compared.differences[:PANELS_MAX]]
    head = (
        _Head("Worse", "failed", compared.summary) if compared.worse else _Head("Not worse", "passed", compared.summary)
    )
    return _page(rows, panels, head, compared)


def unjudged(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """Return the page of runs of which none is a side."""
    found = [text for text in metrics if any(text in row.run.metrics for row in rows)]
    panels = [_panel(rows, text, text) for text in found[:PANELS_MAX]]
    outcomes = Counter(row.outcome for row in rows)
    told = " · ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    # Without a verdict of each there is nothing to be glad of, though nothing wrong is known either.
    state = "failed" if outcomes["failed"] else "passed" if outcomes["passed"] == len(rows) else "invalid"
    head = _Head(f"{len(rows)} runs side by side", state, told)
    return _page(rows, panels, head, None)


def _page(rows: Sequence[Row], panels: Sequence[Panel], head: _Head, compared: Comparison | None) -> str:
    return pages.render(
        "comparison_page.html",
        title=head.title,
        state=head.state,
        marks=_MARKS,
        lines=[head.line, side_by_side.agreement(rows)],
        rows=rows,
        figures=list(rows[0].figures),
        caps=_caps(rows),
        quotas=QUOTAS,
        compared=compared,
        figure=figure,
        plots=_plots(panels),
        differing=side_by_side.differing(rows),
        common=side_by_side.common(rows),
    )


def _plots(panels: Sequence[Panel]) -> list[Markup]:
    """Wide and narrow; none without a metric."""
    if not panels:
        return []
    return [pages.inline(comparison_plots.times(panels, narrow=narrow)) for narrow in (False, True)]


def _judged(rows: Sequence[Row], difference: Difference) -> Panel:
    change = f"{difference.change:+.1%}" + ("" if difference.state == "same" else f", {difference.state}")
    return _panel(rows, difference.metric, f"{difference.metric}: {change}")


def _panel(rows: Sequence[Row], text: str, title: str) -> Panel:
    groups = dict.fromkeys(row.group for row in rows if text in row.run.metrics)
    values = {
        group: [row.run.metrics[text] for row in rows if row.group == group and text in row.run.metrics]
        for group in groups
    }
    name, _ = selections.parse(text)
    return Panel(title, name.endswith("_ms") and METRICS[name].better == "lower", values)


def _caps(rows: Sequence[Row]) -> list[tuple[str, list[tuple[Row, side_by_side.StatedCap]]]]:
    """By cap, the runs that have it."""
    names = dict.fromkeys(cap.name for row in rows if row.stated for cap in row.stated.caps)
    return [
        (name, [(row, cap) for row in rows if row.stated for cap in row.stated.caps if cap.name == name])
        for name in names
    ]

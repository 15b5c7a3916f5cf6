"""The figures of the report about access points: the world, the load over time, and when which country comes.

Coastlines are not needed: 2,068 cities as dots show the continents. Nothing is told by colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox, BboxBase, blended_transform_factory
from numpy.typing import NDArray

from analysis import places
from analysis.access import AccessAudit
from analysis.billing_days import DAY_MS
from analysis.figures import ACCENT, INK, MUTED, RULE, SECOND, short, style, svg, title
from analysis.outages import DOWN, Outage

STRIPS_MAX: Final = 12
STRIPS_NARROW_MAX: Final = 8
OUTAGES_NAMED_MAX: Final = 4
"""So many outages have a line through all strips; every one is marked in the strip of its point."""

_WORLD: Final = (-170.0, 180.0, -56.0, 74.0)
"""West, east, south and north of the map: where cities are."""
_SIZES: Final = ((1, 1.6), (10, 2.6), (100, 4.0), (1_000, 6.0), (10_000, 8.5), (100_000, 12.0))
"""A city with so many users is drawn so large, in points across."""
_POINT_SIZES: Final = (5.0, 13.0)
"""Of the access point with the fewest users, and with the most."""
_MAP_WORDS: Final = "users by city (dots) and access points with their users (diamonds)"
_LABELS_NARROW_MAX: Final = 10
_AROUND: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a label may stand beside its point, the best place first."""
_REACH: Final = (1.0, 1.9, 2.8)
"""How far off, in distances of the nearest."""
_NAME_MAX: Final = 22
_HOURS: Final = 24
_HOUR_MS: Final = 3_600_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Strip:
    """A row of small multiples: a name, its figure, and counts by slice."""

    name: str
    figure: str
    counts: Ints
    code: str = ""


def world(access: AccessAudit, *, narrow: bool) -> str:
    """Draw the users by city and the access points, each as large as its users are many."""
    name = f"world-{'narrow' if narrow else 'wide'}"
    with style(name):
        figure = Figure(figsize=(3.75, 1.95) if narrow else (10.4, 4.7))
        axes = figure.add_axes((0.005, 0.02, 0.99, 0.88 if narrow else 0.92))
        axes.set_axis_off()
        west, east, south, north = _WORLD
        axes.set_xlim(west, east)
        axes.set_ylim(south, north)
        _cities(axes, access, scale=0.5 if narrow else 1.0)
        _points(figure, axes, access, narrow=narrow)
        crosses = "; crosses were lost or drained" if access.outages else ""
        title(axes, "users and access points" if narrow else f"{_MAP_WORDS}{crosses}")
        return svg(figure, name, "Map of the users by city and of the access points where they came in")


def _cities(axes: Axes, access: AccessAudit, scale: float) -> None:
    table = places.places()
    come = access.visits
    known = come.is_admitted & (come.place != places.UNKNOWN)
    pairs = pd.unique(come.user[known] * len(table.names) + come.place[known])
    users = np.bincount(pairs % len(table.names), minlength=len(table.names))
    at = table.longitudes, table.latitudes
    empty = users == 0
    axes.plot(at[0][empty], at[1][empty], "o", ms=0.9 * scale, color=MUTED, alpha=0.55, mew=0, label="nobody's city")
    edges = [*(least for least, _ in _SIZES), np.inf]
    for least, below, (_, size) in zip(edges, edges[1:], _SIZES, strict=False):
        here = (users >= least) & (users < below)
        if here.any():
            label = f"{short(least)} users and more"
            axes.plot(at[0][here], at[1][here], "o", ms=size * scale, color=ACCENT, alpha=0.45, mew=0, label=label)


def _points(figure: Figure, axes: Axes, access: AccessAudit, *, narrow: bool) -> None:
    """Draw the busiest first, so that small ones lie above, and give each the first free place for its label."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # it knows how wide letters are
    users = {load.code: load.users for load in access.loads}
    most = max(users.values(), default=0)
    taken: list[Bbox] = []
    lost = {outage.code for outage in access.outages}
    least, largest = (size * (0.55 if narrow else 1.0) for size in _POINT_SIZES)
    ordered = sorted(access.points.points, key=lambda point: (-users.get(point.code, 0), point.code))
    sizes = {
        point.code: least + (largest - least) * float(np.sqrt(users.get(point.code, 0) / max(1, most)))
        for point in ordered
    }
    for point in ordered:
        centre = axes.transData.transform((point.longitude, point.latitude))
        half = sizes[point.code] / 2 * figure.dpi / 72
        taken.append(Bbox.from_extents(*(centre - half), *(centre + half)))
    for rank, point in enumerate(ordered):
        is_lost = point.code in lost
        axes.plot(
            point.longitude, point.latitude, "X" if is_lost else "D", ms=sizes[point.code] * (1.15 if is_lost else 0.8),
            mfc=SECOND if is_lost else "white", mec="white" if is_lost else INK, mew=0.9, zorder=4,
        )  # fmt: skip
        if narrow and rank >= _LABELS_NARROW_MAX and not is_lost:
            continue
        label = axes.annotate(
            point.code if narrow else f"{point.code} {short_count(users.get(point.code, 0))}",
            (point.longitude, point.latitude),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=7.5 if narrow else 8.5,
            fontweight="bold" if is_lost else "normal",
            ha="center",
            va="center",
            zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3},
        )
        box = label.get_window_extent(renderer)
        offset, placed = _free_place(box, sizes[point.code] * figure.dpi / 72, taken, figure.bbox)
        label.set_position((offset[0] * 72 / figure.dpi, offset[1] * 72 / figure.dpi))
        taken.append(placed)


def _free_place(box: Bbox, size: float, taken: Sequence[Bbox], paper: BboxBase) -> tuple[tuple[float, float], Bbox]:
    """Return by how much to move a label, and where it then is: the first place that overlaps least."""
    best: tuple[float, tuple[float, float], Bbox] | None = None
    for reach in _REACH:
        for right, up in _AROUND:
            offset = (
                right * (box.width / 2 + size / 2 + 1) * (1 if right and not up else reach) * (reach if not up else 1),
                up * (box.height / 2 + size / 2) * reach,
            )
            moved = box.translated(*offset)
            outside = moved.width * moved.height - _overlap(moved, paper)
            overlap = sum(_overlap(moved, other) for other in taken) + outside + 0.01 * box.width * (reach - 1)
            if best is None or overlap < best[0] - 1e-6:
                best = overlap, offset, moved
    assert best is not None, "there are places around every point"
    return best[1], best[2]


def _overlap(one: BboxBase, other: BboxBase) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(0.0, width) * max(0.0, height))


def load_over_time(access: AccessAudit, *, narrow: bool) -> str:
    """Draw the sessions online at each of the busiest access points, and when a point was out of service."""
    name = f"load-{'narrow' if narrow else 'wide'}"
    lost = {outage.code for outage in access.outages if outage.code in access.online.by_code}
    shown = _chosen(list(access.online.by_code), lost, STRIPS_NARROW_MAX if narrow else STRIPS_MAX)
    strips = [
        _Strip(access.name_of(code), f"{int(values.max()):,}", values, code)
        for code, values in access.online.by_code.items()
        if code in shown
    ]
    rest = [values for code, values in access.online.by_code.items() if code not in shown]
    if rest:
        values = np.sum(rest, axis=0)
        strips.append(_Strip(f"{len(rest)} others", f"{int(values.max()):,}", values))
    with style(name):
        figure, axes = _canvas(len(strips), narrow=narrow)
        _draw(axes, access.online.at_s, strips)
        for outage in access.outages:
            _mark(axes, outage, strips, float(access.online.at_s[-1]))
        for outage in sorted(access.outages, key=lambda one: -one.sessions)[:OUTAGES_NAMED_MAX]:
            axes.axvline(outage.lost_us / 1e6, color=SECOND, lw=0.8, ls=(0, (4, 3)), zorder=5)
        axes.set_xlabel("seconds since the run's zero")
        axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 9))
        hatched = "; hatched: lost or drained" if access.outages else ""
        title(axes, "sessions online" if narrow else f"sessions online, each to its own most{hatched}")
        return svg(figure, name, "Sessions online by access point over the time of the run")


def by_hour(access: AccessAudit, *, offset_ms: int, narrow: bool) -> str:
    """Draw in which hours of the billing day the users of each country log in."""
    name = f"hours-{'narrow' if narrow else 'wide'}"
    countries, table = logins_by_hour(access, offset_ms)
    count = STRIPS_NARROW_MAX if narrow else STRIPS_MAX
    strips = [
        _Strip(country, f"{int(values.sum()):,}", values)
        for country, values in zip(countries[:count], table[:count], strict=True)
    ]
    if len(countries) > count:
        values = table[count:].sum(axis=0)
        strips.append(_Strip(f"{len(countries) - count} others", f"{int(values.sum()):,}", values))
    with style(name):
        figure, axes = _canvas(len(strips), narrow=narrow)
        _draw(axes, np.arange(1.0, _HOURS + 1), strips, is_stepped=True)
        axes.set_xlim(0, _HOURS)
        axes.xaxis.set_major_locator(FixedLocator(range(0, _HOURS + 1, 6 if narrow else 3)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda hour, _at: f"{hour:02.0f}:00"))
        axes.set_xlabel(f"hour of the billing day, UTC{offset_ms / _HOUR_MS:+g}")
        title(axes, "logins by country and hour" if narrow else "logins by country and hour, each to its own most")
        return svg(figure, name, "Logins by country and hour of the billing day")


def logins_by_hour(access: AccessAudit, offset_ms: int) -> tuple[list[str], Ints]:
    """Return countries, that with the most logins first, and their successful logins by hour of the billing day."""
    come = access.visits
    at = np.flatnonzero(come.is_admitted & ~come.is_resume & (come.place != places.UNKNOWN))
    names = sorted({country for country, _ in places.places().names})
    number = {country: index for index, country in enumerate(names)}
    country = np.array([number[country] for country, _ in places.places().names])[come.place[at]]
    hour = (come.planned_app_ms[at] + offset_ms) % DAY_MS // _HOUR_MS
    table = np.bincount(country * _HOURS + hour, minlength=len(names) * _HOURS).reshape(-1, _HOURS)
    order = np.argsort(-table.sum(axis=1), kind="stable")
    used = [int(index) for index in order if table[index].any()]
    return [names[index] for index in used], table[used]


def _chosen(codes: Sequence[str], wanted: set[str], count: int) -> set[str]:
    """Choose the busiest codes, and among them those that are wanted in any case."""
    others = [code for code in codes if code not in wanted]
    return set([code for code in codes if code in wanted][:count] + others[: max(0, count - len(wanted))])


def _canvas(strips: int, *, narrow: bool) -> tuple[Figure, Axes]:
    height = (0.95 if narrow else 0.8) + (0.34 if narrow else 0.36) * max(1, strips)
    figure = Figure(figsize=(3.75 if narrow else 10.4, height))
    axes = figure.add_subplot()
    left, right = (0.36, 0.86) if narrow else (0.155, 0.93)
    figure.subplots_adjust(left=left, right=right, bottom=0.5 / height, top=1 - 0.28 / height)
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(max(1, strips), 0)
    return figure, axes


def _draw(axes: Axes, at: Floats, strips: Sequence[_Strip], *, is_stepped: bool = False) -> None:
    """Draw each strip on a line of its own, named on the left, its figure on the right."""
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for row, strip in enumerate(strips):
        base = row + 0.94
        height = base - 0.82 * strip.counts / max(1, int(strip.counts.max(initial=0)))
        edges = np.concatenate([[at[0] - (at[1] - at[0]) if len(at) > 1 else 0.0], at])
        if is_stepped:
            axes.stairs(height, edges, baseline=base, fill=True, color=ACCENT, alpha=0.3)
            axes.stairs(height, edges, baseline=base, color=ACCENT, lw=0.9)
        else:
            axes.fill_between(at, height, base, color=ACCENT, alpha=0.3, lw=0)
            axes.plot(at, height, color=ACCENT, lw=1.0)
        axes.axhline(base, color=RULE, lw=0.8)
        axes.text(-0.01, row + 0.62, strip.name[:_NAME_MAX], transform=beside, ha="right", va="center", fontsize=9)
        axes.text(1.008, row + 0.62, strip.figure, transform=beside, ha="left", va="center", fontsize=9, color=MUTED)
    axes.set_xlim(at[0], at[-1])


def _mark(axes: Axes, outage: Outage, strips: Sequence[_Strip], end_s: float) -> None:
    """Hatch the time for which a point was out of service in its own strip."""
    row = next((row for row, strip in enumerate(strips) if strip.code == outage.code), None)
    if row is None:
        return
    until_s = end_s if outage.until_us is None else outage.until_us / 1e6
    hatch = "////" if outage.state == DOWN else "\\\\\\\\"
    axes.fill_between(
        [outage.lost_us / 1e6, until_s], row + 0.1, row + 0.94, fc="none", ec=SECOND, hatch=hatch, lw=0.6, zorder=4
    )


def short_count(count: int) -> str:
    """Write a count in three digits.

    >>> short_count(934), short_count(12_345), short_count(1_250_000)
    ('934', '12.3 k', '1.25 M')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)

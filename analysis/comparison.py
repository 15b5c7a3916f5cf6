"""Compares two sides of runs: which metrics became worse, beyond what chance and their noise explain."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from analysis import baselines, selections
from analysis.baselines import BaselineError, Measurement, Side
from analysis.metrics import METRICS
from analysis.significance import Floats, p_least, p_values, runs_needed, spread, typical_ratio

SEED: Final = 7
"""Of the drawn labels, where there are too many to try all."""

DEFAULT_METRICS: Final = (
    "latency.service_p50_ms",
    "latency.service_p95_ms",
    "latency.service_p99_ms",
    "latency.response_p50_ms",
    "latency.response_p95_ms",
    "latency.response_p99_ms",
    "logins.per_second",
)

_WHOLE: Final = 1_000
"""From here on nobody needs a fraction."""

State = Literal["worse", "better", "same"]


@dataclass(frozen=True, slots=True)
class Criteria:
    """When a metric counts as changed: both must hold."""

    effect: float = 0.10
    """A smaller change is left alone, however sure it is."""
    level: float = 0.01
    """How often unchanged runs may be called worse, over all metrics of a comparison together."""


DEFAULT: Final = Criteria()


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric on both sides; values are medians over runs."""

    metric: str
    base: float
    candidate: float
    change: float
    """The typical ratio of a candidate's run to a base's, less one."""
    noise: float
    """The relative noise of a run, of the noisier side."""
    p: float
    """How often chance alone does as much, in the direction of the change."""
    state: State


@dataclass(frozen=True, slots=True)
class Comparison:
    """All metrics of a comparison."""

    base: Side
    candidate: Side
    criteria: Criteria
    differences: Sequence[Difference]

    @property
    def worse(self) -> list[str]:
        return [each.metric for each in self.differences if each.state == "worse"]

    @property
    def exit_code(self) -> int:
        """0: nothing became worse; 1: something did."""
        return 1 if self.worse else 0

    def document(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "outcome": "failed" if self.worse else "passed",
            "effect_min": self.criteria.effect,
            "significance": self.criteria.level,
            "base": _named(self.base),
            "candidate": _named(self.candidate),
            "metrics": [_finite(asdict(each)) for each in self.differences],
        }

    def text(self) -> str:
        """Return it for people: a line for each metric, and one that sums up."""
        width = max(len(each.metric) for each in self.differences)
        lines = [f"{'metric':{width}}  {'base':>10}  {'candidate':>10}  {'change':>8}  {'noise':>7}  {'p':>7}"]
        for each in self.differences:
            figures = f"{figure(each.base):>10}  {figure(each.candidate):>10}  {each.change:>+8.1%}  {each.noise:>7.1%}"
            mark = "" if each.state == "same" else f"  {each.state}"
            lines.append(f"{each.metric:{width}}  {figures}  {each.p:>7.4f}{mark}")
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """Say in one line whether it is worse."""
        runs = f"{len(self.base.runs)} runs against {len(self.candidate.runs)}"
        if self.worse:
            return f"WORSE · {runs} · {', '.join(self.worse)}"
        effect, level = self.criteria.effect, self.criteria.level
        return f"not worse · {runs} · a change counts from {effect:.0%} on, at a significance of {level:g}"


def figure(value: float) -> str:
    """Write a metric's value for people.

    >>> figure(0.71432), figure(1.2), figure(18_304.6)
    ('0.7143', '1.2', '18,305')
    """
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.4g}"


def check_metrics(names: Sequence[str]) -> None:
    """Raise BaselineError for a metric by which runs cannot be compared."""
    for text in names:
        try:
            name, _ = selections.parse(text)
        except ValueError as wrong:
            raise BaselineError(str(wrong)) from wrong
        if name not in METRICS or METRICS[name].better is None:
            known = ", ".join(name for name, metric in METRICS.items() if metric.better)
            raise BaselineError(f"{name!r} is no metric that runs are compared by; known: {known}")


def compare(
    base: Side,
    candidate: Side,
    metrics: Sequence[str] = DEFAULT_METRICS,
    criteria: Criteria = DEFAULT,
    allowed: Sequence[str] = (),
) -> Comparison:
    """Compare two sides by metrics that `check_metrics` took; settings named in `allowed` may differ.

    Raises BaselineError when the sides cannot be compared, or have too few runs to show anything.
    """
    _refuse_different(base, candidate, allowed)
    level = criteria.level
    if p_least(len(base.runs), len(candidate.runs)) > level:
        raise BaselineError(
            f"{len(base.runs)} against {len(candidate.runs)} runs cannot show anything at a significance of {level:g}: "
            f"{runs_needed(level)} a side are the least, 10 are better"
        )
    one, other = _matrix(base.runs, metrics), _matrix(candidate.runs, metrics)
    # All metrics are turned so that greater is worse: they are tested together, and move together.
    signs = np.array([1.0 if _is_lower_better(text) else -1.0 for text in metrics])
    worse, better = p_values(one * signs, other * signs, SEED)
    differences = [
        _difference(text, (one[:, at], other[:, at]), (float(worse[at]), float(better[at])), criteria)
        for at, text in enumerate(metrics)
    ]
    return Comparison(base, candidate, criteria, differences)


def _difference(metric: str, values: tuple[Floats, Floats], p: tuple[float, float], criteria: Criteria) -> Difference:
    base, candidate = values
    ratio = typical_ratio(base, candidate)
    is_worse = ratio != 1 and (ratio > 1) == _is_lower_better(metric)
    p_seen = p[0] if is_worse else p[1]
    # A rate that fell to a half and a time that doubled are the same change.
    size = max(ratio, 1 / ratio if ratio else np.inf) - 1
    state: State = "same"
    if p_seen <= criteria.level and size >= criteria.effect:
        state = "worse" if is_worse else "better"
    return Difference(
        metric=metric,
        base=float(np.median(base)),
        candidate=float(np.median(candidate)),
        change=ratio - 1,
        noise=max(spread(base), spread(candidate)),
        p=p_seen,
        state=state,
    )


def _is_lower_better(metric: str) -> bool:
    name, _ = selections.parse(metric)
    return METRICS[name].better == "lower"


def _refuse_different(base: Side, candidate: Side, allowed: Sequence[str]) -> None:
    sides = [
        {name: value for name, value in side.settings.items() if name not in allowed} for side in (base, candidate)
    ]
    if different := baselines.differences(*sides):
        raise BaselineError(f"the sides differ in {'; '.join(different)}")
    if both := sorted({run.id for run in base.runs} & {run.id for run in candidate.runs}):
        raise BaselineError(f"{both[0]} stands on both sides")


def _matrix(runs: Sequence[Measurement], metrics: Sequence[str]) -> Floats:
    for run in runs:
        if missing := [text for text in metrics if text not in run.metrics]:
            raise BaselineError(f"{run.id} has no {missing[0]}; it has: {', '.join(run.metrics)}")
    return np.array([[run.metrics[text] for text in metrics] for run in runs])


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: something after nothing is a change without a number."""
    return row if np.isfinite(row["change"]) else row | {"change": None}


def _named(side: Side) -> Mapping[str, Any]:
    return {"runs": [run.id for run in side.runs], "skipped": list(side.skipped)}

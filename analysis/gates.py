"""Gates: what a metric must be, read from a TOML file; `docs/gates.md` explains every key.

[[gate]]
metric = "latency.service_p99_ms"
where = { verb = "login", country = ["BR", "SG"], day = "spike", hour = 20 }
at_most = 250             # or equals, or at_least
kind = "performance"      # "exact": failed, the run failed; "validity": the run is invalid
on_failure = "warn"       # default "fail"
samples_min = 1000        # fewer requests are no ground for a judgement
abort = true              # may end a run that still goes on
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from analysis import selections
from analysis.audit import Audit
from analysis.findings import Finding, Severity
from analysis.metrics import METRICS, Measured, Value, measure
from analysis.samples import Samples, SelectionError
from analysis.selections import EVERYTHING, Selection

Kind = Literal["exact", "validity", "performance"]

DEFAULT_FILE: Final = Path(__file__).with_name("default_gates.toml")

_KINDS: Final = ("exact", "validity", "performance")
_RULES: Final = {"equals": "=", "at_most": "≤", "at_least": "≥"}
_ON_FAILURE: Final = ("fail", "warn")
_KEYS: Final = {"metric", "where", "kind", "on_failure", "samples_min", "abort", *_RULES}
_HEADER: Final = re.compile(r"\s*\[\[\s*gate\s*\]\]")


class GateError(Exception):
    """Raised with one sentence when a gate file cannot be used."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a metric."""

    metric: str
    rule: str
    bound: Value
    kind: Kind
    is_warning: bool
    selection: Selection = EVERYTHING
    samples_min: int = 1
    may_abort: bool = False
    line: int | None = None
    """Where it begins in its file; None where that is not known."""

    @property
    def name(self) -> str:
        """Write the metric with its selection."""
        return self.metric + self.selection.text

    @property
    def text(self) -> str:
        """Write the rule, as in `verdict.json`."""
        return f"{_RULES[self.rule]} {self.bound}"

    @property
    def severity(self) -> Severity:
        """How bad a failure is."""
        if self.is_warning:
            return "warning"
        return "invalid" if self.kind == "validity" else "error"


@dataclass(frozen=True, slots=True)
class Result:
    """A gate and the value that it saw."""

    gate: Gate
    value: Value | None
    passed: bool
    samples: int | None = None
    """Of how many requests the value was taken; None for what is not of requests."""

    @property
    def shown(self) -> str:
        """Write the value for people."""
        if self.value is None:
            return "unknown"
        is_float = isinstance(self.value, float)
        return f"{self.value:.6g}" if is_float else str(self.value)

    @property
    def finding(self) -> Finding:
        """The finding of a failure."""
        text = f"{self.gate.name} is {self.shown}, must be {self.gate.text}"
        return Finding("gate_failed", self.gate.severity, text)


def read(path: Path) -> list[Gate]:
    """Read a gate file. Raises GateError naming all that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as missing:
        raise GateError(f"{path}: {missing.strerror}") from missing
    except ValueError as broken:
        raise GateError(f"{path}: {broken}") from broken
    rows = document.get("gate", [])
    if not isinstance(rows, list) or not rows or set(document) != {"gate"}:
        raise GateError(f"{path}: holds [[gate]] tables and nothing else")
    problems = [f"gate {n}: {text}" for n, row in enumerate(rows, 1) for text in _problems(row)]
    if problems:
        raise GateError(f"{path}: " + "; ".join(problems))
    return [_gate(row, line) for row, line in zip(rows, _lines(text, len(rows)), strict=True)]


def evaluate(gates: Iterable[Gate], audit: Audit) -> list[Result]:
    """Read each metric off the audit.

    Raises GateError naming all gates without samples: a bound on nothing would pass for ever. In a run that is
    invalid anyway such a gate fails.
    """
    samples = Samples(audit.run, audit)
    is_invalid = any(finding.severity == "invalid" for finding in audit.findings)
    results, problems = [], []
    for gate in gates:
        measured, problem = _measured(gate, samples)
        if problem:
            problems.append(problem)
        value = measured.value
        results.append(Result(gate, value, not problem and value is not None and holds(gate, value), measured.samples))
    if problems and not is_invalid:
        raise GateError("; ".join(problems))
    return results


def holds(gate: Gate, value: Value) -> bool:
    """Tell whether a value keeps to a gate. Raises GateError for a bound on what has no order."""
    if gate.rule == "equals":
        return value == gate.bound
    if isinstance(value, str) or isinstance(gate.bound, str):
        raise GateError(f"{gate.name} is {value!r}: it can only be compared with equals")
    return value <= gate.bound if gate.rule == "at_most" else value >= gate.bound


def _measured(gate: Gate, samples: Samples) -> tuple[Measured, str | None]:
    """Return the value, and why there can be no judgement."""
    try:
        measured = measure(gate.metric, samples, gate.selection)
    except SelectionError as nothing:
        return Measured(None, 0), f"{gate.name} has no samples: {nothing}"
    if measured.value is None:
        return measured, f"{gate.name} has no samples in this run"
    if measured.samples is not None and measured.samples < gate.samples_min > 1:
        return measured, f"{gate.name} has {measured.samples:,} samples in this run, needs {gate.samples_min:,}"
    return measured, None


def _problems(row: Mapping[str, Any]) -> Iterator[str]:
    metric = METRICS.get(row.get("metric", ""))
    rules = [rule for rule in _RULES if rule in row]
    yield from (f"unknown key {key!r}" for key in row if key not in _KEYS)
    if metric is None:
        yield f"unknown metric {row.get('metric')!r}; known: {', '.join(METRICS)}"
    if len(rules) != 1:
        yield f"needs one of {', '.join(_RULES)}"
    elif not _is_bound(rules[0], row[rules[0]]):
        yield f"{rules[0]} cannot be {row[rules[0]]!r}"
    if row.get("kind") not in _KINDS:
        yield f"kind is one of {', '.join(_KINDS)}"
    if row.get("on_failure", "fail") not in _ON_FAILURE:
        yield f"on_failure is one of {', '.join(_ON_FAILURE)}"
    yield from selections.problems(row.get("where", {}))
    yield from _problems_of_samples(row, is_of_requests=metric is None or metric.taken_of is not None)
    if metric is not None:
        yield from _problems_of_abort(row, rules, is_early=metric.is_early, grows=metric.grows)


def _problems_of_samples(row: Mapping[str, Any], *, is_of_requests: bool) -> Iterator[str]:
    least = row.get("samples_min", 1)
    if not isinstance(least, int) or isinstance(least, bool) or least < 1:
        yield f"samples_min cannot be {least!r}"
    if not is_of_requests:
        yield from (
            f"{row['metric']} is not taken of requests: it has no {key}"
            for key in ("where", "samples_min")
            if key in row
        )


def _problems_of_abort(row: Mapping[str, Any], rules: list[str], *, is_early: bool, grows: bool) -> Iterator[str]:
    abort = row.get("abort", False)
    if not isinstance(abort, bool):
        yield "abort is true or false"
    elif abort and not is_early:
        yield f"{row['metric']} says nothing before the end of a run: it cannot abort"
    elif abort and not (grows and rules != ["at_least"]) and "samples_min" not in row:
        yield f"{row['metric']} may still come right: to abort it needs samples_min"


def _is_bound(rule: str, bound: object) -> bool:
    is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
    return is_number or (rule == "equals" and isinstance(bound, str))


def _gate(row: Mapping[str, Any], line: int | None) -> Gate:
    (rule,) = (rule for rule in _RULES if rule in row)
    return Gate(
        metric=row["metric"],
        rule=rule,
        bound=row[rule],
        kind=row["kind"],
        is_warning=row.get("on_failure", "fail") == "warn",
        selection=selections.read(row.get("where", {})),
        samples_min=row.get("samples_min", 1),
        may_abort=row.get("abort", False),
        line=line,
    )


def _lines(text: str, count: int) -> list[int | None]:
    """Find where each gate begins, which TOML's reader does not tell; not where a text holds what looks like one."""
    found: list[int | None] = [n for n, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    return found if len(found) == count else [None] * count

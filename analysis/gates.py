"""Gates: what a metric must be, read from a TOML file.

[[gate]]
metric = "bill.amount_cents"
equals = 1484901          # or at_most, or at_least
kind = "exact"            # failed: the run failed; "validity": the run is invalid; "performance"
on_failure = "fail"       # or "warn"
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from analysis.audit import Audit
from analysis.findings import Finding, Severity
from analysis.metrics import METRICS, Reading, Value

Kind = Literal["exact", "validity", "performance"]

DEFAULT_FILE: Final = Path(__file__).with_name("default_gates.toml")

_KINDS: Final = ("exact", "validity", "performance")
_RULES: Final = {"equals": "=", "at_most": "≤", "at_least": "≥"}
_ON_FAILURE: Final = ("fail", "warn")
_KEYS: Final = {"metric", "kind", "on_failure", *_RULES}


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

    @property
    def shown(self) -> str:
        """Write the value for people."""
        is_float = isinstance(self.value, float)
        return f"{self.value:.6g}" if is_float else str(self.value)

    @property
    def finding(self) -> Finding:
        """The finding of a failure."""
        text = f"{self.gate.metric} is {self.shown}, must be {self.gate.text}"
        return Finding("gate_failed", self.gate.severity, text)


def read(path: Path) -> list[Gate]:
    """Read a gate file. Raises GateError naming all that is wrong with it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
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
    return [_gate(row) for row in rows]


def evaluate(gates: Iterable[Gate], audit: Audit) -> list[Result]:
    """Read each metric off the audit.

    Raises GateError when one has no samples: a bound on nothing would pass for ever. In a run that is invalid
    anyway such a gate fails.
    """
    reading = Reading(audit)
    is_invalid = any(finding.severity == "invalid" for finding in audit.findings)
    results = []
    for gate in gates:
        value = METRICS[gate.metric].value(reading)
        if value is None and not is_invalid:
            raise GateError(f"{gate.metric} has no samples in this run")
        results.append(Result(gate, value, value is not None and _holds(gate, value)))
    return results


def _problems(row: Mapping[str, Any]) -> list[str]:
    metric = row.get("metric")
    rules = [rule for rule in _RULES if rule in row]
    problems = [f"unknown key {key!r}" for key in row if key not in _KEYS]
    if metric not in METRICS:
        problems.append(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    if len(rules) != 1:
        problems.append(f"needs one of {', '.join(_RULES)}")
    elif not _is_bound(rules[0], row[rules[0]]):
        problems.append(f"{rules[0]} cannot be {row[rules[0]]!r}")
    if row.get("kind") not in _KINDS:
        problems.append(f"kind is one of {', '.join(_KINDS)}")
    if row.get("on_failure", "fail") not in _ON_FAILURE:
        problems.append(f"on_failure is one of {', '.join(_ON_FAILURE)}")
    return problems


def _is_bound(rule: str, bound: object) -> bool:
    is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
    return is_number or (rule == "equals" and isinstance(bound, str))


def _gate(row: Mapping[str, Any]) -> Gate:
    (rule,) = (rule for rule in _RULES if rule in row)
    is_warning = row.get("on_failure", "fail") == "warn"
    return Gate(row["metric"], rule, row[rule], row["kind"], is_warning)


def _holds(gate: Gate, value: Value) -> bool:
    if gate.rule == "equals":
        return value == gate.bound
    if isinstance(value, str) or isinstance(gate.bound, str):
        raise GateError(f"{gate.metric} is {value!r}: it can only be compared with equals")
    return value <= gate.bound if gate.rule == "at_most" else value >= gate.bound

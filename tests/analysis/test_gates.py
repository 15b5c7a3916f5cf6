"""Gates: which files are accepted, what they judge, and what they refuse to judge."""

from pathlib import Path

import pytest

from analysis import gates, loading
from analysis.audit import Audit, audit
from analysis.gates import GateError
from analysis.metrics import METRICS, Reading
from analysis.verdict import Verdict
from tests.analysis.runs import a_recording, a_run

MILLION = Path(__file__).parents[2] / "gates" / "million.toml"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audit(loading.load(a_run(tmp_path_factory.mktemp("runs"))))


def _outcome(healthy: Audit, folder: Path, text: str) -> str:
    path = folder / "gates.toml"
    path.write_text(f"[[gate]]\n{text}\n")
    return Verdict(healthy, gates.evaluate(gates.read(path), healthy)).outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('metric = "dau.peak"\nequals = 50\nkind = "exact"', "passed"),
        ('metric = "dau.peak"\nequals = 51\nkind = "exact"', "failed"),
        ('metric = "dau.peak_day"\nequals = "2026-10-02"\nkind = "exact"', "passed"),
        ('metric = "dau.peak"\nat_most = 49\nkind = "validity"', "invalid"),
        ('metric = "dau.peak"\nat_least = 50\nkind = "validity"', "passed"),
        ('metric = "latency.service_p99_ms"\nat_most = 0.001\nkind = "performance"', "failed"),
        ('metric = "logins.per_second"\nat_least = 1e12\nkind = "performance"\non_failure = "warn"', "passed"),
    ],
)
def test_a_gate_decides_by_kind(healthy: Audit, tmp_path: Path, text: str, outcome: str) -> None:
    assert _outcome(healthy, tmp_path, text) == outcome


def test_a_warning_is_a_finding_all_the_same(healthy: Audit) -> None:
    gate = gates.Gate("dau.peak", "equals", 1, "exact", is_warning=True)
    verdict = Verdict(healthy, gates.evaluate([gate], healthy))
    assert [finding.severity for finding in verdict.findings] == ["warning"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('metric = "dau.peek"\nequals = 1\nkind = "exact"', "unknown metric 'dau.peek'"),
        ('metric = "dau.peak"\nkind = "exact"', "needs one of equals, at_most, at_least"),
        ('metric = "dau.peak"\nequals = 1\nat_most = 2\nkind = "exact"', "needs one of"),
        ('metric = "dau.peak"\nat_most = "many"\nkind = "exact"', "cannot be 'many'"),
        ('metric = "dau.peak"\nequals = 1\nkind = "soft"', "kind is one of"),
        ('metric = "dau.peak"\nequals = 1\nkind = "exact"\nlimit = 2', "unknown key 'limit'"),
        ('metric = "dau.peak_day"\nat_most = 2\nkind = "exact"', "only be compared with equals"),
        ("metric =", "Invalid value"),
    ],
)
def test_a_wrong_gate_file_is_refused_with_a_reason(healthy: Audit, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(GateError, match=says):
        _outcome(healthy, tmp_path, text)


def test_an_empty_or_missing_gate_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    for name in ("empty.toml", "absent.toml"):
        with pytest.raises(GateError):
            gates.read(tmp_path / name)


def test_a_metric_without_samples_is_refused(tmp_path: Path) -> None:
    nobody = audit(loading.load(a_run(tmp_path, days={})))
    gate = gates.Gate("latency.service_p99_ms", "at_most", 5, "performance", is_warning=False)
    with pytest.raises(GateError, match="no samples"):
        gates.evaluate([gate], nobody)


def test_in_an_invalid_run_a_metric_without_samples_just_fails(tmp_path: Path) -> None:
    recording = a_recording(days={})
    recording.manifest["complete"] = False
    audited = audit(loading.load(recording.written(tmp_path)))
    gate = gates.Gate("latency.service_p99_ms", "at_most", 5, "performance", is_warning=False)
    (result,) = gates.evaluate([gate], audited)
    assert not result.passed


def test_every_metric_of_a_healthy_run_has_a_value(healthy: Audit) -> None:
    reading = Reading(healthy)
    values = {name: metric.value(reading) for name, metric in METRICS.items()}
    assert None not in values.values()
    assert values["dau.peak_low"] == values["dau.peak_high"] == values["dau.peak"] == 50
    assert values["arrivals.started_ratio"] == 1.0


def test_the_shipped_gate_files_are_valid() -> None:
    assert {gate.metric for gate in gates.read(gates.DEFAULT_FILE)} >= {"witnesses.differences"}
    bounds = {gate.metric: gate.bound for gate in gates.read(MILLION)}
    assert bounds["bill.amount_cents"] == 1_484_901

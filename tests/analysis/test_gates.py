"""Gates: which files are accepted, what they judge, and what they refuse to judge."""

from pathlib import Path

import pytest

from analysis import gates, loading
from analysis.audit import Audit, audit
from analysis.gates import GateError
from analysis.metrics import METRICS, measure
from analysis.quotas import QUOTAS
from analysis.samples import Samples
from analysis.selections import Selection
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
        ('metric = "users.distinct"\nwhere = { day = "2026-10-01" }\nequals = 30\nkind = "exact"', "passed"),
        ('metric = "users.distinct"\nwhere = { day = "spike" }\nequals = 50\nkind = "exact"', "passed"),
        ('metric = "requests.answered"\nwhere = { code = 72000 }\nequals = 0\nkind = "exact"', "passed"),
        (
            (
                'metric = "latency.service_p95_ms"\n'
                'where = { verb = "login", country = ["BR", "SG"], day = "peak" }\n'
                'at_most = 90\nkind = "performance"\nsamples_min = 20'
            ),
            "passed",
        ),
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
        ('metric = "dau.peak"\nequals = 1\nkind = "exact"\nwhere = { day = "peak" }', "not taken of requests"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nwhere = { city = "x" }', "where knows no 'city'"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nwhere = { hour = 24 }', "hour cannot be 24"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nwhere = { day = "today" }', "day cannot be 'today'"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nwhere = { from_s = [1, 2] }', "from_s is one number"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nwhere = "BR"', "where is a table"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nsamples_min = 0', "samples_min cannot be 0"),
        ('metric = "dau.peak_day"\nequals = "x"\nkind = "exact"\nabort = true', "cannot abort"),
        ('metric = "dau.peak"\nat_least = 9\nkind = "exact"\nabort = true', "may still come right"),
        ('metric = "users.distinct"\nequals = 1\nkind = "exact"\nabort = 1', "abort is true or false"),
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'metric = "users.distinct"\nequals = 0\nwhere = { country = "BX" }',
            "no request of this run has country 'BX'",
        ),
        ('metric = "requests.refused"\nequals = 0\nwhere = { day = "2026-10-20" }', "no samples"),
        ('metric = "latency.service_p99_ms"\nat_most = 9\nwhere = { hour = 3, code = 1 }', "no samples"),
        ('metric = "latency.service_p99_ms"\nat_most = 9\nsamples_min = 5000', "samples in this run, needs 5,000"),
    ],
)
def test_a_selection_that_holds_nothing_is_refused(healthy: Audit, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(GateError, match=says):
        _outcome(healthy, tmp_path, text + '\nkind = "performance"')


def test_all_gates_without_samples_are_named_at_once(healthy: Audit, tmp_path: Path) -> None:
    text = 'metric = "users.distinct"\nequals = 0\nwhere = { country = "%s" }\nkind = "exact"'
    with pytest.raises(GateError, match=r"'BX'.*; .*'BY'"):
        _outcome(healthy, tmp_path, "\n[[gate]]\n".join(text % country for country in ("BX", "BY")))


def test_windows_add_up_to_the_whole(healthy: Audit) -> None:
    samples = Samples(healthy.run, healthy)
    whole = samples.requests()
    parts = [samples.requests(Selection({"hour": (hour,)})) for hour in range(24)]
    middle_s = float(whole.answered["planned_us"].median()) / 1e6
    halves = [samples.requests(Selection({key: (middle_s,)})) for key in ("from_s", "to_s")]

    assert sum(part.count for part in parts) == sum(half.count for half in halves) == whole.count
    assert sum(part.refused for part in parts) == whole.refused
    assert whole.users == healthy.peak.dau if healthy.peak else False


def test_a_gate_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gates.toml"
    gate = '[[gate]]\nmetric = "dau.peak"\nequals = 1\nkind = "exact"\n'
    path.write_text(f"# ours\n{gate}\n{gate}")
    assert [each.line for each in gates.read(path)] == [2, 7]


def test_in_an_invalid_run_a_metric_without_samples_just_fails(tmp_path: Path) -> None:
    recording = a_recording(days={})
    recording.manifest["complete"] = False
    audited = audit(loading.load(recording.written(tmp_path)))
    gate = gates.Gate("latency.service_p99_ms", "at_most", 5, "performance", is_warning=False)
    (result,) = gates.evaluate([gate], audited)
    assert not result.passed


def test_every_metric_of_a_healthy_run_has_a_value(healthy: Audit) -> None:
    samples = Samples(healthy.run, healthy)
    values = {name: measure(name, samples).value for name in METRICS}
    # The run bears on no cap, and is not about access points.
    absent = {f"caps.{name}_filled" for name in QUOTAS} | {name for name in METRICS if name.startswith("routing.")}
    assert {name for name, value in values.items() if value is None} == absent
    assert values["dau.peak_low"] == values["dau.peak_high"] == values["dau.peak"] == 50
    assert values["arrivals.started_ratio"] == 1.0


def test_the_shipped_gate_files_are_valid() -> None:
    assert {gate.metric for gate in gates.read(gates.DEFAULT_FILE)} >= {"witnesses.differences"}
    bounds = {gate.metric: gate.bound for gate in gates.read(MILLION)}
    assert bounds["bill.amount_cents"] == 1_484_901

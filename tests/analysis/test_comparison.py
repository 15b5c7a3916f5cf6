"""Comparing runs: when sides are worse, what is refused, and how rarely unchanged runs are blamed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import baselines, comparison, run_files
from analysis.__main__ import main
from analysis.baselines import BaselineError, Measurement, Side
from analysis.comparison import Criteria, compare
from analysis.significance import p_values, spread, typical_ratio
from benchmarks import noisy_runs
from proofs.forging import rewrite_manifest
from tests.analysis.runs import a_recording

LATENCY = "latency.service_p99_ms"
RATE = "logins.per_second"
METRICS = (LATENCY, RATE)


def a_side(name: str, latencies_ms: list[float], settings: dict[str, Any] | None = None) -> Side:
    """One run for each latency; its rate is what the latency allows."""
    runs = [
        Measurement(f"{name}-{number}", {LATENCY: value, RATE: 1_000 / value})
        for number, value in enumerate(latencies_ms)
    ]
    return Side(settings or {}, runs)


NOISY = [10.0, 10.4, 9.7, 10.1, 9.9]


def test_unchanged_runs_are_not_worse() -> None:
    compared = compare(a_side("a", NOISY), a_side("b", [9.8, 10.3, 10.2, 9.6, 10.05]), METRICS)
    assert (compared.worse, compared.exit_code) == ([], 0)


def test_a_slower_side_is_worse_by_time_and_by_rate() -> None:
    compared = compare(a_side("a", NOISY), a_side("b", [value * 1.3 for value in NOISY]), METRICS)
    assert (compared.worse, compared.exit_code) == (list(METRICS), 1)
    latency, rate = compared.differences
    assert latency.change == pytest.approx(0.3, abs=0.01)
    assert rate.change == pytest.approx(1 / 1.3 - 1, abs=0.01)
    assert latency.p == 1 / 252, "of all ways to name five of ten runs, only this one looks so bad"


def test_a_faster_side_is_better_and_passes() -> None:
    compared = compare(a_side("a", [value * 1.3 for value in NOISY]), a_side("b", NOISY), METRICS)
    assert [each.state for each in compared.differences] == ["better", "better"]
    assert compared.exit_code == 0


@pytest.mark.parametrize(("effect", "state"), [(0.2, "same"), (0.05, "worse")])
def test_a_sure_but_small_change_counts_from_the_least_effect_on(effect: float, state: str) -> None:
    slower = a_side("b", [value * 1.1 for value in NOISY])
    (difference,) = compare(a_side("a", NOISY), slower, [LATENCY], Criteria(effect=effect)).differences
    assert difference.state == state


def test_one_bad_run_is_noise() -> None:
    compared = compare(a_side("a", NOISY), a_side("b", [9.8, 10.3, 10.2, 9.6, 55.0]), METRICS)
    assert compared.worse == []


def test_too_few_runs_are_refused_with_the_number_that_is_needed() -> None:
    with pytest.raises(BaselineError, match="5 a side are the least"):
        compare(a_side("a", NOISY[:4]), a_side("b", NOISY[:4]), METRICS)


def test_differing_settings_are_named_and_may_be_allowed() -> None:
    one = a_side("a", NOISY, {"workers": 1, "option rate": "25000"})
    other = a_side("b", NOISY, {"workers": 2, "option rate": "25000"})
    with pytest.raises(BaselineError, match=r"the sides differ in workers \(1 and 2\)$"):
        compare(one, other, METRICS)
    assert compare(one, other, METRICS, allowed=["workers"]).worse == []


def test_a_run_cannot_stand_on_both_sides() -> None:
    with pytest.raises(BaselineError, match="a-0 stands on both sides"):
        compare(a_side("a", NOISY), a_side("a", NOISY), METRICS)


def test_nothing_against_something_is_worse_and_has_no_number_in_json() -> None:
    ratio = "requests.error_ratio"
    sides = [
        Side({}, [Measurement(f"{name}{n}", {ratio: value}) for n in range(5)])
        for name, value in (("a", 0.0), ("b", 0.1))
    ]
    compared = compare(*sides, [ratio])
    assert compared.worse == [ratio]
    assert json.loads(json.dumps(compared.document(), allow_nan=False))["metrics"][0]["change"] is None
    assert compare(sides[0], Side({}, [Measurement(f"c{n}", {ratio: 0.0}) for n in range(5)]), [ratio]).worse == []


@pytest.mark.parametrize(("slower", "least", "most"), [(1.0, 0.0, 0.01), (1.2, 0.95, 1.0)])
def test_false_alarms_are_rare_and_slow_downs_are_found(slower: float, least: float, most: float) -> None:
    """200 pairs with 5 % of noise from run to run; `python -m benchmarks compare` has the figures of 10 runs a side."""
    worse = sum(bool(compare(*pair).worse) for pair in noisy_runs.pairs(200, 6, slower, seed=11))
    assert least <= worse / 200 <= most


def test_drawn_labels_agree_with_all_of_them() -> None:
    rng = np.random.default_rng(3)
    base, candidate = rng.normal(0, 1, (9, 2)), rng.normal(0.7, 1, (9, 2))
    exact = p_values(base, candidate, seed=1)
    many = p_values(np.vstack([base, base]), np.vstack([candidate, candidate]), seed=1)
    again = p_values(np.vstack([base, base]), np.vstack([candidate, candidate]), seed=1)
    assert np.array_equal(many, again), "the seed decides"
    assert (many[0] < exact[0]).all(), "twice the runs show more"


def test_ties_share_their_ranks() -> None:
    greater, smaller = p_values(np.ones((5, 1)), np.ones((5, 1)), seed=1)
    assert (greater[0], smaller[0]) == (1.0, 1.0)


def test_noise_and_typical_ratio_do_not_mind_one_bad_run() -> None:
    assert spread(np.array([10.0, 10.1, 9.9, 10.0, 500.0])) < 0.02
    assert typical_ratio(np.array([10.0] * 5), np.array([12.0, 12.0, 12.0, 12.0, 500.0])) == pytest.approx(1.2)


# --- from files ---------------------------------------------------------------------------------------


def _played(folder: Path, count: int, slower: int = 1) -> Path:
    """Play `count` small runs into a folder; all times of the ledger are `slower` times as long."""
    folder.mkdir()
    for number in range(count):
        recording = a_recording(days={"2026-10-01": 40})
        table = recording.ledgers[0]
        at = table.schema.get_field_index("answered_us")
        sent, answered = (table[name].to_numpy() for name in ("sent_us", "answered_us"))
        longer = sent + (answered - sent) * slower + number * 10
        recording.ledgers[0] = table.set_column(at, table.schema.field(at), [longer])
        recording.written(folder, f"{folder.name}-{number}")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    _played(folder / "before", 5)
    _played(folder / "same", 5)
    _played(folder / "after", 5, slower=2)
    return folder


def test_folders_of_runs_are_compared_by_the_command(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs / "before"), "--", str(runs / "same")]) == 0
    assert "not worse · 5 runs against 5" in capsys.readouterr().out
    assert main(["compare", str(runs / "before"), "--", str(runs / "after"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["outcome"] == "failed"
    assert {row["metric"]: row["state"] for row in found["metrics"]}["latency.service_p50_ms"] == "worse"
    assert found["base"]["runs"] == [f"before-{number}" for number in range(5)]


def test_a_baseline_file_stands_for_its_runs(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "baseline.json"
    before = [str(path) for path in (runs / "before").iterdir()]
    assert main(["compare", *before, "--save-baseline", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: 5 runs\n"
    kept = file.read_bytes()
    assert main(["compare", str(file), "--", str(runs / "after"), "--save-baseline", str(file)]) == 1
    assert file.read_bytes() == kept, "what is worse is no baseline"
    assert main(["compare", str(file), "--", str(runs / "same"), "--save-baseline", str(file)]) == 0
    assert "same-0" in file.read_text()


def test_a_metric_may_be_narrowed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metric = "latency.service_p50_ms{country=BR, day=spike}"
    arguments = ["compare", str(runs / "before"), "--", str(runs / "after"), "--metric", metric]
    assert main(arguments) == 1
    assert f"WORSE · 5 runs against 5 · {metric}" in capsys.readouterr().out


def test_unfinished_runs_of_a_folder_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _played(tmp_path / "mixed", 1)
    a_recording().written(folder, f"left{run_files.PARTIAL_SUFFIX}")
    (folder / run_files.LATEST).symlink_to("mixed-0")
    side = baselines.read([folder], [LATENCY])
    assert ([run.id for run in side.runs], side.skipped) == (["mixed-0"], [f"left{run_files.PARTIAL_SUFFIX}"])
    main(["compare", str(folder), "--save-baseline", str(tmp_path / "b.json")])
    assert "skipped, not finished: left.partial" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{runs}/before"], "nothing to compare with"),
        (["{runs}/before", "{runs}/before/before-0", "--", "{runs}/after"], "before-0 is named twice"),
        (["{runs}/before", "--", "{runs}/after", "--metric", "dau.peak"], "'dau.peak' is no metric that runs are"),
        (["{runs}/before", "--", "{runs}/after", "--metric", "p99{"], "'p99{' is no metric; write it like"),
        (["{runs}/before", "--", "{runs}/after", "--metric", f"{LATENCY}{{country=XX}}"], "no request of this run"),
        (["{runs}/before", "--", "{runs}/after", "--metric", f"{LATENCY}{{hour=3, code=9}}"], "no samples"),
        (["{runs}/before", "--", "{runs}/after", "--effect", "2"], "'2' is not a number between 0 and 1"),
        (["{runs}/before", "--", "{tmp}"], "neither a run nor a folder of runs"),
        (["{runs}/before", "--", "{tmp}/nowhere"], "no such directory"),
        (["{runs}/before", "--", "{tmp}/broken.json"], "broken.json"),
        (["{runs}/before", "--", "{tmp}/old.json"], "has format 9; this analysis reads 1"),
        (["{runs}/before", "--save-baseline", "{tmp}/no/where.json"], "cannot write"),
    ],
)
def test_what_cannot_be_compared_ends_with_3_and_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (tmp_path / "broken.json").write_text('{"format": 1, "runs": []')
    (tmp_path / "old.json").write_text('{"format": 9, "settings": {}, "runs": []}')
    filled = [argument.replace("{runs}", str(runs)).replace("{tmp}", str(tmp_path)) for argument in arguments]
    try:
        code: object = main(["compare", *filled])
    except SystemExit as left:
        code = left.code
    assert code == 3
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("spoil", ["incomplete", "invalid verdict", "no plan"])
def test_a_run_that_proves_nothing_is_not_compared(tmp_path: Path, spoil: str) -> None:
    run = a_recording().written(tmp_path)
    if spoil == "incomplete":
        rewrite_manifest(run, complete=False)
    elif spoil == "no plan":
        (run / run_files.PLAN).unlink()
    else:
        (run / run_files.VERDICT).write_text('{"outcome": "invalid"}')
    with pytest.raises(BaselineError, match="a_run"):
        baselines.read([run], comparison.DEFAULT_METRICS)


def test_runs_of_one_side_must_have_the_same_settings(tmp_path: Path) -> None:
    one, other = a_recording(), a_recording()
    other.plan["options"] = {"peak_dau": 51, "seed": 8}
    paths = [one.written(tmp_path, "one"), other.written(tmp_path, "other")]
    with pytest.raises(BaselineError, match=r"one and other differ in option peak_dau \(50 and 51\)$"):
        baselines.read(paths, [LATENCY])

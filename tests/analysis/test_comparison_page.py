"""The page of a comparison: what is said of sides and of runs side by side, from files and for people."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from analysis import comparison_page, run_files, verdict
from analysis.__main__ import main
from analysis.baselines import Measurement, Side
from analysis.comparison import compare
from tests.analysis.judging import judged
from tests.analysis.runs import a_recording, a_statement

LATENCY = "latency.service_p99_ms"
RATE = "logins.per_second"
NOISY = [10.0, 10.4, 9.7, 10.1, 9.9]


def a_side(name: str, times_ms: list[float], settings: dict[str, Any] | None = None) -> Side:
    runs = [Measurement(f"<{name}-{n}>", {LATENCY: value, RATE: 1e6 / value}) for n, value in enumerate(times_ms)]
    return Side(settings or {"workers": 1}, runs)


def a_page(slower: float = 1.0, **settings: Any) -> str:
    other = a_side("b", [value * slower for value in NOISY], {"workers": 1, **settings})
    return comparison_page.judged(compare(a_side("a", NOISY), other, [LATENCY, RATE], allowed=list(settings)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two that come to the same, one that was billed wrongly, one that nobody has audited."""
    folder = tmp_path_factory.mktemp("runs")
    for name, peak in (("one", 30), ("other", 30), ("wrong", 31), ("fresh", 30)):
        recording = a_recording(days={"2026-10-01": peak})
        if name == "wrong":
            recording.statement = a_statement("2026-10", {"2026-10-01": peak}, units=1)
        run = recording.written(folder, name)
        if name != "fresh":
            verdict.write(judged(run), run)
    return folder


def page_of(folder: Path, *names: str) -> str:
    assert main(["compare", *(str(folder / name) for name in names), "--html", str(folder / "page.html")]) == 0
    return (folder / "page.html").read_text()


def test_what_became_worse_stands_first_and_in_its_chart() -> None:
    page = a_page(1.3)
    assert 'class="failed"' in page
    assert page.index("WORSE · 5 runs against 5") < page.index("<figure>")
    assert f"{LATENCY}: +30.0%, worse" in page
    assert "✕ worse" in page


def test_unchanged_sides_are_not_worse() -> None:
    page = a_page()
    assert 'class="passed"' in page
    assert "= same" in page


def test_the_page_is_the_same_bytes_each_time_and_asks_for_nothing_from_outside() -> None:
    page = a_page(1.3)
    assert page == a_page(1.3)
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_names_of_runs_are_escaped() -> None:
    assert "<a-0>" not in a_page()
    assert "&lt;a-0&gt;" in a_page()


def test_settings_that_were_allowed_to_differ_are_named() -> None:
    assert "<dt>rate</dt><dd>25000 (candidate)</dd>" in a_page(rate="25000")


def test_runs_of_a_baseline_have_no_verdict() -> None:
    page = a_page()
    assert page.count("– of a baseline") == 10
    assert "fewer than two of the runs have a verdict" in page


def test_runs_stand_side_by_side_and_come_to_the_same(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(runs, "one", "other")
    assert "2 runs side by side" in page
    assert "all 2 runs come to the same: peak DAU 30, peak day 2026-10-01, units 0, total 149.99 USD" in page
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("A  passed       one · peak DAU 30")
    assert said[-1].startswith("all 2 runs come to the same")


@pytest.mark.parametrize(
    ("others", "state"), [(("other",), "passed"), (("fresh",), "invalid"), (("fresh", "wrong"), "failed")]
)
def test_the_page_looks_as_the_worst_of_its_runs(runs: Path, others: tuple[str, ...], state: str) -> None:
    assert f'<body class="{state}">' in page_of(runs, "one", *others)


def test_what_runs_do_not_share_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(runs, "one", "wrong", "fresh")
    assert "1 passed · 1 failed · 1 not audited" in page
    assert "verdict, peak DAU: not the same in the 2 runs with a verdict" in page
    assert "<dt>option peak_dau</dt><dd>30 (A, C) · 31 (B)</dd>" in page
    assert "option peak_dau: 30 (A, C) · 31 (B)" in capsys.readouterr().out


def test_runs_side_by_side_are_json_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(runs / "one"), str(runs / "wrong"), "--html", str(runs / "page.html"), "--json"]
    assert main(["compare", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["outcome"] for run in found["runs"]] == ["passed", "failed"]
    assert found["settings_that_differ"] == {"option peak_dau": [30, 31]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{runs}/one"], "one run is nothing to set side by side"),
        (["{runs}/one", "{runs}/other", "--save-baseline", "b.json"], "--save-baseline keeps the runs of a side"),
        (["{runs}/one", "{runs}/other", "--html", "{runs}/no/where.html"], "cannot write"),
        (["{runs}/one", "--", "{runs}/other"], "5 a side are the least"),
    ],
)
def test_what_cannot_be_shown_ends_with_3_and_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    given = ["compare", "--html", str(runs / "none.html"), *(part.replace("{runs}", str(runs)) for part in arguments)]
    assert main(given) == 3
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert not (runs / "none.html").exists()


def test_a_broken_verdict_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(a_recording(days={"2026-10-01": 5}).written(tmp_path, name)) for name in ("one", "other")]
    (tmp_path / "one" / run_files.VERDICT).write_text('{"outcome": 3}')
    assert main(["compare", *names, "--html", str(tmp_path / "page.html")]) == 3
    assert "verdict.json" in capsys.readouterr().err

"""The pages about gates and CI say what the code does."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis import gates, selections
from analysis.metrics import METRICS

PAGE = Path("docs/gates.md").read_text("utf-8")
CI = Path("docs/ci.md").read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_example_is_a_gate_file(tmp_path: Path) -> None:
    (text,) = blocks(PAGE, "toml")
    (tmp_path / "gates.toml").write_text(text)
    read = gates.read(tmp_path / "gates.toml")
    assert {gate.kind for gate in read} == {"exact", "validity", "performance"}
    keys = {key for row in tomllib.loads(text)["gate"] for key in row}
    assert keys == gates._KEYS, "each key is shown"


def test_every_metric_stands_in_the_table_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `([\w.<>]+)`(?: \*)? \| (.*) \|$", PAGE, re.MULTILINE))
    assert {name: metric.meaning for name, metric in METRICS.items()} == {
        name: meaning for name, meaning in rows.items() if "." in name
    }
    starred = set(re.findall(r"^\| `([\w.]+)` \* \|", PAGE, re.MULTILINE))
    assert starred == {name for name, metric in METRICS.items() if metric.taken_of}


@pytest.mark.parametrize("key", selections.KEYS)
def test_every_label_and_window_is_explained(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_the_workflow_is_yaml_and_names_what_is_there() -> None:
    (text,) = blocks(CI, "yaml")
    workflow: dict[Any, Any] = yaml.safe_load(text)
    # YAML 1.1 reads the key `on` as true.
    assert {"pull_request", "schedule"} == set(workflow[True])
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    said = "\n".join(step["run"] for step in steps if "run" in step)
    for path in re.findall(r"(?:gates|locustfiles)/[\w.]+", said):
        assert Path(path).is_file(), path
    assert ".venv/run:" in Path("Makefile").read_text()
    options = set(re.findall(r"--[a-z][a-z-]+", said)) - {"--headless", "--only-summary"}
    sources = [
        Path(path).read_text() for path in ("im_load/scenario.py", "locustfiles/dau_spike.py", "im_load/options.py")
    ]
    assert [option for option in options if not any(f'"{option}"' in source for source in sources)] == []


@pytest.mark.parametrize("path", [*Path("gates").glob("*.toml"), gates.DEFAULT_FILE], ids=lambda path: path.name)
def test_every_gate_file_here_is_right(path: Path) -> None:
    assert gates.read(path)


def test_the_page_names_no_exit_code_that_does_not_exist() -> None:
    assert "0 passed · 1 a gate or a comparison failed · 2 the run is invalid · 3 wrong use" in CI

"""The published schema of `verdict.json`: real verdicts keep to it, and nothing else does."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analysis import run_files, verdict
from tests.analysis.judging import judged
from tests.analysis.plays import a_race
from tests.analysis.roamers import Roamers
from tests.analysis.runs import a_recording, a_run, a_statement

SCHEMA = json.loads(Path("docs/verdict.schema.json").read_text())
CHECK = jsonschema.Draft202012Validator(SCHEMA)
GATES = """
[[gate]]
metric = "requests.answered"
where = { verb = "login", country = ["BR", "SG"], code = 0, day = "spike", hour = [0, 23], from_s = 0, to_s = 1e6 }
at_least = 0
kind = "performance"
on_failure = "warn"
"""


def _verdicts(folder: Path) -> Iterator[dict[str, Any]]:
    yield verdict.as_json(judged(a_run(folder, days={"2026-10-16": 20_001})))
    alone = a_recording()
    alone.journal = alone.statement = None
    yield verdict.as_json(judged(alone.written(folder, "alone")))
    failed = a_recording(plan="trial")
    failed.statement = a_statement("2026-10", {})
    yield verdict.as_json(judged(failed.written(folder, "failed")))
    yield verdict.as_json(judged(a_race().recording().written(folder, "race")))
    storm = Roamers()
    storm.outage()
    storm.ledger[0]["access_point"] = "za"
    yield verdict.as_json(judged(storm.written(folder, "storm")))
    nothing = a_run(folder / "nothing")
    for name in (run_files.PLAN, run_files.STATEMENT, run_files.MANIFEST):
        (nothing / name).unlink()
    yield verdict.as_json(judged(nothing))
    (folder / "gates.toml").write_text(GATES)
    yield verdict.as_json(judged(a_run(folder / "gated"), folder / "gates.toml"))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    # Through JSON: what scripts read.
    return [json.loads(json.dumps(found)) for found in _verdicts(tmp_path_factory.mktemp("runs"))]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_verdicts_of_all_sorts_keep_to_it(verdicts: list[dict[str, Any]]) -> None:
    assert [found["outcome"] for found in verdicts] == [
        "passed", "passed", "failed", "passed", "failed", "invalid", "passed",
    ]  # fmt: skip
    for found in verdicts:
        CHECK.validate(found)


def test_unknown_and_missing_keys_are_refused_everywhere(verdicts: list[dict[str, Any]]) -> None:
    for found in verdicts:
        for path in _objects(found):
            extra = copy.deepcopy(found)
            _at(extra, path)["surprise"] = 1
            assert not CHECK.is_valid(extra), path
            if path[-1:] == ("where",):
                continue
            for key in _at(found, path):
                less = copy.deepcopy(found)
                del _at(less, path)[key]
                assert not CHECK.is_valid(less), (path, key)


def test_amounts_are_integers(verdicts: list[dict[str, Any]]) -> None:
    for key in ("amount_cents", "total_cents", "peak_dau"):
        assert not CHECK.is_valid(verdicts[0] | {key: 1.5})


def _objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of the first element of each list are enough: all have one schema."""
    if isinstance(value, dict):
        yield path
        for key, child in value.items():
            yield from _objects(child, (*path, key))
    elif isinstance(value, list) and value:
        yield from _objects(value[0], (*path, 0))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value

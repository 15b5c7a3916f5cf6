"""The runs of one side of a comparison: their settings and the metrics of each, from directories or a baseline file."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from analysis import loading, run_files, selections
from analysis.loading import Run
from analysis.metrics import METRICS, measure
from analysis.samples import Samples, SelectionError

FORMAT: Final = 1

_OWN: Final = ("seed",)
"""Options in which runs of one side may differ: what is repeated under other seeds is still the same load."""


class BaselineError(Exception):
    """Raised with one sentence when runs cannot stand on one side of a comparison."""


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run: its id and its metrics, by name with selection."""

    id: str
    metrics: dict[str, float]


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs that were played under the same settings, as a baseline file keeps them."""

    format: int
    settings: dict[str, Any]
    runs: list[Measurement]


@dataclass(frozen=True, slots=True)
class Side:
    """Runs of one side, each once; `skipped` names what a folder held beside them."""

    settings: Mapping[str, Any]
    runs: Sequence[Measurement]
    skipped: Sequence[str] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Where the run of an id lies; runs of a baseline file lie nowhere."""


def read(paths: Iterable[Path], metrics: Sequence[str]) -> Side:
    """Read runs, folders of runs and baseline files.

    Raises BaselineError for a run that is not valid, that stands there twice, that was played under other settings,
    or that has no samples of a metric.
    """
    sides = list(parts(paths, metrics))
    skipped = [name for side in sides for name in side.skipped]
    sides = [side for side in sides if side.runs]
    if not sides:
        raise BaselineError("no finished run to compare" + (f"; skipped: {', '.join(skipped)}" if skipped else ""))
    first = sides[0]
    for side in sides[1:]:
        if different := differences(first.settings, side.settings):
            raise BaselineError(f"{first.runs[0].id} and {side.runs[0].id} differ in {'; '.join(different)}")
    runs = [run for side in sides for run in side.runs]
    folders = {id_: folder for side in sides for id_, folder in side.folders.items()}
    return Side(first.settings, runs, skipped, folders)


def parts(paths: Iterable[Path], metrics: Sequence[str]) -> Iterator[Side]:
    """Read them one by one, whatever their settings: a side for each run and each baseline file.

    Raises BaselineError for a run that is not valid, that stands there twice, or that has no samples of a metric.
    """
    seen: set[str] = set()
    for path in paths:
        for part in _parts(path, metrics):
            for run in part.runs:
                if run.id in seen:
                    raise BaselineError(f"{run.id} is named twice: a run counts once")
                seen.add(run.id)
            yield part


def write(side: Side, path: Path) -> None:
    """Write a baseline file. Raises OSError."""
    content = msgspec.to_builtins(Baseline(FORMAT, dict(side.settings), list(side.runs)))
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name the settings in which two sides differ."""
    return [
        f"{name} ({json.dumps(one.get(name))} and {json.dumps(other.get(name))})"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def settings(run: Run) -> dict[str, Any]:
    """Return what must be equal for runs to be comparable: the load, the app and the number of workers."""
    assert run.plan is not None, "a run without a plan has been refused"
    assert run.manifest is not None, "a run without a manifest has been refused"
    plan = run.plan
    return {
        "scenario": plan.scenario,
        "month": plan.month,
        "app plan": plan.app.plan,
        "price book": plan.app.price_book,
        **{f"reading {name}": value for name, value in msgspec.to_builtins(plan.readings).items()},
        **{f"option {name}": value for name, value in sorted(plan.options.items()) if name not in _OWN},
        "workers": run.manifest.workers_expected,
    }


def _parts(path: Path, metrics: Sequence[str]) -> Iterator[Side]:
    if path.is_file():
        yield _from_file(path)
    elif not path.is_dir() or _is_run(path):
        yield _from_run(path, metrics)
    else:
        yield from _from_folder(path, metrics)


def _from_folder(folder: Path, metrics: Sequence[str]) -> Iterator[Side]:
    """Take the runs of a folder like `runs/`: links to others are left out, and what was not finished is named."""
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink() and _is_run(path)]
    if not found:
        raise BaselineError(f"{folder}: neither a run nor a folder of runs")
    for path in found:
        if path.name.endswith(run_files.PARTIAL_SUFFIX):
            yield Side({}, [], [path.name])
        else:
            yield _from_run(path, metrics)


def _from_file(path: Path) -> Side:
    try:
        baseline = msgspec.json.decode(path.read_bytes(), type=Baseline)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as broken:
        raise BaselineError(f"{path}: {broken}") from broken
    if baseline.format != FORMAT:
        raise BaselineError(f"{path} has format {baseline.format}; this analysis reads {FORMAT}")
    return Side(baseline.settings, baseline.runs)


def _from_run(path: Path, metrics: Sequence[str]) -> Side:
    try:
        run = loading.load(path.resolve())
    except loading.NotARunError as wrong:
        raise BaselineError(str(wrong)) from wrong
    if (problem := _problem(run)) is not None:
        raise BaselineError(f"{path}: {problem}")
    assert run.manifest is not None, "a run without a manifest has been refused"
    samples = Samples(run)
    found = Measurement(run.manifest.id, _measured(samples, metrics, path))
    return Side(settings(run), [found], folders={found.id: run.folder})


def _problem(run: Run) -> str | None:
    """Say why a run's times are worth nothing; whether its counts are right is the audit's affair."""
    if run.manifest is None or run.plan is None or run.findings:
        return run.findings[0].text if run.findings else "not a whole run"
    if not run.manifest.complete or run.folder.name.endswith(run_files.PARTIAL_SUFFIX):
        return "the run is not complete"
    try:
        verdict = json.loads((run.folder / run_files.VERDICT).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as broken:
        return f"{run_files.VERDICT}: {broken}"
    return "its verdict is invalid" if verdict.get("outcome") == "invalid" else None


def _measured(samples: Samples, metrics: Sequence[str], path: Path) -> dict[str, float]:
    """Measure what was asked for and, for later, every metric that two runs can be compared by."""
    found = {}
    for text in dict.fromkeys([*metrics, *(name for name, metric in METRICS.items() if metric.better)]):
        name, selection = selections.parse(text)
        try:
            value = measure(name, samples, selection).value
        except SelectionError as nothing:
            raise BaselineError(f"{path}: {nothing}") from nothing
        if value is None and text in metrics:
            raise BaselineError(f"{path}: {text} has no samples in this run")
        if value is not None:
            found[text] = float(value)
    return found


def _is_run(path: Path) -> bool:
    return any((path / name).exists() for name in (run_files.PLAN, run_files.MANIFEST, run_files.LEDGER_FOLDER))

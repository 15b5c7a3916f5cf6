"""The notebooks run on recorded runs, stay thin, and fail when the audit does."""

from pathlib import Path

import jupytext
import pytest
from nbclient.exceptions import CellExecutionError

from tests.analysis.executing import NOTEBOOKS, executed, outputs
from tests.analysis.plays import Server, a_race
from tests.analysis.runs import a_recording, a_run, a_statement

pytestmark = pytest.mark.filterwarnings("default")
"""Jupyter's own deprecations are not ours to fix."""


def test_the_notebook_shows_and_asserts_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = outputs(executed("bill", a_run(tmp_path), tmp_path, monkeypatch))
    assert any(text.startswith("passed · peak DAU 50 on 2026-10-02") for text in texts)


def test_the_notebook_fails_with_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {})
    with pytest.raises(CellExecutionError, match="dau_differs"):
        executed("bill", recording.written(tmp_path), tmp_path, monkeypatch)


def test_the_notebook_of_caps_fails_with_the_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_race(server=Server("pro", live=51)).written(tmp_path)
    with pytest.raises(CellExecutionError, match="live groups: 51 of 50"):
        executed("caps", run, tmp_path, monkeypatch)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_thin(notebook: Path) -> None:
    code = [cell.source for cell in jupytext.read(notebook).cells if cell.cell_type == "code"]
    assert len(code) <= 10
    assert not any("def " in source or "lambda" in source for source in code)

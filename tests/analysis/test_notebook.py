"""The notebook runs on a recorded run, stays thin, and fails when the audit does."""

from pathlib import Path
from typing import Any

import jupytext
import nbclient
import pytest
from nbclient.exceptions import CellExecutionError

from tests.analysis.runs import a_recording, a_run, a_statement

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "analysis" / "notebooks" / "bill.py"

pytestmark = pytest.mark.filterwarnings("default")
"""Jupyter's own deprecations are not ours to fix."""


def _executed(run: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(run / ".ipython"))
    notebook = jupytext.read(NOTEBOOK)
    (parameters,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    parameters.source = f"run_folder = {str(run)!r}"
    nbclient.NotebookClient(notebook, timeout=60).execute()
    return list(notebook.cells)


def test_the_notebook_shows_and_asserts_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = _executed(a_run(tmp_path), monkeypatch)
    texts = [out.get("text", "") for cell in cells for out in cell.get("outputs", [])]
    assert any(text.startswith("passed · peak DAU 50 on 2026-10-02") for text in texts)


def test_the_notebook_fails_with_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {})
    with pytest.raises(CellExecutionError, match="dau_differs"):
        _executed(recording.written(tmp_path), monkeypatch)


def test_the_notebook_is_thin() -> None:
    code = [cell.source for cell in jupytext.read(NOTEBOOK).cells if cell.cell_type == "code"]
    assert len(code) <= 10
    assert not any("def " in source or "lambda" in source for source in code)

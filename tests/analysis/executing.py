"""Executes the notebooks on a run."""

from pathlib import Path
from typing import Any, Final

import jupytext
import nbclient
import pytest

ROOT: Final = Path(__file__).parents[2]
NOTEBOOKS: Final = sorted((ROOT / "analysis" / "notebooks").glob("*.py"))


def executed(name: str, run: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Run all cells and return them; IPython keeps what it keeps in `scratch`."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(scratch / ".ipython"))
    notebook = jupytext.read(ROOT / "analysis" / "notebooks" / f"{name}.py")
    (parameters,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    parameters.source = f"run_folder = {str(run)!r}"
    nbclient.NotebookClient(notebook, timeout=60).execute()
    return list(notebook.cells)


def outputs(cells: list[dict[str, Any]], kind: str = "text/plain") -> list[str]:
    """Return what the cells show, of one kind; what they print is plain text too."""
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    printed = [output["text"] for output in shown if "text" in output and kind == "text/plain"]
    return [*printed, *(output["data"][kind] for output in shown if kind in output.get("data", {}))]

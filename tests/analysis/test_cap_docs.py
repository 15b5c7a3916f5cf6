"""The drawn example of the documentation is what the analysis computes."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_committed_drawing_is_the_one_that_the_tool_draws() -> None:
    drawing = runpy.run_path(str(ROOT / "tools" / "draw_cap_audit.py"))["drawing"]
    assert (ROOT / "docs" / "cap-audit.svg").read_text(encoding="utf-8") == drawing()


def test_the_page_names_every_code_of_the_audit() -> None:
    page = (ROOT / "docs" / "cap-audit.md").read_text(encoding="utf-8")
    for code in ("cap_exceeded", "cap_refused_below", "cap_code_wrong", "cap_bounds_only", "cap_unjudged"):
        assert f"`{code}`" in page

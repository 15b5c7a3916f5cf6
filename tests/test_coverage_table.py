"""The table of what is imitated: complete, true and current."""

from pathlib import Path

import pytest

from mock_im_server.domain import calls
from mock_im_server.wire import codes
from tools import generate_coverage as tool

CALLS = {
    calls.NOT_OPENED,
    calls.NOT_SUPPORTED,
    calls.PARTICIPANTS_WRONG,
    calls.CALL_NOT_RUNNING,
    calls.CALL_REPEATED,
}
KNOWN = tool.rules()
HELD = tool.held_by(tool.TESTS)


def test_the_table_is_current() -> None:
    assert tool.TARGET.read_text() == tool.text(), "run python -m tools.generate_coverage"


def test_every_code_has_a_source() -> None:
    assert {int(code) for code in KNOWN["codes"]} == set(codes.TEXTS) - {codes.OK} | CALLS


@pytest.mark.parametrize("name", [*KNOWN["rules"], *KNOWN["codes"]])
def test_a_test_holds_each_rule_and_each_code(name: str) -> None:
    assert HELD.get(name)


def test_what_tests_hold_is_known() -> None:
    assert set(HELD) <= {*KNOWN["rules"], *KNOWN["codes"]}


def test_standings_are_three() -> None:
    standings = {entry[-1] for part in ("rules", "codes") for entry in KNOWN[part].values()}
    assert standings == {"documented", "observed", "assumed"}


def test_the_tool_writes_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool, "TARGET", tmp_path / "coverage.md")
    tool.main()
    assert (tmp_path / "coverage.md").read_text() == tool.text()

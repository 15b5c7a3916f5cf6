"""A gate that may abort is asked about while a run goes on."""

from pathlib import Path

import gevent
import pytest

from im_load import early
from tests.analysis.runs import a_run

GATE = '[[gate]]\nmetric = "dau.peak"\nat_most = {most}\nkind = "exact"\n{more}\n'


def a_file(folder: Path, most: int, more: str = "abort = true") -> Path:
    path = folder / "gates.toml"
    path.write_text(GATE.format(most=most, more=more))
    return path


@pytest.mark.parametrize(("more", "expected"), [("abort = true", True), ("abort = false", False), ("", False)])
def test_only_a_file_with_such_a_gate_is_watched(tmp_path: Path, more: str, *, expected: bool) -> None:
    assert early.may_abort(a_file(tmp_path, 9, more)) is expected
    assert not early.may_abort(None)


def test_the_broken_gate_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "INTERVAL_S", 0.0)
    said: list[str] = []
    early.watch(a_run(tmp_path), a_file(tmp_path, 49), said.append)
    assert said == ["dau.peak is 50, must be ≤ 49"]


@pytest.mark.parametrize("has_begun", [True, False])
def test_it_asks_again_while_nothing_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_begun: bool
) -> None:
    monkeypatch.setattr(early, "INTERVAL_S", 0.0)
    monkeypatch.setattr(early, "PAUSE_BY_WORK", 0.0)
    asked = 0
    ask = early.subprocess.run

    def counted(*arguments: object, **options: object) -> object:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise gevent.GreenletExit
        return ask(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(early.subprocess, "run", counted)
    folder = a_run(tmp_path) if has_begun else tmp_path
    with pytest.raises(gevent.GreenletExit):
        early.watch(folder, a_file(tmp_path, 50), pytest.fail)

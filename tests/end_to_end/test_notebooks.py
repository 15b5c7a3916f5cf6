"""The notebooks on runs that were really played."""

from pathlib import Path

import pytest

from tests.analysis.executing import executed, outputs
from tests.end_to_end.commands import Played

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_the_caps_are_shown_as_they_filled(
    live_groups: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = executed("caps", live_groups.run, tmp_path, monkeypatch)
    assert any(text.startswith("live groups: 50 of 50") for text in outputs(cells))
    assert any("How live groups filled" in figure for figure in outputs(cells, "image/svg+xml"))


def test_access_is_shown_with_its_outage(outage: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = executed("access", outage.run, tmp_path, monkeypatch)
    assert any("% online elsewhere after" in text for text in outputs(cells))
    assert len(outputs(cells, "image/svg+xml")) == 2


def test_a_run_answers_questions_of_ones_own(outage: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = outputs(executed("questions", outage.run, tmp_path, monkeypatch))
    for answer in ("login_refused", "requests.count", "users  service_p50_ms"):
        assert any(answer in text for text in texts), answer

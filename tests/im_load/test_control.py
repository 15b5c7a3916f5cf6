"""The client of the control API: whatever is wrong with a server is one line that names it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from im_load.control import Control, Http, ServerError, nearest_points
from im_load.server_process import ServerProcess
from mock_im_server.settings import DEMO_APP
from tests.im_load.playing import a_server

MONTH_MS = 1_790_784_000_000
"""2026-10-01 00:00 in UTC+8."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with a_server() as server:
        yield server


@pytest.fixture
def control(server: ServerProcess) -> Iterator[Control]:
    control = Control(server.ready["control_url"], server.ready["control_token"])
    yield control
    control.close()


def test_an_app_is_made_and_its_clock_is_moved(control: Control) -> None:
    app = control.make_app({"plan": "ultimate", "start": "2026-10-01"})
    control.move_clock(app["sdkappid"], MONTH_MS + 1_000)

    status = control.status(app["sdkappid"])

    assert (status["plan"], status["day"], status["now_ms"]) == ("ultimate", "2026-10-01", MONTH_MS + 1_000)


def test_a_journal_is_fetched_as_far_as_it_was_announced(control: Control, tmp_path: Path) -> None:
    app = control.make_app({"plan": "pro", "start": "2026-10-01"})

    journal = control.save_journal(app["sdkappid"], tmp_path / "journal")

    assert journal["last_seq"] == journal["rows"]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == journal["files"]


def test_each_country_has_its_nearest_point(server: ServerProcess) -> None:
    (singapore, brazil), version = nearest_points(server.ready["url"], 0, ("SG", "BR"))

    assert singapore
    assert singapore != brazil
    assert version == 1


def test_a_clock_that_is_set_back_is_refused_with_the_servers_words(control: Control) -> None:
    app = control.make_app({"plan": "pro", "start": "2026-10-01"})

    with pytest.raises(ServerError, match=r"127\.0\.0\.1"):
        control.move_clock(app["sdkappid"], MONTH_MS - 1)


def test_a_wrong_token_is_refused(server: ServerProcess) -> None:
    stranger = Control(server.ready["control_url"], "not-the-token")

    with pytest.raises(ServerError, match=r"127\.0\.0\.1"):
        stranger.version()
    stranger.close()


def test_who_speaks_no_json_is_no_im_server(server: ServerProcess) -> None:
    http = Http(server.ready["url"])

    with pytest.raises(ServerError, match="is no IM server: /metrics did not answer JSON"):
        http.json("GET", "/metrics")
    http.close()


def test_who_does_not_answer_is_named() -> None:
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9 does not answer"):
        Http("http://127.0.0.1:9").json("GET", "/version")


def test_a_journal_of_an_unknown_app_is_not_saved(control: Control, tmp_path: Path) -> None:
    with pytest.raises(ServerError):
        control.save_journal(DEMO_APP.sdkappid + 99, tmp_path / "journal")

    assert not (tmp_path / "journal").exists()

"""The embedded server: there when it is needed, gone with the harness, and clear about why it is not."""

from pathlib import Path

import psutil
import pytest

from im_load.control import Control, ServerError
from im_load.server_process import ServerProcess
from tests.im_load.playing import a_server


def test_it_is_ready_when_it_is_made() -> None:
    with a_server() as server:
        control = Control(server.ready["control_url"], server.ready["control_token"])
        version = control.version()
        control.close()

    assert version


def open_files() -> int:
    return psutil.Process().num_fds()


def test_it_is_gone_when_it_was_stopped_and_leaves_no_pipe() -> None:
    before = open_files()
    with a_server() as server:
        process = psutil.Process(server.pid)

    assert not process.is_running()
    assert open_files() == before


def test_stopping_a_server_that_died_is_no_error() -> None:
    with a_server() as server:
        psutil.Process(server.pid).kill()

    server.stop()


def test_why_it_did_not_start_is_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ServerError, match=r"^mock_im_server: .*file"):
        ServerProcess(tmp_path / "file" / "data")

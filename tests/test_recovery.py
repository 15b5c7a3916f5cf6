"""A server that was killed comes back with everything that it has acknowledged."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from im_load.control import Control
from im_load.trunk import Trunk
from mock_im_server.settings import DEMO_APP
from mock_im_server.wire import usersig

MAC = usersig.mac_of(DEMO_APP.key)
START = ["--port", "0", "--start", "2026-10-01"]


def started(data_dir: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    command = [sys.executable, "-m", "mock_im_server", *START, "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def frame(user: int) -> bytes:
    user_id = f"u{user}"
    signature = usersig.sign(MAC, DEMO_APP.sdkappid, user_id, int(time.time()) - 60, 3_600)
    head = {
        "servcmd": "im_open_status.wslogin",
        "seq": user,
        "sdkappid": DEMO_APP.sdkappid,
        "status_instid": 1,
        "identifier": user_id,
        "usersig": signature,
    }
    return json.dumps({"head": head, "body": {}}).encode()


@pytest.mark.slow
@pytest.mark.parametrize("pause_s", [0.0, 0.003, 0.02])
def test_nothing_acknowledged_is_lost_when_a_server_is_killed(tmp_path: Path, pause_s: float) -> None:
    process, ready = started(tmp_path)
    trunk = Trunk(ready["gateway_url"], "0" * 32, DEMO_APP.sdkappid)
    trunk.open()
    trunk.send([frame(user) for user in range(1, 2_001)])
    acknowledged: set[int] = set()

    def note(_trunk: Trunk, messages: list[bytes]) -> None:
        acknowledged.update(json.loads(message)["head"]["seq"] for message in messages)
        time.sleep(pause_s)
        process.kill()

    trunk.read(note)
    process.communicate()

    process, ready = started(tmp_path)
    control = Control(ready["control_url"], ready["control_token"])
    status = control.status(DEMO_APP.sdkappid)
    journal = control.save_journal(DEMO_APP.sdkappid, tmp_path / "fetched")
    control.close()
    process.terminate()
    process.communicate()

    assert 0 < len(acknowledged) <= status["dau"] <= 2_000
    assert status["accounts"] == status["dau"]
    assert journal["rows"] == journal["last_seq"]
    assert status["is_clock_fixed"]
    assert status["month"] == "2026-10"

"""The server as a process: killed under load, or out of disk, it loses nothing that it has acknowledged."""

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from im_load.control import Control
from im_load.trunk import Trunk
from mock_im_server.settings import DEMO_APP
from mock_im_server.wire import usersig
from tests.serving import is_one_line

pytestmark = pytest.mark.slow

USERS = 4_000
STOPS_S_MAX = 30


def started(data_dir: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mock_im_server", "--port", "0", "--start", "2026-10-01", "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def frame(seq: int) -> bytes:
    user_id = f"user{seq}"
    signature = usersig.sign(usersig.mac_of(DEMO_APP.key), DEMO_APP.sdkappid, user_id, int(time.time()) - 60, 3_600)
    head = {
        "servcmd": "im_open_status.wslogin",
        "seq": seq,
        "sdkappid": DEMO_APP.sdkappid,
        "status_instid": 1,
        "identifier": user_id,
        "usersig": signature,
    }
    return json.dumps({"head": head, "body": {}}).encode()


class Load:
    """Logins on one trunk, some hundreds in flight, and which of them were acknowledged."""

    def __init__(self, ready: dict[str, str], users: int = USERS) -> None:
        self.acknowledged: set[int] = set()
        self._frames = (frame(seq) for seq in range(1, users + 1))
        self._trunk = Trunk(ready["gateway_url"], "0" * 32, DEMO_APP.sdkappid)
        self._trunk.open()

    def drive(self, *, kill_after: int | None = None, process: subprocess.Popen[str]) -> None:
        """Until the connection ends; the process is killed once so many are acknowledged."""

        def note(trunk: Trunk, messages: list[bytes]) -> None:
            for message in messages:
                answer = json.loads(message)
                assert answer["body"]["ErrorCode"] == 0
                self.acknowledged.add(answer["head"]["seq"])
            if kill_after is not None and len(self.acknowledged) >= kill_after:
                process.kill()
            trunk.send([data for data, _ in zip(self._frames, messages, strict=False)])

        self._trunk.send([data for data, _ in zip(self._frames, range(300), strict=False)])
        # The other end may go while we are sending.
        with suppress(ConnectionError):
            self._trunk.read(note)


def recovered(data_dir: Path, fetched: Path) -> set[int]:
    """The users that a restarted server knows, by the journal that it hands out; it must fold to the same counts."""
    process, ready = started(data_dir)
    control = Control(ready["control_url"], ready["control_token"])
    status = control.status(DEMO_APP.sdkappid)
    journal = control.save_journal(DEMO_APP.sdkappid, fetched)
    control.close()
    process.terminate()
    process.communicate(timeout=STOPS_S_MAX)
    seqs: list[int] = []
    users: set[int] = set()
    for name in journal["files"]:
        with pa.ipc.open_stream(str(fetched / name)) as reader:
            table = reader.read_all()
        seqs += table["seq"].to_pylist()
        users |= {int(user[4:]) for user in table["user_id"].to_pylist() if user is not None}
    assert seqs == list(range(1, len(seqs) + 1))
    assert (status["accounts"], status["dau"]) == (len(users), len(users))
    assert (status["now_ms"], status["online"]) == (1_790_784_000_000, 0)
    return users


@pytest.mark.parametrize("kill_after", [1, 700, 2_500])
def test_every_acknowledged_login_outlives_a_kill(tmp_path: Path, kill_after: int) -> None:
    process, ready = started(tmp_path / "data")
    load = Load(ready)
    load.drive(kill_after=kill_after, process=process)
    process.communicate(timeout=STOPS_S_MAX)
    assert kill_after <= len(load.acknowledged) < USERS
    assert load.acknowledged <= recovered(tmp_path / "data", tmp_path / "fetched")


def test_a_full_disk_stops_the_server_with_one_line_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    process, ready = started(tmp_path / "data")
    # A disk that is full after 100 kB.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    load = Load(ready)
    load.drive(process=process)
    out, err = process.communicate(timeout=STOPS_S_MAX)
    assert (process.returncode, out) == (3, "")
    assert is_one_line(err)
    assert err.startswith("mock_im_server: cannot write the journal in ")
    assert os.strerror(27) in err
    assert 0 < len(load.acknowledged) < USERS
    assert load.acknowledged <= recovered(tmp_path / "data", tmp_path / "fetched")


def test_a_damaged_journal_is_not_continued(tmp_path: Path) -> None:
    process, ready = started(tmp_path)
    Load(ready).drive(kill_after=100, process=process)
    process.communicate(timeout=STOPS_S_MAX)
    (path,) = (tmp_path / str(DEMO_APP.sdkappid) / "journal").iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=STOPS_S_MAX, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert is_one_line(done.stderr)
    assert f"{path} is damaged at byte" in done.stderr

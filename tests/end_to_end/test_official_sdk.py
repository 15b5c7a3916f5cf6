"""The vendor's own client SDK, unmodified, logs in here: it is content, counted once, and leaves in order."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from im_load.control import Control
from mock_im_server.wire import usersig
from tests.serving import KEY, SDKAPPID

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
INSTALLED = HERE.parent.parent / "build" / "official-sdk"
"""Kept between runs, and in no commit."""
NODE_MAJOR_MIN = 20
NODE_MAJOR_WITH_WEBSOCKET = 22
STAY_S = 3
INSTALL_S_MAX = 180
DRIVE_S_MAX = 60
FRAMES_OF_A_LOGIN_MAX = 25
"""The SDK sends 18 to 20 in a calm session; one that spins sends a thousand a second."""


def unavailable(reason: str) -> None:
    """Nobody notices a test that is always skipped: in CI, what is missing is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have Node {NODE_MAJOR_MIN} or later, with npm")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def sdk() -> Path:
    """A folder with the SDK in its `node_modules`."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            unavailable(f"{program} is not installed")
    if node_major() < NODE_MAJOR_MIN:
        unavailable(f"Node {node_major()} is too old")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        # Tests may run in several processes: one installs, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        install()
    return INSTALLED


def install() -> None:
    wanted = (HERE / "package.json").read_text()
    manifest = INSTALLED / "package.json"
    package = INSTALLED / "node_modules" / "@tencentcloud" / "chat" / "package.json"
    if not package.exists() or manifest.read_text() != wanted:
        manifest.write_text(wanted)
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(
            command, cwd=INSTALLED, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["npm said nothing"])[-1]
            unavailable(f"npm could not install the SDK: {said}")
    assert json.loads(package.read_text())["version"] == json.loads(wanted)["dependencies"]["@tencentcloud/chat"]


def node_major() -> int:
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.lstrip("v").split(".")[0])


@pytest.fixture
def server() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--start", "2026-10-01"]
    command += ["--app", f"{SDKAPPID}:pro:{KEY}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def driven(sdk: Path, proxy_server: str, user_id: str, signature: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the last event of each kind, and everything that was said."""
    flags = ["--experimental-websocket"] if node_major() < NODE_MAJOR_WITH_WEBSOCKET else []
    command = ["node", *flags, str(HERE / "official_sdk.mjs"), proxy_server, str(SDKAPPID), user_id, signature]
    done = subprocess.run(
        [*command, str(STAY_S)], cwd=sdk, capture_output=True, text=True, timeout=DRIVE_S_MAX, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {event["event"]: event for event in events}, done.stdout + done.stderr


def a_usersig(user_id: str, *, key: str = KEY) -> str:
    return usersig.sign(usersig.mac_of(key), SDKAPPID, user_id, int(time.time()) - 60, 3_600)


@pytest.mark.parametrize("access_point", ["", "/ap/sg"])
def test_the_sdk_gets_ready_stays_calm_and_logs_out(sdk: Path, server: dict[str, str], access_point: str) -> None:
    code, events, said = driven(sdk, server["gateway_url"] + access_point, "user_0001", a_usersig("user_0001"))
    assert code == 0, said
    assert "sdk_error" not in events, said
    assert events["quiet"]["sockets"] == 0
    assert events["quiet"]["frames_sent"] < FRAMES_OF_A_LOGIN_MAX
    assert events["logged_out"]["sockets"] == 1
    assert events["logged_out"]["frames_sent"] <= FRAMES_OF_A_LOGIN_MAX
    # Every frame but telemetry behind the logout was answered.
    assert events["logged_out"]["frames_received"] >= events["quiet"]["frames_sent"]
    control = Control(server["control_url"], server["control_token"])
    status = control.status(SDKAPPID)
    control.close()
    assert (status["dau"], status["logins"], status["accounts"], status["online"]) == (1, 1, 1, 0)


@pytest.mark.parametrize(("key", "expected"), [("another-key", 70009)])
def test_a_refusal_reaches_the_app_with_its_code(sdk: Path, server: dict[str, str], key: str, expected: int) -> None:
    code, events, said = driven(sdk, server["gateway_url"], "user_0001", a_usersig("user_0001", key=key))
    assert (code, events["error"]["code"]) == (1, expected), said
    assert events["error"]["sockets"] == 1
    control = Control(server["control_url"], server["control_token"])
    status = control.status(SDKAPPID)
    control.close()
    assert (status["dau"], status["accounts"]) == (0, 0)

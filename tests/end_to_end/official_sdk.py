"""The vendor's own client SDK from npm, unmodified: installed once, driven under Node."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from im_load.control import Control
from mock_im_server.wire import usersig
from tests.serving import KEY, SDKAPPID

HERE = Path(__file__).parent
INSTALLED = HERE.parent.parent / "build" / "official-sdk"
"""Kept between runs, and in no commit."""
NODE_MAJOR_MIN = 20
NODE_MAJOR_WITH_WEBSOCKET = 22
INSTALL_S_MAX = 180
DEVICE_S_MAX = 60

type_json = dict[str, Any]


def unavailable(reason: str) -> None:
    """Nobody notices a test that is always skipped: in CI, what is missing is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have Node {NODE_MAJOR_MIN} or later, with npm")
    pytest.skip(reason)


def installed() -> Path:
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
        _install()
    return INSTALLED


def _install() -> None:
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
            # The next run must try again.
            manifest.unlink()
            said = (done.stderr.strip().splitlines() or ["npm said nothing"])[-1]
            unavailable(f"npm could not install the SDK: {said}")
    assert json.loads(package.read_text())["version"] == json.loads(wanted)["dependencies"]["@tencentcloud/chat"]


def node_major() -> int:
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.lstrip("v").split(".")[0])


def node(script: str, *arguments: str) -> list[str]:
    """The command line of one of our scripts; to be run in the SDK's folder."""
    flags = ["--experimental-websocket"] if node_major() < NODE_MAJOR_WITH_WEBSOCKET else []
    return ["node", *flags, str(HERE / script), *arguments]


def a_usersig(user_id: str, *, key: str = KEY, age_s: int = 60) -> str:
    return usersig.sign(usersig.mac_of(key), SDKAPPID, user_id, int(time.time()) - age_s, 3_600)


class Server:
    """A server in a process of its own."""

    def __init__(self, ready: type_json) -> None:
        self.url: str = ready["url"]
        self.gateway_url: str = ready["gateway_url"]
        self._control = ready["control_url"], ready["control_token"]

    def status(self) -> type_json:
        control = Control(*self._control)
        try:
            return dict(control.status(SDKAPPID))
        finally:
            control.close()

    def rest(self, command: str, body: type_json) -> type_json:
        admin = a_usersig("administrator")
        query = f"sdkappid={SDKAPPID}&identifier=administrator&usersig={admin}&random=1&contenttype=json"
        with urlopen(f"{self.url}/v4/{command}?{query}", json.dumps(body).encode(), timeout=10) as response:
            return dict(json.loads(response.read()))

    def online(self, *user_ids: str) -> list[str]:
        answer = self.rest("openim/query_online_status", {"To_Account": list(user_ids)})
        return [found["Status"] for found in answer["QueryResult"]]


@contextmanager
def a_server(plan: str = "pro") -> Iterator[Server]:
    command = [sys.executable, "-m", "mock_im_server", "--port", "0", "--start", "2026-10-01", "--rate-limits", "off"]
    command += ["--app", f"{SDKAPPID}:{plan}:{KEY}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


class Device:
    """An SDK in a process of its own, which does what it is told (`official_sdk_shell.mjs`)."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.events: list[type_json] = []

    def call(self, name: str, given: object = None) -> type_json:
        """What the SDK's promise came to: `data`, or `code` and `message`."""
        assert self._process.stdin is not None
        line = {"call": name} if given is None else {"call": name, "with": given}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        while "done" not in (said := self._read()):
            self.events.append(said)
        return said

    def login(self, user_id: str, signature: str | None = None) -> type_json:
        return self.call("login", {"userID": user_id, "userSig": signature or a_usersig(user_id)})

    def event(self, name: str) -> type_json:
        """The next that happens by itself under this name; others are passed over."""
        while True:
            said = self.events.pop(0) if self.events else self._read()
            if said.get("event") == name:
                return said

    def _read(self) -> type_json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the SDK's process has ended"
        return dict(json.loads(line))


@contextmanager
def a_device(sdk: Path, server: Server) -> Iterator[Device]:
    command = node("official_sdk_shell.mjs", server.gateway_url, str(SDKAPPID))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=sdk, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        # Who waits for a line of a process that has ended is told so, and waits no longer.
        end = threading.Timer(DEVICE_S_MAX, process.kill)
        end.start()
        try:
            yield Device(process)
        finally:
            end.cancel()
            process.kill()

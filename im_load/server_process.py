"""The embedded server: started by the harness on a free port, stopped with it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from im_load.control import ServerError

STOP_TIMEOUT_S: Final = 20.0


class ServerProcess:
    """A `python -m mock_im_server` of the harness's own."""

    def __init__(
        self, data_dir: Path | None = None, *, defect: str | None = None, store: str = "", workers: int = 1
    ) -> None:
        """Start it and wait for its ready line. Raises ServerError with what it said instead."""
        command = [sys.executable, "-m", "mock_im_server", "--port", "0"]
        # A scenario asks as fast as it can; how often a real backend may ask is another question.
        command += ["--stop-with-stdin", "--rate-limits", "off"]
        # Nor does it come back: it goes with its run.
        command += ["--no-checkpoints"]
        if data_dir is not None:
            command += ["--data-dir", str(data_dir)]
        if defect:
            command += ["--defect", defect]
        if store:
            command += ["--store", store, "--workers", str(workers)]
        # It stops when this pipe closes: also when the harness is killed and can stop nothing any more.
        self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the whole foreground group; the server has to outlive the harness's last requests.
            start_new_session=True,
        )
        assert self._process.stdout is not None, "stdout is a pipe"
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None, "stderr is a pipe"
            said = self._process.stderr.read().strip().splitlines()
            self.stop()
            raise ServerError(said[-1] if said else "the embedded server did not start")
        self.ready: dict[str, Any] = json.loads(line)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        if self._process.poll() is None:
            self._end()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None, "all three are pipes"
            pipe.close()

    def _end(self) -> None:
        assert self._process.stdin is not None, "stdin is a pipe"
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

"""What Locust 2.47 does to a run that counts, and how a run here stands it.

A trap's number is that of our notes on Locust: 4.5 spawning, 4.6 wait times, 4.7 events and exit codes, 4.8 outputs,
4.9 defects, 4.10 messages. What can be seen without a Locust process is in `tests/im_load/`.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest

from analysis import run_files
from tests.end_to_end.commands import (
    SPIKE_STARTS_MS,
    Played,
    children,
    disturbed,
    document,
    ledger_table,
    played,
    verdict_of,
)

pytestmark = pytest.mark.slow

SMALL = ("--peak-dau", "600", "--baseline-dau", "30")
TWENTIETH_US = 50_000
DAY_MS = 86_400_000
STALL_S = 1.0


@pytest.mark.parametrize("processes", ["healthy", "distributed"])
def test_arrivals_are_spread_and_not_bursts_of_a_second(processes: str, request: pytest.FixtureRequest) -> None:
    """Traps 4.5 and 4.9, 7: Locust spawns once a second, and a master's ramp holds up its shape."""
    run = request.getfixturevalue(processes).run
    frame = ledger_table(run).select(["planned_app_ms", "sent_us"]).to_pandas()
    spike = frame[frame["planned_app_ms"].between(SPIKE_STARTS_MS, SPIKE_STARTS_MS + DAY_MS - 1)]
    sent = (spike["sent_us"] // TWENTIETH_US).value_counts()

    assert sent.max() < len(spike) / 4


def test_response_time_counts_from_the_planned_instant(healthy: Played) -> None:
    """Trap 4.6: what waits before it is sent waits in no statistic of Locust's."""
    frame = ledger_table(healthy.run).select(["planned_us", "sent_us", "answered_us"]).to_pandas()

    assert (frame["sent_us"] >= frame["planned_us"]).all(), "nothing goes before it is planned"
    assert (frame["answered_us"] >= frame["sent_us"]).all()


def test_a_stalled_server_is_seen_in_response_times_though_not_in_service_times(tmp_path: Path) -> None:
    """Trap 4.6: few requests are in flight when a server stalls; Locust does not see how long the others wait."""

    def stall(process: subprocess.Popen[str]) -> None:
        (server,) = children(process, "mock_im_server")
        server.suspend()
        time.sleep(STALL_S)
        server.resume()

    code, run = disturbed(tmp_path, stall, "--peak-dau", "100000")

    frame = ledger_table(run).select(["planned_us", "sent_us", "answered_us"]).to_pandas()
    service_is_slow = frame["answered_us"] - frame["sent_us"] > STALL_S * 1e6 / 2
    response_is_slow = frame["answered_us"] - frame["planned_us"] > STALL_S * 1e6 / 2
    assert code == 0, "a slow server is no wrong one"
    assert service_is_slow.mean() < 0.05
    assert response_is_slow.mean() > 0.1


def test_refusals_are_results_and_no_failures(healthy: Played) -> None:
    """Trap 4.7: one failed sample would make Locust's exit code 1."""
    refused = pc.sum(pc.not_equal(ledger_table(healthy.run)["code"], 0)).as_py()

    assert refused > 100
    assert document(healthy.run, run_files.MANIFEST)["locust"]["failures"] == 0
    assert healthy.code == 0


def test_the_verdict_is_the_last_word(healthy: Played) -> None:
    """Trap 4.7: at `test_stop` the last samples are not in yet; Locust's own summary comes before the verdict."""
    last_lines = healthy.out.rstrip().splitlines()[-2:]

    assert [line.split()[0] for line in last_lines] == ["peak", "plan"]


def test_a_run_that_locust_ends_early_looks_in_no_way_finished(tmp_path: Path) -> None:
    """Trap 4.7: `--run-time` stops the users, and Locust ends with 0."""
    done = played("dau_spike", tmp_path, "--peak-dau", "400000", "--baseline-dau", "30", "--run-time", "2s")

    # On a slow machine nothing was played yet, and nothing is left.
    left = [path.resolve().name for path in tmp_path.iterdir()]
    assert done.code == 2, done.said
    assert [name for name in left if not name.endswith(run_files.PARTIAL_SUFFIX)] == []


def test_times_are_kept_in_microseconds(healthy: Played) -> None:
    """Trap 4.8: Locust's histogram knows whole milliseconds, and a login takes less than a few of them."""
    frame = ledger_table(healthy.run).select(["sent_us", "answered_us"]).to_pandas()

    assert ((frame["answered_us"] - frame["sent_us"]) % 1_000 != 0).mean() > 0.9


def test_standard_output_is_one_json_document_with_every_sample(distributed: Played) -> None:
    """Traps 4.8 and 4.9, 3: each worker prints an empty list of its own, and a verdict would be no JSON."""
    samples = {entry["name"]: entry["num_requests"] for entry in json.loads(distributed.out)}

    assert sum(samples.values()) == document(distributed.run, run_files.PLAN)["arrivals"]
    assert "plan = ledger = journal = statement" in distributed.err


def test_a_worker_that_ends_writes_no_empty_list_in_the_masters_name(tmp_path: Path) -> None:
    """Trap 4.9, 4: with `--json-file` the last process to end has the last word, and a worker's is `[]`."""
    samples = tmp_path / "samples.json"
    written: list[str] = []

    def end_a_worker(process: subprocess.Popen[str]) -> None:
        (worker, _) = children(process, "locust")
        worker.terminate()
        psutil.wait_procs([worker])
        written.append(samples.read_text() if samples.exists() else "nothing yet")

    options = ("--processes", "2", "--json-file", str(samples.with_suffix("")))
    disturbed(tmp_path / "runs", end_a_worker, *options)

    assert written != ["[]"]
    assert json.loads(samples.read_text()), "the master has written its samples"


def test_no_sample_of_two_workers_is_lost_at_the_end(distributed: Played) -> None:
    """Trap 4.9, 1: the master waits half a second for reports that come every three."""
    manifest = document(distributed.run, run_files.MANIFEST)

    assert manifest["locust"]["requests"] == ledger_table(distributed.run).num_rows
    assert len(manifest["workers"]) == 2


def test_a_killed_worker_makes_the_run_invalid(tmp_path: Path) -> None:
    """Trap 4.9, 2: Locust goes on without it, and ends with 0."""
    code, run = disturbed(tmp_path, lambda process: children(process, "locust")[0].kill(), "--processes", "2")

    assert code == 2
    assert verdict_of(run)["outcome"] == "invalid"
    assert "worker_lost" in {finding["code"] for finding in verdict_of(run)["findings"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_invalid_and_tidy(tmp_path: Path, number: signal.Signals) -> None:
    """Trap 4.9, 6: on SIGTERM Locust writes no report."""
    family: list[psutil.Process] = []

    def stop(process: subprocess.Popen[str]) -> None:
        family.extend(psutil.Process(process.pid).children(recursive=True))
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)

    code, run = disturbed(tmp_path, stop)

    assert code == 2
    assert verdict_of(run)["outcome"] == "invalid"
    assert run.name.endswith(run_files.PARTIAL_SUFFIX)
    assert (run / run_files.REPORT).is_file()
    assert_gone(family)


def test_nothing_survives_a_harness_that_is_killed(tmp_path: Path) -> None:
    """Its server and its workers end by themselves; Locust's workers alone would play on for a minute."""
    family: list[psutil.Process] = []

    def kill(process: subprocess.Popen[str]) -> None:
        family.extend(psutil.Process(process.pid).children(recursive=True))
        process.kill()

    code, run = disturbed(tmp_path, kill, "--processes", "2")

    assert code == -signal.SIGKILL
    assert not run.exists(), "a run without a verdict is nobody's latest"
    assert len(family) == 3
    assert_gone(family)


def test_a_master_without_monkey_patching_is_refused(tmp_path: Path) -> None:
    """Trap 4.9, 8: it would wait for its workers for ever, deaf to Ctrl-C."""
    done = played("dau_spike", tmp_path, *SMALL, "--processes", "2", LOCUST_SKIP_MONKEY_PATCH="1")

    assert done.code == 3
    assert [line for line in done.err.splitlines() if line.startswith("locust: LOCUST_SKIP_MONKEY_PATCH")], done.err
    assert not list(tmp_path.iterdir())


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert processes
    assert not alive

"""The commands of the README, as a user types them, with small populations."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from analysis import run_files
from im_load.control import Control

pytestmark = pytest.mark.slow

LOCUST = str(Path(sys.executable).with_name("locust"))
SPIKE = ("--peak-dau", "30000", "--baseline-dau", "300", "--month", "2026-10", "--seed", "7")
type_played = Callable[..., tuple[int, Path, str]]


def command(scenario: str, runs: Path, *options: str) -> list[str]:
    return [LOCUST, "-f", f"locustfiles/{scenario}.py", "--headless", "--runs", str(runs), *options]


def played(scenario: str, runs: Path, *options: str) -> tuple[int, Path, str]:
    """Exit code, run directory and everything that was said."""
    done = subprocess.run(command(scenario, runs, *options), capture_output=True, text=True, timeout=150, check=False)
    return done.returncode, (runs / "latest").resolve(), done.stdout + done.stderr


def verdict_of(run: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads((run / run_files.VERDICT).read_text())
    return verdict


def ledger_of(run: Path) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for path in (run / "ledger").iterdir():
        with pa.ipc.open_stream(str(path)) as reader:
            table = reader.read_all()
        columns = [table[name].to_pylist() for name in ("row", "user_id", "kind", "planned_app_ms", "code")]
        rows += zip(*columns, strict=True)
    return sorted(rows)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, str]:
    return played("dau_spike", tmp_path_factory.mktemp("runs"), *SPIKE)


def test_a_healthy_run_passes_and_says_so(healthy: tuple[int, Path, str]) -> None:
    code, run, said = healthy

    assert code == 0, said
    assert "peak DAU 30,000 on 2026-10-16 · 2 units × 149.99 = 299.98 USD, charged 2026-11-03" in said
    assert "plan = ledger = journal = statement" in said
    assert not run.name.endswith(".partial")


def test_the_verdict_has_what_scripts_read(healthy: tuple[int, Path, str]) -> None:
    verdict = verdict_of(healthy[1])

    expected = {
        "outcome": "passed",
        "month": "2026-10",
        "peak_dau": 30_000,
        "peak_day": "2026-10-16",
        "dau_units": 2,
        "amount_cents": 29_998,
        "total_cents": 44_997,
        "currency": "USD",
        "charged_on": "2026-11-03",
        "findings": [],
    }
    assert {key: verdict[key] for key in expected} == expected
    witness = {"peak_dau": 30_000, "amount_cents": 29_998}
    for name in ("plan", "ledger", "journal", "statement"):
        assert {key: verdict["witnesses"][name][key] for key in witness} == witness


def test_every_login_is_a_locust_sample_a_ledger_row_and_a_journal_row(healthy: tuple[int, Path, str]) -> None:
    manifest = json.loads((healthy[1] / run_files.MANIFEST).read_text())
    plan = json.loads((healthy[1] / run_files.PLAN).read_text())

    assert manifest["locust"] == {"requests": plan["arrivals"], "failures": 0}
    assert sum(worker["rows"] for worker in manifest["workers"]) == plan["arrivals"]
    assert manifest["journal"]["rows"] > plan["arrivals"]


def test_arrivals_are_spread_and_not_bursts_of_a_second(healthy: tuple[int, Path, str]) -> None:
    """Locust spawns users once a second; the schedule of the arrivals must not show it (trap 4.5)."""
    with pa.ipc.open_stream(str(healthy[1] / "ledger" / "worker-0.arrow")) as reader:
        table = reader.read_all().to_pandas()
    spike = table[table["planned_app_ms"].between(1_792_080_000_000, 1_792_166_399_999)]
    bins = (spike["planned_us"] // 50_000).value_counts().sort_index()

    assert len(bins) >= 20
    assert bins.iloc[1:-1].min() > 0.9 * bins.iloc[1:-1].max()


def test_response_time_counts_from_the_planned_instant(healthy: tuple[int, Path, str]) -> None:
    with pa.ipc.open_stream(str(healthy[1] / "ledger" / "worker-0.arrow")) as reader:
        table = reader.read_all().to_pandas()

    assert (table["sent_us"] >= table["planned_us"]).all(), "nothing goes before it is planned"
    assert (table["answered_us"] >= table["sent_us"]).all()


def test_two_workers_play_the_same_plan_and_lose_no_sample(healthy: tuple[int, Path, str], tmp_path: Path) -> None:
    code, run, said = played("dau_spike", tmp_path, *SPIKE, "--processes", "2")

    assert code == 0, said
    assert ledger_of(run) == ledger_of(healthy[1])
    one, two = verdict_of(healthy[1]), verdict_of(run)
    assert {key: one[key] for key in ("lines", "witnesses", "total_cents")} == {
        key: two[key] for key in ("lines", "witnesses", "total_cents")
    }
    manifest = json.loads((run / run_files.MANIFEST).read_text())
    assert manifest["locust"]["requests"] == len(ledger_of(run)), "Locust alone drops the last samples (trap 4.9)"


@pytest.mark.parametrize("defect", ["billing-day-utc", "dau-per-device", "whole-peak-charged"])
def test_a_planted_defect_turns_the_verdict_red(defect: str, tmp_path: Path) -> None:
    code, run, said = played("dau_spike", tmp_path, *SPIKE, "--defect", defect)

    assert code == 1, said
    assert verdict_of(run)["outcome"] == "failed"


def test_a_real_month_is_replayed(tmp_path: Path) -> None:
    options = ("--dau-csv", "examples/daily-traffic-2008-01.csv", "--scale", "0.001")
    code, run, said = played("dau_replay", tmp_path, *options)

    assert code == 0, said
    assert verdict_of(run)["month"] == "2008-01"
    assert verdict_of(run)["peak_dau"] == 648


def test_a_connection_for_each_login_gives_the_same_bill(tmp_path: Path) -> None:
    options = ("--peak-dau", "600", "--baseline-dau", "50", "--connections", "per-user")
    code, run, said = played("dau_spike", tmp_path, *options)

    assert code == 0, said
    assert verdict_of(run)["peak_dau"] == 600


def test_a_trial_stops_at_100(tmp_path: Path) -> None:
    code, run, said = played("dau_spike", tmp_path, "--peak-dau", "900", "--baseline-dau", "200", "--plan", "trial")

    assert code == 0, said
    assert (verdict_of(run)["peak_dau"], verdict_of(run)["total_cents"]) == (100, 0)


def interrupted(tmp_path: Path, what: Callable[[subprocess.Popen[str]], None], *options: str) -> tuple[int, Path]:
    """Start a long run, do something to it while it plays, and wait for its end."""
    options = ("--peak-dau", "400000", "--baseline-dau", "200", *options)
    with subprocess.Popen(
        command("dau_spike", tmp_path, *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        deadline_s = time.monotonic() + 60
        while not any(path.stat().st_size > 2_000_000 for path in tmp_path.glob("*/server/*/journal/*")):
            assert time.monotonic() < deadline_s, "the run gets under way"
            time.sleep(0.1)
        what(process)
        code = process.wait(90)
    return code, (tmp_path / "latest").resolve()


def children(process: subprocess.Popen[str], part: str) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if part in " ".join(child.cmdline())]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_invalid_and_leaves_no_server(tmp_path: Path, number: signal.Signals) -> None:
    servers: list[psutil.Process] = []

    def interrupt(process: subprocess.Popen[str]) -> None:
        servers.extend(children(process, "mock_im_server"))
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)

    code, run = interrupted(tmp_path, interrupt)

    assert code == 2
    assert run.name.endswith(".partial")
    assert verdict_of(run)["outcome"] == "invalid"
    gone, alive = psutil.wait_procs(servers, timeout=10)
    assert gone
    assert not alive


def test_a_killed_server_makes_the_run_invalid_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    code, run = interrupted(tmp_path, lambda process: children(process, "mock_im_server")[0].kill())

    assert code == 2
    assert verdict_of(run)["outcome"] == "invalid"
    acknowledged = {user for _, user, _, planned, code in ledger_of(run) if code == 0 and planned >= 1_792_080_000_000}
    start = [sys.executable, "-m", "mock_im_server", "--port", "0", "--data-dir", str(run / "server")]
    with subprocess.Popen([*start, "--app", "1400000009:pro:k"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        sdkappid = json.loads((run / run_files.PLAN).read_text())["app"]["sdkappid"]
        control = Control(ready["control_url"], ready["control_token"])
        status = control.status(sdkappid)
        control.close()
        server.terminate()
    assert len(acknowledged) > 1_000
    assert status["day"] == "2026-10-16"
    assert status["dau"] >= len(acknowledged)


def test_a_killed_worker_makes_the_run_invalid(tmp_path: Path) -> None:
    """Locust alone ends green when a worker dies (trap 4.9)."""
    code, run = interrupted(tmp_path, lambda process: children(process, "locust")[0].kill(), "--processes", "2")

    assert code == 2
    assert verdict_of(run)["outcome"] == "invalid"
    assert "worker_lost" in {finding["code"] for finding in verdict_of(run)["findings"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peak-dau", "10", "--baseline-dau", "20"), "--peak-dau 10 is below --baseline-dau 20"),
        (("--month", "2026-13"), "a month is written like 2026-10"),
        (("--plan", "gold"), "invalid choice: 'gold'"),
        (("--spike-day", "2026-11-01"), "a day of 2026-10 is written like"),
        (("--host", "https://adminapisgp.im.qcloud.com"), "the vendor's real service"),
        (("--host", "http://127.0.0.1:9"), "does not answer"),
        (("--defect", "nonsense"), "invalid choice: 'nonsense'"),
        (("--nonsense",), "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_is_one_clear_line_and_leaves_no_run(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    code, _, output = played("dau_spike", tmp_path, *options)

    assert code == 3
    assert [line for line in output.splitlines() if said in line], output
    assert not list(tmp_path.iterdir())
    assert "Traceback" not in output

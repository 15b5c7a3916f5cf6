"""The commands of the README, as a user types them, with small populations."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis import run_files
from im_load.control import Control
from tests.end_to_end.commands import (
    BEGINS_S_MAX,
    ENDS_S_MAX,
    SPIKE,
    SPIKE_STARTS_MS,
    Played,
    children,
    command,
    disturbed,
    document,
    ledger_of,
    played,
    verdict_of,
)

pytestmark = pytest.mark.slow


def test_a_healthy_run_passes_and_says_so(healthy: Played) -> None:
    assert healthy.code == 0, healthy.said
    assert "peak DAU 30,000 on 2026-10-16 · 2 units × 149.99 = 299.98 USD, charged 2026-11-03" in healthy.out
    assert "plan = ledger = journal = statement" in healthy.out
    assert not healthy.run.name.endswith(run_files.PARTIAL_SUFFIX)


def test_the_verdict_has_what_scripts_read(healthy: Played) -> None:
    verdict = verdict_of(healthy.run)

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


def test_every_login_is_a_locust_sample_a_ledger_row_and_a_journal_row(healthy: Played) -> None:
    manifest = document(healthy.run, run_files.MANIFEST)
    arrivals = document(healthy.run, run_files.PLAN)["arrivals"]

    assert manifest["locust"] == {"requests": arrivals, "failures": 0}
    assert sum(worker["rows"] for worker in manifest["workers"]) == arrivals
    assert manifest["journal"]["rows"] > arrivals


def test_two_workers_give_the_same_answers_and_the_same_bill(healthy: Played, distributed: Played) -> None:
    one, two = verdict_of(healthy.run), verdict_of(distributed.run)

    assert distributed.code == 0, distributed.said
    assert ledger_of(distributed.run) == ledger_of(healthy.run)
    for key in ("lines", "witnesses", "total_cents"):
        assert one[key] == two[key]


@pytest.mark.parametrize("defect", ["billing-day-utc", "dau-per-device", "whole-peak-charged"])
def test_a_planted_defect_turns_the_verdict_red(defect: str, tmp_path: Path) -> None:
    done = played("dau_spike", tmp_path, *SPIKE, "--defect", defect)

    # Locust saw no failed sample and would end with 0: the exit code is the audit's (trap 4.7).
    assert document(done.run, run_files.MANIFEST)["locust"]["failures"] == 0
    assert done.code == 1, done.said
    assert verdict_of(done.run)["outcome"] == "failed"


def test_a_gate_that_may_abort_ends_the_run(tmp_path: Path) -> None:
    gates = tmp_path / "gates.toml"
    gates.write_text('[[gate]]\nmetric = "dau.peak"\nat_most = 2000\nkind = "exact"\nabort = true\n')
    whole_month = ("--peak-dau", "3000", "--baseline-dau", "3000", "--rate", "2000")
    done = played("dau_spike", tmp_path / "runs", *whole_month, "--gates", str(gates))

    assert done.code == 2, done.said
    assert "gate_broken: ended early: dau.peak is 3000, must be ≤ 2000" in done.said
    assert len(ledger_of(done.run)) < json.loads((done.run / run_files.PLAN).read_text())["arrivals"]


def test_a_real_month_is_replayed(tmp_path: Path) -> None:
    options = ("--dau-csv", "examples/daily-traffic-2008-01.csv", "--scale", "0.001")
    done = played("dau_replay", tmp_path, *options)

    assert done.code == 0, done.said
    assert verdict_of(done.run)["month"] == "2008-01"
    assert verdict_of(done.run)["peak_dau"] == 648


def test_a_connection_for_each_login_gives_the_same_bill(tmp_path: Path) -> None:
    done = played("dau_spike", tmp_path, "--peak-dau", "600", "--baseline-dau", "50", "--connections", "per-user")

    assert done.code == 0, done.said
    assert verdict_of(done.run)["peak_dau"] == 600


def test_a_trial_stops_at_100(tmp_path: Path) -> None:
    done = played("dau_spike", tmp_path, "--peak-dau", "900", "--baseline-dau", "200", "--plan", "trial")

    assert done.code == 0, done.said
    assert (verdict_of(done.run)["peak_dau"], verdict_of(done.run)["total_cents"]) == (100, 0)


def test_a_killed_server_makes_the_run_invalid_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    code, run = disturbed(tmp_path, lambda process: children(process, "mock_im_server")[0].kill())

    assert code == 2
    assert verdict_of(run)["outcome"] == "invalid"
    # What was in flight, which may be nothing at that moment, has a row with an unknown outcome (trap 4.9, 9).
    (worker,), ledger = document(run, run_files.MANIFEST)["workers"], ledger_of(run)
    in_flight = sum(code is None for *_, code in ledger)
    assert worker["answered"] + in_flight == worker["issued"] == worker["rows"] == len(ledger)
    acknowledged = {user for _, user, _, planned, code in ledger if code == 0 and planned >= SPIKE_STARTS_MS}
    start = [sys.executable, "-m", "mock_im_server", "--port", "0", "--data-dir", str(run / "server")]
    with subprocess.Popen([*start, "--app", "1400000009:pro:k"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        sdkappid = document(run, run_files.PLAN)["app"]["sdkappid"]
        control = Control(ready["control_url"], ready["control_token"])
        status = control.status(sdkappid)
        control.close()
        server.terminate()
    assert len(acknowledged) > 1_000
    assert status["day"] == "2026-10-16"
    assert status["dau"] >= len(acknowledged)


def test_ctrl_c_during_the_audit_lets_it_judge(tmp_path: Path) -> None:
    """All has been handed over by then: a directory without a verdict would be neither finished nor unfinished."""
    small = ("--peak-dau", "300", "--baseline-dau", "20")
    with subprocess.Popen(
        command("dau_spike", tmp_path, *small),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline_s = time.monotonic() + BEGINS_S_MAX
        while not children(process, "analysis"):
            assert time.monotonic() < deadline_s, "the audit begins"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(ENDS_S_MAX)

    assert code == 0
    assert verdict_of(tmp_path / run_files.LATEST)["outcome"] == "passed"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peak-dau", "10", "--baseline-dau", "20"), "--peak-dau 10 is below --baseline-dau 20"),
        (("--month", "2026-13"), "a month is written like 2026-10"),
        (("--plan", "gold"), "invalid choice: 'gold'"),
        (("--spike-day", "2026-11-01"), "a day of 2026-10 is written like"),
        (("--host", "https://adminapisgp.im.qcloud.com"), "the vendor's real service"),
        (("--host", "http://127.0.0.1:9"), "does not answer"),
        (("--gates", "pyproject.toml"), "--gates pyproject.toml: holds [[gate]] tables and nothing else"),
        (("--processes", "-9"), "'-9' is no number of workers"),
        (("--defect", "nonsense"), "invalid choice: 'nonsense'"),
        (("--nonsense",), "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_is_one_clear_line_and_leaves_no_run(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = played("dau_spike", tmp_path, *options)

    assert done.code == 3
    assert [line for line in done.said.splitlines() if said in line], done.said
    assert not list(tmp_path.iterdir())
    assert "Traceback" not in done.said


def test_a_dry_run_starts_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    shown = played("dau_spike", tmp_path, "--dry-run", *SPIKE)

    assert shown.code == 0, shown.said
    assert "expects   a peak of 30,000 DAU on 2026-10-16" in shown.out
    assert shown.out.endswith("this machine can carry it; nothing was started\n")
    assert list(tmp_path.iterdir()) == []


def test_what_this_machine_cannot_carry_is_refused_with_the_reason(tmp_path: Path) -> None:
    line = " ".join(command("dau_spike", tmp_path, *SPIKE))
    script = f"ulimit -n 80; {line} --dry-run; echo $?; {line}; echo $?"
    refused = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)

    lack = "descriptors: 89 are needed in one process, 80 are allowed (ulimit -n 89 raises it)"
    assert [line for line in refused.stdout.splitlines() if line.isdecimal()] == ["3", "3"]
    assert f"locust: this machine cannot carry it\n  {lack}\n" in refused.stderr
    assert (
        f"locust: this machine cannot carry it: {lack} (--dry-run tells more, --try-anyway tries it)" in refused.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_all_the_same_may_even_pass(tmp_path: Path) -> None:
    line = " ".join(command("dau_spike", tmp_path, "--peak-dau", "300", "--baseline-dau", "20", "--try-anyway"))
    tried = subprocess.run(["bash", "-c", f"ulimit -n 80; {line}"], capture_output=True, text=True, check=False)

    assert tried.returncode == 0, tried.stderr

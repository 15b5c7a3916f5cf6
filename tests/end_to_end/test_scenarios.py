"""The scenarios at the quotas, small: exact on a healthy server, red on one with a planted defect."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest

from analysis import run_files
from tests.end_to_end.commands import (
    ENDS_S_MAX,
    LIVE_GROUPS,
    Played,
    children,
    command,
    document,
    ledger_table,
    played,
    verdict_of,
    wait_for,
)

pytestmark = pytest.mark.slow

ACCOUNTS = ("account_cap", "--attempts", "600")
GROUPS = ("group_overage", "--groups", "11000", "--destroy", "1500")
CALLS = ("call_trial", "--calls", "5")


def admitted(run: Path, kind: str, verb: str) -> int:
    table = ledger_table(run).unify_dictionaries()
    chosen = pc.and_(pc.equal(table["kind"], kind), pc.equal(table["verb"], verb))
    return int(pc.sum(pc.and_(chosen, pc.equal(table["code"], 0))).as_py() or 0)


def codes_of(run: Path, kind: str) -> dict[int, int]:
    table = ledger_table(run)
    counted = table.filter(pc.equal(table["kind"], kind))["code"].value_counts().to_pylist()
    return {one["values"]: one["counts"] for one in counted}


def _first(scenario: tuple[str, ...], runs: Path) -> Iterator[str | Path]:
    name, *options = scenario
    yield from (name, runs, *options)


def test_racing_creates_fill_exactly_the_places(live_groups: Played) -> None:
    assert live_groups.code == 0, live_groups.said
    assert "live groups: 50 of 50" in live_groups.out
    assert "0 over · 0 wrongly refused" in live_groups.out
    assert codes_of(live_groups.run, "race") == {0: 50, 10036: 950}
    assert codes_of(live_groups.run, "refill") == {0: 3, 10036: 997}


def test_rooms_that_nobody_is_in_take_every_place(live_groups: Played) -> None:
    assert codes_of(live_groups.run, "empty") == {0: 50}
    assert codes_of(live_groups.run, "full") == {10036: 1_000}


def test_create_and_destroy_between_each_other_leave_nothing(live_groups: Played) -> None:
    created = admitted(live_groups.run, "churn", "create_group")

    assert created == admitted(live_groups.run, "churn", "destroy_group")
    assert 50 <= created <= 1_000


def test_every_request_names_its_group_and_itself(live_groups: Played) -> None:
    table = ledger_table(live_groups.run).unify_dictionaries()
    named = pc.and_(pc.not_equal(table["verb"], "login"), pc.is_valid(table["group_id"]))

    assert pc.sum(named).as_py() == table.num_rows - 100
    assert table.group_by(["connection", "request_seq"]).aggregate([]).num_rows == table.num_rows


@pytest.mark.parametrize(("plan", "places", "refusal"), [("trial", 10, 10036), ("ultimate", 10_000, 10006)])
def test_other_plans_have_other_caps(tmp_path: Path, plan: str, places: int, refusal: int) -> None:
    attempts = {"trial": "900", "ultimate": "42000"}[plan]
    options = ("--attempts", attempts, "--rounds", "1", "--plan", plan)

    done = played("live_group_cap", tmp_path, *options)

    assert done.code == 0, done.said
    assert codes_of(done.run, "race") == {0: places, refusal: int(attempts) // 4 - places}
    assert verdict_of(done.run)["peak_groups"] == places


def test_a_trials_accounts_stop_at_100_and_the_freed_places_are_filled(tmp_path: Path) -> None:
    done = played(*_first(ACCOUNTS, tmp_path), "--processes", "2")

    assert done.code == 0, done.said
    assert codes_of(done.run, "race") == {0: 100, 70398: 200}
    assert codes_of(done.run, "refill") == {0: 30, 70398: 120}
    assert codes_of(done.run, "newcomer") == {72000: 40}
    assert verdict_of(done.run)["peak_dau"] == 100


def test_groups_are_billed_by_their_peak(tmp_path: Path) -> None:
    done = played(*_first(GROUPS, tmp_path))

    assert done.code == 0, done.said
    assert codes_of(done.run, "grow") == {0: 11_000}
    assert codes_of(done.run, "over_day") == {10006: 10}
    assert codes_of(done.run, "over_user") == {10037: 10}
    statement = document(done.run, run_files.STATEMENT)
    assert statement["peak_groups"] == 11_000
    assert [line["quantity"] for line in statement["lines"] if line["item"] == "groups"] == [11_000]


def test_calls_are_billed_to_the_second(tmp_path: Path) -> None:
    done = played(*_first(CALLS, tmp_path))

    assert done.code == 0, done.said
    planned = document(done.run, run_files.PLAN)["call_seconds"]
    assert document(done.run, run_files.STATEMENT)["call_seconds"] == planned
    assert codes_of(done.run, "not_opened") == {-1001: 5}
    assert codes_of(done.run, "expired") == {-1002: 10}
    assert set(codes_of(done.run, "last_second")) == {0}


def test_the_same_seed_is_the_same_plan_for_any_number_of_workers(live_groups: Played, tmp_path: Path) -> None:
    alone = played(*_first(LIVE_GROUPS, tmp_path))

    assert alone.code == 0, alone.said
    for name in ("arrivals", "days", "quotas", "peak_groups"):
        assert document(alone.run, run_files.PLAN)[name] == document(live_groups.run, run_files.PLAN)[name]
    planned = ("row", "user_id", "group_id", "verb", "kind", "planned_app_ms")
    one, two = (ledger_table(run).select(planned).to_pylist() for run in (alone.run, live_groups.run))
    assert sorted(one, key=lambda row: row["row"]) == sorted(two, key=lambda row: row["row"])


@pytest.mark.parametrize(
    ("scenario", "defect"),
    [
        (LIVE_GROUPS, "cap-off-by-one"),
        (LIVE_GROUPS, "cap-raced"),
        (LIVE_GROUPS, "destroyed-group-counted"),
        (LIVE_GROUPS, "empty-group-free"),
        (ACCOUNTS, "cap-off-by-one"),
        (ACCOUNTS, "cap-raced"),
        (ACCOUNTS, "deleted-user-dropped"),
        (GROUPS, "destroyed-group-counted"),
        (CALLS, "amounts-rounded-daily"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_planted_defect_turns_the_verdict_red(scenario: tuple[str, ...], defect: str, tmp_path: Path) -> None:
    done = played(*_first(scenario, tmp_path), "--defect", defect)

    assert done.code in {1, 2}, done.said
    assert {finding["severity"] for finding in verdict_of(done.run)["findings"]} >= {"error"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_over_rest_that_is_disturbed_is_invalid(tmp_path: Path, number: signal.Signals) -> None:
    """SIGINT to the harness, SIGKILL to its server: what was in flight has its row, and the outcome is unknown."""
    with subprocess.Popen(
        command("group_overage", tmp_path, "--groups", "100000", "--destroy", "0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        wait_for(lambda: any(path.stat().st_size > 1_000_000 for path in tmp_path.glob("*/server/*/journal/*")))
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            (server,) = children(process, "mock_im_server")
            server.kill()
        code = process.wait(ENDS_S_MAX)
    run = (tmp_path / run_files.LATEST).resolve()

    assert code == 2
    assert verdict_of(run)["outcome"] == "invalid"
    assert run.name.endswith(run_files.PARTIAL_SUFFIX)
    table = ledger_table(run)
    assert pc.all(pc.is_valid(table["sent_us"])).as_py()
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(run) in " ".join(one.info["cmdline"] or [])]


def test_a_run_whose_workers_all_fall_silent_ends(tmp_path: Path) -> None:
    """Locust stops the test then, and would wait for ever."""
    with subprocess.Popen(
        command("live_group_cap", tmp_path, "--attempts", "100000", "--processes", "2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        wait_for(lambda: any(path.stat().st_size > 500_000 for path in tmp_path.glob("*/server/*/journal/*")))
        workers = children(process, "locust")
        for worker in workers:
            worker.suspend()
        wait_for(lambda: bool(list(tmp_path.glob("*/manifest.json"))))
        for worker in workers:
            worker.resume()
        code = process.wait(ENDS_S_MAX)

    assert code == 2
    assert verdict_of((tmp_path / run_files.LATEST).resolve())["outcome"] == "invalid"


@pytest.mark.parametrize(
    ("scenario", "options", "said"),
    [
        ("account_cap", ("--plan", "pro"), "invalid choice: 'pro'"),
        ("account_cap", ("--attempts", "99"), "--attempts '99': a whole number from 500"),
        ("live_group_cap", ("--rounds", "30"), "--rounds '30'"),
        ("group_overage", ("--destroy", "300000"), "--destroy 300000: there are only 250000 groups"),
        ("group_overage", ("--groups", "400000"), "10,000 net new ones a day"),
        ("call_trial", ("--callers", "2"), "--callers '2': a whole number from 9"),
    ],
)
def test_wrong_use_is_one_clear_line(tmp_path: Path, scenario: str, options: tuple[str, ...], said: str) -> None:
    done = played(scenario, tmp_path, *options)

    assert done.code == 3
    assert [line for line in done.said.splitlines() if said in line], done.said
    assert "Traceback" not in done.said
    assert not list(tmp_path.iterdir())

"""A run is complete when every worker's ledger and totals are in, and never green before."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tests.im_load.playing import Played, played

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played(tmp_path_factory.mktemp("runs"), workers=2)


def rows_of(run: Path, name: str) -> int:
    with pa.ipc.open_stream(str(run / name)) as reader:
        return int(reader.read_all().num_rows)


def test_the_totals_handed_over_are_those_of_the_ledgers(by_two: Played) -> None:
    """Trap 4.9, 1: they come by a message of our own, not with Locust's statistics."""
    totals = {data["worker"]: data["rows"] for name, data, _ in by_two.to_conductor if name == "im_totals"}

    assert by_two.code == 0, by_two.text
    assert len(totals) == 2
    assert totals == {worker: rows_of(by_two.run, f"ledger/worker-{worker}.arrow") for worker in totals}


def test_every_request_that_was_issued_was_answered(by_two: Played) -> None:
    """Trap 4.9, 9: Locust kills what is in flight at the end; here the end waits for it."""
    workers = json.loads((by_two.run / "manifest.json").read_text())["workers"]
    arrivals = json.loads((by_two.run / "plan.json").read_text())["arrivals"]

    assert sum(worker["answered"] for worker in workers) == sum(worker["issued"] for worker in workers) == arrivals


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Ten times the users, and a part of the ledger that does not arrive."""
    lost: list[str] = []

    def loses(name: str, _data: object) -> bool:
        # The first part opens the Arrow stream; a later one is a batch of rows.
        lost.extend([name] if name == "im_ledger" else [])
        return name == "im_ledger" and len(lost) == 3

    return played(tmp_path_factory.mktemp("runs"), loses=loses, peak_dau="6000")


def test_a_part_of_a_ledger_that_is_lost_on_its_way_makes_the_run_invalid(lossy: Played) -> None:
    """Trap 4.10: nobody notices a message that does not arrive."""
    assert lossy.code == 2
    findings = json.loads((lossy.run / "verdict.json").read_text())["findings"]
    assert {"ledger_rows_differ", "ledger_rows_missing"} <= {finding["code"] for finding in findings}


def test_what_a_worker_is_told_does_not_grow_with_the_users(by_two: Played, lossy: Played) -> None:
    """Trap 4.10: a set of a million UserIDs would block the heartbeats; workers compute their share of the plan."""
    few = [size for name, _, size in by_two.to_workers if name == "im_assign"]
    more = [size for name, _, size in lossy.to_workers if name == "im_assign"]

    assert max(more) - max(few) < 200

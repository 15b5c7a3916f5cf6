"""Users live through the loss of access points: each is routed right, comes back elsewhere, and is counted once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analysis import run_files
from im_load.plans.trouble import UP
from mock_im_server import catalogue
from mock_im_server.domain.capacity import State
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import Choice, Client, Policy
from mock_im_server.network import Network
from proofs.outage import of_run
from tests.im_load.playing import Played, played

pytestmark = pytest.mark.slow

TROUBLE = """
[[change]]
at = 2026-10-01T12:00:00
access_point = "busiest"
state = "draining"

[[change]]
at = 2026-10-01T18:00:00
access_point = "busiest"
state = "up"
capacity = 0.5

[[flapping]]
access_point = "ae"
from = 2026-10-01T20:00:00
until = 2026-10-01T22:00:00
minutes = 30
"""


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played(
        tmp_path_factory.mktemp("runs"),
        scenario="region_outage",
        workers=2,
        dau="1500",
        rate="1500",
        back_off="0.2",
        outage="busiest",
        outage_hours="3",
        policy="latency_table",
    )


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("runs")
    script = folder / "trouble.toml"
    script.write_text(TROUBLE)
    return played(
        folder,
        scenario="global_access",
        dau="1500",
        days="1",
        rate="800",
        back_off="0.1",
        trouble=str(script),
    )


def ledger(run: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for path in sorted((run / run_files.LEDGER_FOLDER).iterdir()):
        with pa.ipc.open_stream(str(path)) as stream:
            rows += stream.read_all().to_pylist()
    return rows


def access(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / run_files.ACCESS).read_text())
    return content


def due(run: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Each request with the access point where the server's own rules send its user at that version."""
    data, told = catalogue.load(), access(run)
    choice = Choice(Policy(told["policy"]), frozenset(told["pin"]), told["hysteresis_ms"])
    network = Network(data.access_points, {**data.countries, **data.cities}, LatencyTable(data.latency_model))
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in ledger(run):
        rows.setdefault(row["routing_version"], []).append(row)
    changes = [{"version": told["start_version"]}, *told["changes"]]
    for change in changes:
        if "code" in change:
            network.set_health(change["code"], state=State(change["state"]), capacity=change["capacity"])
        for row in rows.pop(change["version"], []):
            place = network.place(row["country"], row["city"])
            probes = told.get("probes", {}).get(f"{row['country']}/{row['city']}", {})
            yield row, network.route(choice, place, Client(row["user_id"], probes))[0].point.code
    assert not rows, "no version was made up"


@pytest.mark.parametrize("name", ["outage", "troubled"])
def test_every_request_went_where_it_was_due(name: str, request: pytest.FixtureRequest) -> None:
    run: Played = request.getfixturevalue(name)

    assert run.code == 0, run.text
    assert [row for row, point in due(run.run) if row["access_point"] != point] == []


def test_everybody_who_was_online_at_the_lost_point_is_back_elsewhere_before_it_is(outage: Played) -> None:
    lost, back = access(outage.run)["changes"]
    rows = sorted((row for row in ledger(outage.run) if row["code"] == 0), key=lambda row: row["answered_us"])
    at: dict[tuple[str, str], str] = {}
    before: set[tuple[str, str]] = set()
    for row in rows:
        device = (row["user_id"], row["platform"])
        if row["answered_us"] > back["before_us"]:
            break
        if row["answered_us"] < lost["before_us"] and row["access_point"] == lost["code"]:
            before.add(device)
        at[device] = row["access_point"]

    assert len(before) > 50
    assert {at[device] for device in before}.isdisjoint({lost["code"]})
    assert back["state"] == UP


@pytest.mark.parametrize("name", ["outage", "troubled"])
def test_rows_are_those_of_the_plan_and_those_that_trouble_made(name: str, request: pytest.FixtureRequest) -> None:
    run: Played = request.getfixturevalue(name)
    rows = ledger(run.run)
    arrivals = json.loads((run.run / run_files.PLAN).read_text())["arrivals"]
    workers = json.loads((run.run / run_files.MANIFEST).read_text())["workers"]
    beside = [row for row in rows if row["row"] >= arrivals]

    assert sorted(row["row"] for row in rows if row["row"] < arrivals) == list(range(arrivals))
    assert len({row["row"] for row in beside}) == len(beside) == sum(worker["reconnects"] for worker in workers) > 0
    assert {(row["verb"], row["kind"]) for row in beside} <= {("resume", "reconnect"), ("login", "repeat")}
    assert {row["code"] for row in beside} <= {0, None}, "nobody is refused in a storm"


def test_what_was_drained_moves_without_losing_a_request(troubled: Played) -> None:
    drained, restored, *_ = access(troubled.run)["changes"]
    moved = [
        row
        for row in ledger(troubled.run)
        if row["kind"] == "reconnect" and row["routing_version"] == drained["version"]
    ]

    assert len(moved) > 50
    assert {row["code"] for row in moved} == {0}
    assert drained["code"] not in {row["access_point"] for row in moved}
    assert (restored["state"], restored["capacity"]) == ("up", 0.5)


def test_an_outage_changes_neither_dau_nor_bill(outage: Played) -> None:
    verdict = json.loads((outage.run / run_files.VERDICT).read_text())

    assert (verdict["peak_dau"], verdict["outcome"]) == (1_500, "passed")
    assert verdict["witnesses"]["statement"]["peak_dau"] == 1_500


def test_the_proof_reads_the_same_off_a_run(outage: Played) -> None:
    found = of_run(outage.run)

    assert (found.wrong, found.refused) == (0, 0)
    assert found.lost > 50
    assert 0 < found.most_online_s <= found.all_online_s < 30
    assert found.reconnects_per_second > 0


def test_a_point_that_there_is_not_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    run = played(tmp_path, scenario="region_outage", dau="100", outage="atlantis", outage_hours="3")

    assert run.code == 3
    assert "there is no access point atlantis" in run.text
    assert not list(tmp_path.glob("region_outage*"))

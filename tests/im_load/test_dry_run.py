"""A dry run says what a run would do, by the plan that it would play, and starts nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from im_load import dry_run
from im_load.daily_dau import WrongInputError
from im_load.dry_run import DryRun
from im_load.options import checked
from im_load.plans.arrivals import GOOD_SIG, LOGIN
from tests.im_load.playing import PLANNED, parsed
from tests.im_load.test_machine import ROOMY

MONTH = "examples/daily-traffic-2008-01.csv"
SMALL: dict[str, dict[str, object]] = {
    "dau_spike": {},
    "dau_replay": {"dau_csv": MONTH, "scale": "0.001"},
    "account_cap": {"plan": "trial", "attempts": "500"},
    "live_group_cap": {"attempts": "200", "owners": "20", "rounds": "1"},
    "group_overage": {"groups": "300", "destroy": "100"},
    "call_trial": {"calls": "2", "callers": "20"},
    "global_access": {"dau": "2000", "days": "2"},
    "region_outage": {"dau": "2000", "outage": "busiest", "outage_hours": "3"},
}


def a_dry_run(
    runs: Path,
    scenario: str = "dau_spike",
    *,
    workers: int = 1,
    app: dict[str, object] | None = None,
    **changed: object,
) -> DryRun:
    options = checked(parsed(runs, **SMALL[scenario] | changed), PLANNED[scenario])
    return dry_run.of(scenario, options, ROOMY, workers=workers, drivers=workers, app=app)


def test_the_plan_is_said_in_words_and_numbers(tmp_path: Path) -> None:
    lines = a_dry_run(tmp_path, peak_dau="30000", baseline_dau="300").text().splitlines()
    assert lines[0] == "run       dau_spike, 2026-10, plan pro, seed 7"
    assert lines[1].startswith("asks for  31 days of 2026-10, 43,")
    assert lines[3] == "expects   a peak of 30,000 DAU on 2026-10-16"
    assert lines[5] == "bill      449.97 USD, of that 2 × 149.99 beyond the plan's fee (price book 2020)"


def test_the_bill_is_the_one_that_a_run_gets(tmp_path: Path) -> None:
    at_the_quota, above = (a_dry_run(tmp_path, peak_dau=peak, baseline_dau="5") for peak in ("10000", "10001"))
    assert "149.99 USD (price" in at_the_quota.text()
    assert "299.98 USD, of that 1 × 149.99" in above.text()


@pytest.mark.parametrize(
    ("book", "month", "says"),
    [
        ("2021-08", "2026-10", "449.99 USD (price book 2021-08)"),
        ("2022-12", "2026-10", "399.00 USD (price book 2022-12)"),
        ("by-opening-day", "2021-07", "149.99 USD (price book 2020)"),
    ],
)
def test_the_bill_is_by_the_price_list_that_was_chosen(tmp_path: Path, book: str, month: str, says: str) -> None:
    assert f"bill      {says}" in a_dry_run(tmp_path, price_book=book, month=month).text()


@pytest.mark.parametrize("scenario", ["dau_spike", "dau_replay", "global_access", "live_group_cap"])
def test_users_of_the_month_are_counted_once(scenario: str, tmp_path: Path) -> None:
    plan = a_dry_run(tmp_path, scenario).plan
    made = [phase.make() for phase in plan.phases]
    logins = [arrivals.users[(arrivals.verbs == LOGIN) & (arrivals.sigs == GOOD_SIG)] for arrivals in made]
    come = {user for users in logins for user in users.tolist()}
    assert plan.monthly_users() == len(come)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"price_book": "2035"}, "--price-book '2035': choose one of 2020, 2021-08"),
        ({"price_book": "by-opening-day"}, "--price-book 'by-opening-day': no list is known of 2026-10-01"),
        ({"price_book": "cn-2019", "plan": "ultimate"}, "--price-book cn-2019: it has no plan ultimate"),
    ],
)
def test_a_price_list_that_there_is_not_is_refused(tmp_path: Path, changed: dict[str, str], says: str) -> None:
    with pytest.raises(WrongInputError, match=says):
        a_dry_run(tmp_path, **changed)


def test_what_only_another_server_knows_is_not_made_up(tmp_path: Path) -> None:
    theirs = a_dry_run(tmp_path, host="127.0.0.1:18080", control_token="t", price_book="ours")
    assert "bill      unknown" in theirs.text()


def test_an_app_that_exists_has_its_own_plan_and_list(tmp_path: Path) -> None:
    app = {"plan": "ultimate", "price_book": "2021-08"}
    text = a_dry_run(tmp_path, app=app, host="127.0.0.1:18080", control_token="t", sdkappid="1400000001").text()
    assert "plan ultimate" in text
    assert "bill      899.99 USD (price book 2021-08)" in text
    assert "creates   nothing new: app 1400000001 is there on http://127.0.0.1:18080" in text


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("dau_replay", ["over the gateway on 31 days", "as planned"]),
        (
            "live_group_cap",
            ["a cap of 50, live groups, and code 10036 beyond", "gateway and REST", "as fast as it goes"],
        ),
        ("account_cap", ["a peak of 100 DAU", "a cap of 100, accounts, and code 70398 beyond"]),
        ("group_overage", ["requests over the REST API", "300 groups", "at 5,000/s: this machine hardly reaches"]),
        ("call_trial", ["requests over the control API"]),
        ("global_access", ["over the gateway on 2 days", "a peak of 2,000 DAU"]),
        ("region_outage", ["trouble: access point busiest down at", "trouble: access point busiest up at"]),
    ],
)
def test_every_scenario_has_one(scenario: str, says: list[str], tmp_path: Path) -> None:
    text = a_dry_run(tmp_path, scenario).text()
    assert [words for words in says if words not in text] == []


@pytest.mark.parametrize("scenario", SMALL)
def test_what_is_known_before_the_plan_is_made_agrees_with_it(scenario: str, tmp_path: Path) -> None:
    looked_at = a_dry_run(tmp_path, scenario)
    made = [phase.make() for phase in looked_at.plan.phases]
    assert looked_at.load.doors == set(np.concatenate([arrivals.doors for arrivals in made]).tolist())
    # Of a small month the refused logins weigh more.
    assert looked_at.load.rows == pytest.approx(sum(map(len, made)), rel=0.15)


def test_a_slower_machine_takes_longer(tmp_path: Path) -> None:
    here = a_dry_run(tmp_path, peak_dau="30000")
    slow = replace(here, machine=replace(ROOMY, speed=0.25))
    assert slow.load.seconds(slow.machine) > here.load.seconds(here.machine)
    assert "hardly reaches the planned 25,000/s" in slow.text()


def test_more_users_need_more_of_everything_but_connections(tmp_path: Path) -> None:
    few, many = (a_dry_run(tmp_path, peak_dau=peak, baseline_dau="0").load.needs() for peak in ("1000", "50000"))
    assert (few.memory_bytes, few.disk_bytes) < (many.memory_bytes, many.disk_bytes)
    assert few.connections == many.connections == 29


def test_where_an_address_has_too_few_ports_connections_come_from_several(tmp_path: Path) -> None:
    made = a_dry_run(tmp_path, connections="per-user", workers=2)
    assert (made.load.connections, made.sources) == (200, [])

    narrow = replace(made, machine=replace(ROOMY, ports=150))
    assert narrow.lacks == ["ports: 200 are needed at once, 150 are there (net.ipv4.ip_local_port_range)"]

    local = replace(made, machine=replace(ROOMY, ports=150, addresses=64))
    assert local.lacks == []
    assert local.sources == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert "200 ports at once, each of 3 addresses has 150" in local.text()


def test_what_is_too_much_is_refused_in_one_line_before_it_is_made(tmp_path: Path) -> None:
    # Made, this plan would take a hundred gigabytes.
    huge = a_dry_run(tmp_path, peak_dau="50000000", baseline_dau="50000000")
    with pytest.raises(WrongInputError, match=r"^this machine cannot carry it: memory: .* disk: .*--try-anyway.*$"):
        huge.check()
    assert "too many for this machine to count them" in huge.text()
    a_dry_run(tmp_path).check()


def test_what_another_server_needs_is_not_looked_at(tmp_path: Path) -> None:
    ours, theirs = a_dry_run(tmp_path), a_dry_run(tmp_path, host="127.0.0.1:18080", control_token="t")
    assert theirs.load.needs().disk_bytes < ours.load.needs().disk_bytes
    assert "on http://127.0.0.1:18080" in theirs.text()


def test_nothing_is_written(tmp_path: Path) -> None:
    a_dry_run(tmp_path / "runs", dry_run=True).text()
    assert list(tmp_path.iterdir()) == []

"""The page: whole, self-contained, and the same bytes each time."""

import re
from pathlib import Path

import pytest

from analysis import report
from tests.analysis.judging import judged
from tests.analysis.plays import Play
from tests.analysis.roamers import Roamers, write
from tests.analysis.runs import a_recording, a_run, a_statement


def test_the_page_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert report.page(judged(run)) == report.page(judged(run))


def test_the_page_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    page = report.page(judged(a_run(tmp_path)))
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    assert not re.search(r'(src|xlink:href)="(?!#)', page)
    assert len(page.encode()) < 2_000_000


def test_ids_are_unique_on_the_page(tmp_path: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', report.page(judged(a_run(tmp_path))))
    assert len(ids) == len(set(ids))


def test_the_waterfall_leads_from_rows_to_cents(tmp_path: Path) -> None:
    steps = report.waterfall(judged(a_run(tmp_path, days={"2026-10-16": 20_001})).audit)
    figures = [step.figure for step in steps]
    assert figures[3:] == ["20,001", "20,001", "10,001", "2", "299.98"]
    assert steps[0].share == 1.0


def test_the_bill_under_other_readings_is_shown(tmp_path: Path) -> None:
    page = report.page(judged(a_run(tmp_path)))
    assert "billing days begin at midnight UTC" in page
    assert "price book 2021-08" in page


@pytest.mark.parametrize(
    ("plan", "days"),
    [
        ("trial", {}),
        ("trial", {"2026-10-01": 1}),
        ("trial", {"2026-10-31": 100}),
        ("pro", {}),
        ("pro", {"2026-10-01": 1}),
        ("pro", {"2026-10-31": 10_000}),
    ],
)
def test_small_months_have_a_page_too(tmp_path: Path, days: dict[str, int], plan: str) -> None:
    assert "Passed" in report.page(judged(a_run(tmp_path, days=days, plan=plan)))


def signs(page: str) -> list[str]:
    return re.findall(r'eyebrow">(\S \S+)</span>', page)


def test_a_witness_is_set_against_the_one_before(tmp_path: Path) -> None:
    assert signs(report.page(judged(a_run(tmp_path)))) == ["= ledger", "= journal", "= statement"]
    recording = a_recording()
    recording.journal = None
    recording.plan["days"][1] |= {"dau_min": 51, "dau_max": 51}
    assert signs(report.page(judged(recording.written(tmp_path, "other")))) == ["≠ ledger", "= statement"]


def test_a_count_within_the_plans_range_is_no_difference(tmp_path: Path) -> None:
    recording = a_recording()
    recording.plan["days"][1]["dau_max"] = 51
    assert signs(report.page(judged(recording.written(tmp_path)))) == ["= journal", "= statement"]


def test_groups_by_day_are_drawn_wide_and_narrow(tmp_path: Path) -> None:
    play = Play()
    play.create("g0")
    play.next_day()
    play.create("g1")
    page = report.page(judged(play.written(tmp_path)))
    assert page.count('class="groups-wide"') == page.count('class="groups-narrow"') == 1


def test_a_run_about_calls_shows_what_they_cost(tmp_path: Path) -> None:
    play = Play("trial")
    play.open_trial()
    play.start_call("long", {"user_0": "4k"})
    play.wait(7_200)
    play.end_call("long")
    page = report.page(judged(play.written(tmp_path)))
    assert "<b>0.00</b>" in page
    assert "groups at the peak" not in page


def test_findings_stand_on_the_page_escaped(tmp_path: Path) -> None:
    recording = a_recording()
    recording.statement = a_statement("2026-10", {}) | {"currency": "<b>"}
    page = report.page(judged(recording.written(tmp_path)))
    assert 'class="failed"' in page
    assert "the statement&#39;s currency is &lt;b&gt; instead of USD" in page


def test_a_run_without_plan_and_statement_has_a_page_with_its_findings(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run / "plan.json").unlink()
    (run / "statement.json").unlink()
    assert "plan.json is missing" in report.page(judged(run))


def an_outage(folder: Path) -> Path:
    play = Roamers()
    play.outage()
    return play.written(folder)


def test_a_run_about_access_points_shows_where_users_came_in(tmp_path: Path) -> None:
    run = an_outage(tmp_path)
    page = report.page(judged(run))
    assert page == report.page(judged(run))
    for said in ("60 routed, 0 at a wrong access point", "48 = 48", "as played", "36 of 48 users"):
        assert said in page
    for name in ("world", "load", "hours"):
        assert page.count(f'class="{name}-wide"') == page.count(f'class="{name}-narrow"') == 1
    assert "hour of the billing day, UTC+8" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert len(page.encode()) < 2_000_000


def test_wrong_logins_stand_on_the_page_escaped(tmp_path: Path) -> None:
    play = Roamers(8)
    play.homes = {f"<{user}>": home for user, home in play.homes.items()}
    for user in play.homes:
        play.come(user, "za")
    page = report.page(judged(play.written(tmp_path)))
    assert "8 at a wrong access point" in page
    assert "&lt;user_003&gt;" in page


def test_an_access_point_of_the_runs_own_may_have_any_name(tmp_path: Path) -> None:
    play = Roamers(8)
    play.all_come()
    access = play.access()
    strange = {**access["points"][0], "code": "x$\\frac$<", "name": "$\\frac{<b>}", "latitude": 52.5, "longitude": 13.4}
    access["points"].append(strange)
    for row in play.ledger:
        if row["city"] == "Berlin":
            row["access_point"] = strange["code"]
    page = report.page(judged(write(play.recording(), access, tmp_path)))
    assert "$\\frac{&lt;b&gt;}" in page


def test_a_run_about_access_points_in_which_nobody_came_has_a_page(tmp_path: Path) -> None:
    play = Roamers()
    play.come("user_000")
    recording = play.recording()
    recording.ledgers = [recording.ledgers[0].slice(0, 0)]
    assert "Where users came in" not in report.page(judged(write(recording, play.access(), tmp_path)))

"""Headroom, what set the peak, other readings, and what remains unproven."""

from pathlib import Path
from typing import Any

import pytest

from analysis import gates, outlook, report, verdict
from analysis.bills import Usage, bill
from analysis.gates import Gate
from analysis.headroom import headroom
from analysis.prices import price_books
from tests.analysis.judging import judged
from tests.analysis.plays import Play, a_race
from tests.analysis.runs import a_recording, a_run

BOOK = price_books()["2020"]


@pytest.mark.parametrize(
    ("peak", "units", "left", "filled", "last_from"),
    [
        (0, 0, 10_000, 0.0, None),
        (8_000, 0, 2_000, 0.8, None),
        (10_000, 0, 0, 1.0, None),
        (10_001, 1, 9_999, 0.0001, 10_001),
        (20_000, 1, 0, 1.0, 10_001),
        (20_001, 2, 9_999, 0.0001, 20_001),
        (1_000_000, 99, 0, 1.0, 990_001),
    ],
)
def test_headroom_at_and_around_the_edges(
    peak: int, units: int, left: int, filled: float, last_from: int | None
) -> None:
    room = headroom(bill(BOOK, "pro", Usage(peak_dau=peak)))[0]
    assert (room.item, room.units, room.left, room.last_unit_from) == ("dau", units, left, last_from)
    assert room.filled == pytest.approx(filled)
    assert room.next_unit_at == peak + left + 1
    assert room.next_unit_cents == 14_999
    assert room.last_unit_cents == (14_999 if units else 0)


def test_a_trial_and_a_unit_of_one_user_have_no_steps() -> None:
    assert headroom(bill(BOOK, "trial", Usage(peak_dau=90))) == []
    book = price_books()["2022-12"]
    assert "mau" not in {room.item for room in headroom(bill(book, "pro", Usage(monthly_users=12_345)))}


def test_the_day_and_the_hour_that_set_the_peak(tmp_path: Path) -> None:
    """By hand: three users on the 1st; on the 2nd one in the first hour and three in the sixth, one of these twice."""
    play = Play("pro")
    for user in ("a", "b", "c"):
        play.login(user)
    play.next_day()
    play.login("a")
    play.wait(5 * 3_600)
    for user in ("b", "c", "d", "b"):
        play.login(user)
    origin = judged(play.written(tmp_path)).outlook.origin
    assert origin
    assert (origin.day, origin.hour, origin.new_in_hour) == ("2026-10-02", 5, 3)
    assert (origin.unit_hour, origin.next_highest_dau, origin.day_cents) == (None, 3, 0)


def test_what_the_peak_day_alone_costs(tmp_path: Path) -> None:
    days = {"2026-10-15": 12_000, "2026-10-16": 30_001}
    found = judged(a_run(tmp_path, days=days)).outlook
    assert found.origin
    assert (found.origin.next_highest_dau, found.origin.day_cents) == (12_000, 2 * 14_999)
    assert found.origin.unit_hour == 23, "the last user of the day is the one that begins the third unit"
    assert found.sentences()[0].endswith("the next highest day had 12,000: this day alone costs 299.98 USD")
    assert found.sentences()[1].startswith(
        "9,999 more users on the peak day cost nothing, one more than that 149.99 USD"
    )


def test_each_other_reading_has_its_total_and_difference(tmp_path: Path) -> None:
    found = judged(a_run(tmp_path, days={"2026-10-16": 20_001})).outlook.document()["readings"]
    by_name = {row["reading"]: row for row in found}
    free = by_name["the app was opened in this month, which is free of the plan's fee"]
    assert (free["total_cents"], free["difference_cents"]) == (29_998, -14_999)
    assert by_name["price book 2021-08"]["difference_cents"] == 44_999 - 14_999 + 2 * (44_999 - 14_999)
    assert by_name["price book cn-2019"]["difference_cents"] is None
    assert by_name["billing days begin at midnight UTC"]["peak_dau"] < 20_001


def test_nothing_is_left_unproven_with_all_witnesses(tmp_path: Path) -> None:
    judgement = judged(a_run(tmp_path))
    assert judgement.outlook.unproven == []
    assert outlook.bill_is(judgement.audit) == "compared"


def _alone(recording: Any, folder: Path) -> Path:
    """As somebody's own system leaves it: a plan and a ledger."""
    recording.journal = recording.statement = None
    run: Path = recording.written(folder)
    return run


def test_a_run_against_ones_own_system_predicts_a_bill_and_says_what_it_cannot_know(tmp_path: Path) -> None:
    judgement = judged(_alone(a_recording(days={"2026-10-16": 20_001}), tmp_path))
    found = verdict.as_json(judgement)

    assert (found["outcome"], found["bill_is"]) == ("passed", "predicted")
    assert (found["peak_dau"], found["amount_cents"], found["headroom"][0]["left"]) == (20_001, 29_998, 9_999)
    assert [text.split(":")[0] for text in found["unproven"]] == [
        "what the server bills",
        "that the server counted nobody whom the ledger does not know, and each login on the day of its own clock",
        "the order in which the server took requests that overlap",
    ]
    assert verdict.text(judgement, "r").startswith("predicted: peak DAU 20,001 on 2026-10-16 · 2 units")
    for written in (verdict.summary(judgement), report.page(judgement)):
        assert "What remains unproven" in written
        assert "the amounts are what the ledger predicts by price book 2020" in written


def test_caps_without_a_journal_are_bounded_and_said_to_be_unproven(tmp_path: Path) -> None:
    found = verdict.as_json(judged(_alone(a_race().recording(), tmp_path)))

    assert found["outcome"] == "passed"
    (cap,) = [cap for cap in found["caps"] if cap["name"] == "live_groups"]
    assert (cap["over"], cap["refused_below"], cap["proven"]) == (0, 0, False)
    assert any(text.startswith("that the caps held (live groups") for text in found["unproven"])


def test_a_cap_that_did_not_hold_is_found_by_the_ledger_alone(tmp_path: Path) -> None:
    recording = a_race().recording()
    codes = recording.ledgers[0]["code"].to_pylist()
    recording.change_ledger("code", codes.index(10036), 0)
    found = verdict.as_json(judged(_alone(recording, tmp_path)))

    assert found["outcome"] == "failed"
    assert sum(cap["over"] for cap in found["caps"]) > 0


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("headroom.dau_left", 9_999),
        ("headroom.dau_next_unit_cents", 14_999),
        ("headroom.dau_filled", 0.0001),
        ("headroom.groups_left", 100_000),
        ("bill.groups_cents", 0),
        ("bill.calls_cents", 0),
    ],
)
def test_headroom_has_gates(tmp_path: Path, metric: str, value: float) -> None:
    audited = judged(a_run(tmp_path, days={"2026-10-16": 20_001})).audit
    (result,) = gates.evaluate([Gate(metric, "equals", value, "exact", is_warning=True)], audited)
    assert result.passed


@pytest.mark.parametrize("has_journal", [True, False])
def test_a_cap_has_a_gate_on_how_full_it_is(tmp_path: Path, *, has_journal: bool) -> None:
    recording = a_race().recording()
    audited = judged(recording.written(tmp_path) if has_journal else _alone(recording, tmp_path)).audit
    gate = Gate("caps.live_groups_filled", "at_most", 0.8, "exact", is_warning=True)
    (result,) = gates.evaluate([gate], audited)
    assert (result.value, result.passed, result.finding.severity) == (1.0, False, "warning")

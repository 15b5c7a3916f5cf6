"""Groups and calls: what every witness counts of them, and that they agree to the second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import loading, report, run_files, second_opinion, verdict, volumes
from analysis.audit import audit
from analysis.volumes import DayOfGroups, Range
from proofs.forging import changed
from tests.analysis.judging import codes, judged
from tests.analysis.plays import FIRST_DAY, Play, a_race
from tests.analysis.recordings import Recording


def a_month_of_groups() -> Play:
    """Two days of groups: five made and two destroyed, then one made and three destroyed."""
    play = Play("pro", peak_groups=[5, 5])
    for number in range(5):
        play.create(f"g{number}")
    play.destroy("g0")
    play.destroy("g1")
    play.next_day()
    play.live("g5")
    for number in range(2, 5):
        play.destroy(f"g{number}")
    return play


def a_month_of_calls() -> Play:
    """A call of two for 61 seconds, and one of three tiers for two hours."""
    play = Play("trial", call_seconds={"audio": 61 + 7_200, "hd": 61 + 7_200, "4k": 7_200})
    play.open_trial()
    play.start_call("short", {"user_0": "audio", "user_1": "hd"})
    play.wait(61)
    play.end_call("short")
    play.next_day()
    play.start_call("long", {"user_0": "4k", "user_1": "audio", "user_2": "hd"})
    play.wait(7_200)
    play.end_call("long")
    return play


def test_groups_are_counted_net_and_by_day(tmp_path: Path) -> None:
    judgement = judged(a_month_of_groups().written(tmp_path))
    assert judgement.findings == []
    counts = judgement.audit.counts
    assert counts.peak_groups == 5
    assert counts.journal_volume is not None
    assert counts.journal_volume.groups_by_day == {
        FIRST_DAY: DayOfGroups(made=5, destroyed=2, left=3),
        FIRST_DAY + 1: DayOfGroups(made=1, destroyed=3, left=1),
    }


def test_the_witnesses_say_peak_and_total(tmp_path: Path) -> None:
    found = verdict.as_json(judged(a_race().written(tmp_path)))
    witness = {"peak_dau": 5, "amount_cents": 0, "peak_groups": 50, "total_cents": 14_999}
    assert found["witnesses"] == dict.fromkeys(("plan", "ledger", "journal", "statement"), witness)
    assert found["peak_groups"] == 50


def test_a_plan_that_does_not_say_its_groups_says_nothing_of_the_total(tmp_path: Path) -> None:
    play = Play("pro")
    play.create("g")
    found = verdict.as_json(judged(play.written(tmp_path)))
    assert found["outcome"] == "passed"
    assert found["witnesses"]["plan"] == {
        "peak_dau": 0,
        "amount_cents": 0,
        "peak_groups": None,
        "total_cents": None,
    }


def test_a_run_of_groups_alone_is_told_by_its_groups(tmp_path: Path) -> None:
    lines = verdict.text(judged(a_month_of_groups().written(tmp_path)), "r").splitlines()
    assert lines[0] == "peak of groups 5 · 0 units × 149.99 = 0.00 USD, charged 2026-11-03"


def test_a_run_of_calls_alone_is_told_by_its_minutes(tmp_path: Path) -> None:
    judgement = judged(a_month_of_calls().written(tmp_path))
    assert judgement.findings == []
    # 7,261 seconds of audio and of HD are 122 minutes each, 7,200 of 4K are 120; all are free.
    assert verdict.text(judgement, "r").splitlines()[0] == "call minutes 364 · 0.00 USD"
    assert judgement.audit.counts.call_seconds == {"audio": 7_261, "hd": 7_261, "4k": 7_200}


def test_the_ledgers_seconds_are_bounded_by_what_the_clients_knew_of_the_clock(tmp_path: Path) -> None:
    recording = a_month_of_calls().recording()
    recording.change_ledger("app_after_ms", 2, recording.ledgers[0]["app_after_ms"][2].as_py() + 2_000)
    judgement = judged(recording.written(tmp_path))
    assert judgement.findings == []
    volume = judgement.audit.counts.ledger_volume
    assert volume.call_seconds["audio"] == Range(7_261, 7_263)
    assert judgement.audit.counts.call_seconds["audio"] == 7_261


def test_a_participant_who_changes_tier_or_leaves_is_counted_until_then(tmp_path: Path) -> None:
    play = Play("trial")
    play.start_call("call", {"user_0": "audio", "user_1": "hd"})
    play.wait(10)
    for user, tier in (("user_0", "2k"), ("user_1", None), ("user_2", "audio")):
        play.write("call_changed", text={"call_id": "call", "user_id": user, "tier": tier}, connection=0)
    play.wait(20)
    play.write("call_ended", text={"call_id": "call", "seconds": {"audio": 30, "hd": 10, "2k": 20}})
    play.saw("end_call", "", "call", 0)
    run = loading.load(play.written(tmp_path))
    assert run.journal is not None
    found = volumes.of_journal(run.journal, range(FIRST_DAY, FIRST_DAY + 31), 28_800_000)
    assert {tier: seconds.high for tier, seconds in found.call_seconds.items()} == {"audio": 30, "hd": 10, "2k": 20}
    assert volumes.call_ends(run.journal) == []


def test_a_call_over_the_end_of_a_month_is_split_there(tmp_path: Path) -> None:
    play = Play("trial")
    play.day = FIRST_DAY + 30
    play.second = 86_400 - 100
    play.start_call("call", {"user_0": "audio"})
    play.next_day()
    play.wait(50)
    play.end_call("call")
    run = loading.load(play.written(tmp_path))
    assert run.journal is not None
    month = range(FIRST_DAY, FIRST_DAY + 31)
    for days, seconds in ((month, 100), (range(month.stop, month.stop + 30), 50)):
        expected = {"audio": Range(seconds, seconds)}
        assert volumes.of_journal(run.journal, days, 28_800_000).call_seconds == expected
        assert volumes.of_ledger(run.ledger, run.journal, days, 28_800_000).call_seconds == expected


def test_a_call_that_runs_on_counts_to_the_end_of_the_month(tmp_path: Path) -> None:
    play = Play("trial")
    play.day = FIRST_DAY + 30
    play.second = 86_000
    play.start_call("call", {"user_0": "hd"})
    run = loading.load(play.written(tmp_path))
    assert run.journal is not None
    found = volumes.of_journal(run.journal, range(FIRST_DAY, FIRST_DAY + 31), 28_800_000)
    assert found.call_seconds == {"hd": Range(400, 400)}


def test_without_a_journal_the_seconds_are_the_plans_word_and_said_to_be_unproven(tmp_path: Path) -> None:
    recording = a_month_of_calls().recording()
    recording.journal = recording.statement = None
    judgement = judged(recording.written(tmp_path))
    assert judgement.outcome == "passed"
    assert "calls_unproven" in codes(judgement)
    assert judgement.audit.counts.call_seconds == {"audio": 7_261, "hd": 7_261, "4k": 7_200}


def _statement_adds_a_second(recording: Recording) -> None:
    assert recording.statement is not None
    recording.statement["call_seconds"]["audio"] += 1


def _statement_rounds_each_call_up(recording: Recording) -> None:
    assert recording.statement is not None
    line = next(line for line in recording.statement["lines"] if line["item"] == "call_audio")
    line |= {"quantity": 123, "free": 123}


def _plan_expects_a_second_more(recording: Recording) -> None:
    recording.plan["call_seconds"]["hd"] += 1


def _the_end_says_other_seconds(recording: Recording) -> None:
    assert recording.journal is not None
    row = recording.journal["kind"].to_pylist().index(29)
    text = json.loads(recording.journal["text"][row].as_py())
    text["seconds"]["audio"] += 1
    recording.journal = changed(recording.journal, "text", row, json.dumps(text))


def _a_participant_more_in_the_journal(recording: Recording) -> None:
    assert recording.journal is not None
    row = recording.journal["kind"].to_pylist().index(27)
    text = json.loads(recording.journal["text"][row].as_py())
    text["participants"].append({"user_id": "user_9", "tier": "audio"})
    recording.journal = changed(recording.journal, "text", row, json.dumps(text))


def _the_call_began_earlier_for_the_clients(recording: Recording) -> None:
    for column in ("app_before_ms", "app_after_ms"):
        recording.change_ledger(column, 3, recording.ledgers[0][column][3].as_py() - 1_000)


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        (_statement_adds_a_second, {"statement_differs"}),
        (_statement_rounds_each_call_up, {"bill_differs"}),
        (_plan_expects_a_second_more, {"call_seconds_differ"}),
        (_the_end_says_other_seconds, {"call_seconds_wrong"}),
        (_a_participant_more_in_the_journal, {"call_seconds_wrong", "call_seconds_differ", "statement_differs"}),
        (_the_call_began_earlier_for_the_clients, {"time_differs", "call_seconds_differ"}),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_planted_defect_of_calls_is_found(
    tmp_path: Path, defect: Callable[[Recording], None], expected: set[str]
) -> None:
    recording = a_month_of_calls().recording()
    defect(recording)
    judgement = judged(recording.written(tmp_path))
    assert judgement.outcome == "failed"
    assert expected <= codes(judgement)


def test_duckdb_finds_the_same_peak_and_says_so_when_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_month_of_groups().written(tmp_path)
    assert judged(run).findings == []
    monkeypatch.setattr(second_opinion, "journal_groups", lambda *_: 4)
    found = audit(loading.load(run)).findings
    assert [finding.code for finding in found] == ["implementations_differ"]


@pytest.mark.parametrize("play", [a_race, a_month_of_groups, a_month_of_calls])
def test_each_kind_of_run_has_a_page_of_the_same_bytes_each_time(tmp_path: Path, play: Callable[[], Play]) -> None:
    run = play().written(tmp_path)
    page = report.page(judged(run))
    assert page == report.page(judged(run))
    assert "Passed" in page


def test_the_page_shows_the_caps_and_the_groups(tmp_path: Path) -> None:
    page = report.page(judged(a_race().written(tmp_path)))
    for words in (
        "Caps, in both directions",
        "live groups: places taken",
        "✓ exact",
        "Groups by day",
        "raced for",
        "source of the caps",
        "groups are counted at 00:00 on the 1st of the next month",
    ):
        assert words in page


def test_the_page_of_a_ledger_alone_says_that_it_is_not_proof(tmp_path: Path) -> None:
    recording = a_race().recording()
    recording.journal = recording.statement = None
    page = report.page(judged(recording.written(tmp_path)))
    assert "necessary, not sufficient" in page
    assert "possibly taken" in page
    assert "not disproven" in page


def test_the_summary_has_the_caps_and_all_figures_of_the_witnesses(tmp_path: Path) -> None:
    text = verdict.summary(judged(a_race().written(tmp_path)))
    assert "| live groups | 50 | 50 | 53 | 73 | exact |" in text
    assert text.count("| 5 | 0.00 | 50 | 149.99 |") == 4


def test_a_gate_can_hold_a_run_to_its_caps(tmp_path: Path) -> None:
    rules: list[Any] = []
    for metric, value in (("caps.over", 0), ("caps.refused_below", 0), ("caps.refused", 73), ("groups.peak", 50)):
        rules.append(f'[[gate]]\nmetric = "{metric}"\nequals = {value}\nkind = "exact"\n')
    path = tmp_path / "gates.toml"
    path.write_text("\n".join(rules))
    from analysis import gates  # noqa: PLC0415 -- used by this test alone

    audited = audit(loading.load(a_race().written(tmp_path)))
    assert all(result.passed for result in gates.evaluate(gates.read(path), audited))
    assert (tmp_path / "a_run" / run_files.PLAN).is_file()

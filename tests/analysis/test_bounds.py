"""The cap audit by the ledger alone: it accuses no honest server, and where nothing overlaps it misses nothing."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import bounds, ledgers, run_files, second_opinion
from analysis.bounds import Asked, GroupBounds
from analysis.documents import PlannedQuota
from analysis.plans import CallTrial, Plans
from tests.analysis.judging import codes, judged
from tests.analysis.plays import FIRST_DAY, Play, a_race
from tests.analysis.test_caps import CountsDestroyed, OneTooFew, OneTooMany, cap_of
from tests.analysis.test_caps_replay import SMALL, Erratic

DAYS = range(FIRST_DAY, FIRST_DAY + 31)
OFFSET_MS = 28_800_000
RACED = [PlannedQuota("live_groups", 2, 10036), PlannedQuota("net_new_groups", 4, 10006)]
DATABASE = duckdb.connect()

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.sampled_from(["g0", "g1", "g2", "g3", "g4", "g5"])),
        st.tuples(st.just("destroy"), st.sampled_from(["g0", "g1", "g2", "g3", "g4", "g5"])),
        st.tuples(st.just("login"), st.sampled_from(["u0", "u1", "u2", "u3", "u4", "u5"])),
        st.tuples(st.just("delete"), st.sampled_from(["u0", "u1", "u2", "u3", "u4", "u5"])),
        st.tuples(st.just("next_day")),
    ),
    max_size=40,
)


@pytest.fixture
def small_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Plans(
        limits=SMALL,
        admins=("administrator",),
        community_members_per_group=100_000,
        sources=(),
        call_trial=CallTrial(60, 2),
    )
    monkeypatch.setattr(bounds, "plans", lambda: small)


def played(steps: Sequence[tuple[Any, ...]], errors: Sequence[int] = ()) -> Play:
    play = Play("trial", Erratic(list(errors)))
    for name, *values in steps:
        getattr(play, name)(*values)
    return play


def ledger_of(rows: list[dict[str, Any]]) -> ledgers.Ledger:
    return ledgers.of_table(pa.Table.from_pylist(rows, run_files.LEDGER_SCHEMA), [], {})


def overlapping(rows: list[dict[str, Any]], seed: int, lost: float = 0.0) -> list[dict[str, Any]]:
    """Widen each request around its instant, so that it overlaps with others of its day; lose some answers."""
    rng = random.Random(seed)
    wide = []
    for row in rows:
        spread = {
            "sent_us": row["sent_us"] - rng.randrange(400),
            "answered_us": row["answered_us"] + rng.randrange(400),
        }
        answer = row | spread
        if rng.random() < lost:
            answer |= dict.fromkeys(("answered_us", "app_after_ms", "code"))
        wide.append(answer)
    return wide


def peak_of(play: Play) -> int:
    change = [int(row["kind"] == 16) - int(row["kind"] == 18) for row in play.journal]
    return max(sum(change[:end]) for end in range(len(change) + 1))


@pytest.mark.usefixtures("small_plans")
@given(STEPS, st.integers(0, 10**6), st.sampled_from([0.0, 0.2]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_server_that_keeps_to_the_rules_is_never_accused(
    steps: list[tuple[Any, ...]], seed: int, lost: float
) -> None:
    ledger = ledger_of(overlapping(played(steps).ledger, seed, lost))
    for one in bounds.audited(ledger, "trial", RACED, OFFSET_MS):
        assert (one.over, one.below.tolist()) == (0, []), one.quota.name
        assert one.least <= one.limit


@pytest.mark.usefixtures("small_plans")
@given(STEPS, st.lists(st.sampled_from([0, 0, 1, -1]), max_size=60))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_where_nothing_overlaps_every_wrong_refusal_of_live_groups_is_found(
    steps: list[tuple[Any, ...]], errors: list[int]
) -> None:
    play = played(steps, errors)
    live: set[str] = set()
    most, below = 0, []
    for row in play.ledger:
        if row["verb"] == "create_group" and row["code"] == 0:
            live.add(row["group_id"])
        elif row["verb"] == "destroy_group" and row["code"] == 0:
            live.discard(row["group_id"])
        elif row["code"] == 10036 and len(live) < 2:
            below.append(row["row"])
        most = max(most, len(live))
    found = {one.quota.name: one for one in bounds.audited(ledger_of(play.ledger), "trial", RACED, OFFSET_MS)}
    one = found["live_groups"]
    assert (one.least, one.most, sorted(one.below.tolist())) == (most, most, below)
    assert bool(one.over) == (most > 2)


@pytest.mark.usefixtures("small_plans")
@given(STEPS, st.integers(0, 10**6), st.sampled_from([0.0, 0.0, 0.3]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_peak_lies_within_what_a_ledger_knows_and_duckdb_knows_the_same(
    steps: list[tuple[Any, ...]], seed: int, lost: float
) -> None:
    play = played(steps)
    ledger = ledger_of(overlapping(play.ledger, seed, lost))
    low, high = GroupBounds(Asked(ledger, OFFSET_MS)).peak(DAYS)
    assert low <= peak_of(play) <= high
    second_opinion.of_ledger(DATABASE, ledger.table, OFFSET_MS)
    assert second_opinion.ledger_groups(DATABASE, DAYS, OFFSET_MS) == (low, high)


def test_a_peak_of_a_later_month_begins_with_what_was_carried_into_it() -> None:
    play = Play("trial")
    for number in range(4):
        play.live(f"g{number}")
    play.destroy("g0")
    play.next_day()
    play.destroy("g1")
    ledger = ledger_of(play.ledger)
    later = range(FIRST_DAY + 1, FIRST_DAY + 31)
    assert GroupBounds(Asked(ledger, OFFSET_MS)).peak(later) == (3, 3)
    second_opinion.of_ledger(DATABASE, ledger.table, OFFSET_MS)
    assert second_opinion.ledger_groups(DATABASE, later, OFFSET_MS) == (3, 3)


# --- whole runs without a journal ---------------------------------------------------------------------


def without_journal(play: Play, folder: Path) -> Path:
    recording = play.recording()
    recording.journal = recording.statement = None
    return recording.written(folder)


def test_an_honest_race_without_a_journal_passes_and_says_what_remains_unproven(tmp_path: Path) -> None:
    judgement = judged(without_journal(a_race(), tmp_path))
    assert judgement.outcome == "passed"
    assert codes(judgement) == {"journal_absent", "statement_absent", "cap_bounds_only"}
    (text,) = (f.text for f in judgement.audit.findings if f.code == "cap_bounds_only")
    assert "necessary, not sufficient" in text
    cap = cap_of(judgement, "live_groups")
    assert (cap.reached, cap.refused, cap.verdict) == ("50", 73, "not disproven")


@pytest.mark.parametrize(
    ("server", "expected"),
    [(OneTooMany, "cap_exceeded"), (OneTooFew, "cap_refused_below"), (CountsDestroyed, "cap_refused_below")],
)
def test_a_servers_defect_shows_in_the_ledger_too(tmp_path: Path, server: type[OneTooMany], expected: str) -> None:
    judgement = judged(without_journal(a_race(server=server("pro")), tmp_path))
    assert judgement.outcome == "failed"
    assert expected in codes(judgement)


def test_an_overlap_hides_what_cannot_be_known(tmp_path: Path) -> None:
    """The fifty-first group may have come after one was destroyed, as both were on their way at once."""
    for wait_us, expected in ((0, {"cap_exceeded"}), (60, set())):
        play = Play("pro", OneTooMany("pro"), quotas=[{"name": "live_groups", "limit": 50, "refusal": 10036}])
        for number in range(51):
            play.live(f"g{number}")
        play.destroy("g0")
        play.ledger[50]["answered_us"] += wait_us
        found = codes(judged(without_journal(play, tmp_path / str(wait_us))))
        assert {code for code in found if code in ("cap_exceeded", "cap_refused_below")} == expected


def test_a_trials_accounts_and_users_are_judged_without_being_named_in_the_plan(tmp_path: Path) -> None:
    play = Play("trial")
    for number in range(102):
        play.login(f"user_{number}")
    play.delete("user_0")
    play.import_account("next")
    judgement = judged(without_journal(play, tmp_path))
    assert {cap.quota.name: cap.verdict for cap in judgement.audit.caps} == {
        "accounts": "not disproven",
        "dau": "not disproven",
    }
    assert cap_of(judgement, "accounts").reached == "100"


def test_what_a_ledger_cannot_judge_is_named(tmp_path: Path) -> None:
    quota = {"name": "members_per_group", "limit": 200, "refusal": 10038}
    play = Play("pro", quotas=[quota])
    play.live("g")
    found = judged(without_journal(play, tmp_path)).audit.findings
    assert any("nothing can be said of members_per_group" in finding.text for finding in found)


def test_an_open_range_of_the_peak_says_what_it_means_for_the_bill(tmp_path: Path) -> None:
    play = Play("pro")
    play.live("g0")
    play.destroy("g0")
    play.live("g1")
    play.ledger[1]["answered_us"] += 200
    judgement = judged(without_journal(play, tmp_path))
    (text,) = (f.text for f in judgement.audit.findings if f.code == "peak_groups_open")
    assert text.endswith("between 1 and 2, 0 units either way")

"""A run about access points: an honest one passes, and each forgery of where somebody came in turns it red."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analysis import run_files
from analysis.access import AccessAudit
from analysis.verdict import Verdict, as_json, summary, text
from proofs.forging import changed, renumbered, without_row
from tests.analysis import roamers
from tests.analysis.judging import codes, judged
from tests.analysis.roamers import DELHI, Roamers

KINDS = {name: number for number, name in enumerate(run_files.JOURNAL_KINDS)}


def an_outage(**options: Any) -> Roamers:
    play = Roamers(**options)
    play.outage()
    return play


def audited(verdict: Verdict) -> AccessAudit:
    assert verdict.audit.access is not None
    return verdict.audit.access


def spoilt(play: Roamers, folder: Path, *, access: dict[str, Any] | None = None, **files: Any) -> Verdict:
    """Judge a recording in which a test has changed something."""
    recording = play.recording()
    for name, change in files.items():
        value = getattr(recording, name)
        setattr(recording, name, [change(value[0])] if name == "ledgers" else change(value))
    return judged(roamers.write(recording, play.access() | (access or {}), folder))


def row_of(play: Roamers, **values: Any) -> int:
    return next(at for at, row in enumerate(play.ledger) if values.items() <= row.items())


def noted(play: Roamers, kind: str) -> int:
    return next(at for at, row in enumerate(play.journal) if row["kind"] == KINDS[kind])


# --- an honest run ----------------------------------------------------------------------------------------------


def test_an_outage_that_all_live_through_passes_and_is_described(tmp_path: Path) -> None:
    verdict = judged(an_outage().written(tmp_path))
    assert verdict.outcome == "passed", verdict.findings
    found = as_json(verdict)["access"]
    assert (found["routed"], found["wrong"], found["stale"], found["not_asked"]) == (60, 0, 0, 0)
    assert (found["users"], found["spilled_users"]) == (48, 12)
    by_code = {point["code"]: point for point in found["points"]}
    assert by_code["in"] == {
        "code": "in", "name": "India", "users": 12, "logins": 12, "resumes": 0, "first_choice_users": 12,
    }  # fmt: skip
    assert by_code["ae"]["users"] == 6 + 12, "from Mumbai and Delhi the Emirates are next"
    (outage,) = found["outages"]
    # The last of twelve came 1.2 ms after the call was answered; 99 % of twelve are twelve.
    assert outage == {
        "access_point": "in", "state": "down", "at": "2026-10-01 00:00", "lost_s": 0.0058, "until_s": 0.009,
        "sessions": 12, "users": 12, "online_again": 12, "recovery_s": 0.00325, "reconnects": 12,
        "storm_per_second": 12, "resumes_refused": 0, "dau": 48, "dau_planned": 48,
    }  # fmt: skip


def test_neither_a_resume_nor_a_second_login_changes_dau(tmp_path: Path) -> None:
    play = an_outage()
    play.come("user_000")
    verdict = judged(play.written(tmp_path))
    assert verdict.outcome == "passed"
    assert verdict.audit.peak is not None
    assert verdict.audit.peak.dau == 48


def test_the_summary_and_the_terminal_say_it_in_a_line(tmp_path: Path) -> None:
    verdict = judged(an_outage().written(tmp_path))
    for said in (summary(verdict), text(verdict, "report.html")):
        assert "all 60 logins and resumes at the access point that is due, by the great circle" in said
        assert "India lost with 12 sessions online: 99 % online elsewhere after 0.00 s" in said


def test_draining_moves_sessions_without_cutting_them(tmp_path: Path) -> None:
    play = Roamers()
    play.all_come()
    drained = [user for user, point in play.at.items() if point == "kr"]
    play.change("kr", "draining")
    for user in drained:
        play.resume(user)
    verdict = judged(play.written(tmp_path))
    assert verdict.outcome == "passed", verdict.findings
    (outage,) = audited(verdict).outages
    assert (outage.state, outage.sessions, outage.until_us) == ("draining", 6, None)
    assert outage.recovery_us is not None


def test_half_capacity_spills_users_by_their_numbers_and_costs_regret(tmp_path: Path) -> None:
    play = Roamers(400)
    play.change("in", capacity=0.5)
    play.all_come()
    verdict = judged(play.written(tmp_path))
    assert verdict.outcome == "passed", verdict.findings
    found = audited(verdict)
    assert found.outages == ()
    assert 15 <= found.spilled_users <= 45, "30 % of the hundred in India"
    played = next(regret for regret in found.regrets if regret.is_played)
    assert played.users_ratio == pytest.approx(found.spilled_users / 400)
    assert played.p50_ms == 0 < played.mean_ms < played.p99_ms


@pytest.mark.parametrize("policy", ["great_circle", "latency_table", "client_probe"])
def test_every_policy_is_judged_and_priced_against_the_table(policy: str, tmp_path: Path) -> None:
    table = {"KR": {"jp": 12.0}, "IN/Delhi": {"sg": 11.0}}
    probes = {home: {"us": 20.0, "jp": 25.0} for home in roamers.HOMES}
    verdict = judged(an_outage(policy=policy, latency_table=table, probes=probes).written(tmp_path))
    assert verdict.outcome == "passed", verdict.findings
    regrets = {regret.policy: regret for regret in audited(verdict).regrets}
    assert [name for name, regret in regrets.items() if regret.is_played] == [policy]
    assert regrets["latency_table"].mean_ms == 0
    assert 0 < regrets["great_circle"].mean_ms < regrets["client_probe"].mean_ms


def test_gates_may_be_set_on_routing(tmp_path: Path) -> None:
    play = an_outage()
    play.come("user_000", "za")
    (tmp_path / "gates.toml").write_text(
        "\n".join(
            f'[[gate]]\nmetric = "routing.{name}"\n{bound}\nkind = "exact"'
            for name, bound in {
                "wrong_point": "equals = 0",
                "judged": "equals = 61",
                "recovery_s": "at_most = 0.004",
                "storm_per_second": "equals = 12",
                "resumes_refused": "equals = 0",
                "regret_mean_ms": "at_most = 1",
                "spilled_ratio": "at_most = 0.3",
            }.items()
        )
    )
    found = {result.gate.metric: result for result in judged(play.written(tmp_path), tmp_path / "gates.toml").gates}
    failed = {name for name, result in found.items() if not result.passed}
    assert failed == {"routing.wrong_point", "routing.regret_mean_ms"}
    assert found["routing.wrong_point"].value == 1


# --- forgeries --------------------------------------------------------------------------------------------------


def test_a_login_at_the_second_nearest_point_turns_red_and_is_named(tmp_path: Path) -> None:
    play = an_outage()
    row = row_of(play, city="Busan")
    verdict = spoilt(play, tmp_path, ledgers=lambda table: changed(table, "access_point", row, "jp"))
    assert verdict.outcome == "failed"
    assert {"wrong_access_point", "access_point_differs"} <= codes(verdict)
    (wrong,) = as_json(verdict)["access"]["wrong_logins"]
    assert (wrong["city"], wrong["access_point"], wrong["belongs_to"]) == ("Busan", "jp", "kr")
    assert wrong["extra_ms"] == pytest.approx((974 - 325) * 0.022, abs=1)
    (text,) = (finding.text for finding in verdict.findings if finding.code == "wrong_access_point")
    assert "from KR/Busan at version 1 at jp, not kr" in text


def test_a_server_that_gives_the_second_nearest_point_turns_red_by_the_oracle_alone(tmp_path: Path) -> None:
    play = Roamers()
    for user in play.homes:
        play.come(user, "jp" if play.homes[user] == "KR/Busan" else "")
    verdict = judged(play.written(tmp_path))
    assert codes(verdict) == {"wrong_access_point"}
    assert audited(verdict).wrong == 6


def test_a_login_by_a_wrong_version_turns_red(tmp_path: Path) -> None:
    play = an_outage()
    row = row_of(play, city="Delhi", verb="resume")
    verdict = spoilt(play, tmp_path, ledgers=lambda table: changed(table, "routing_version", row, 1))
    assert "wrong_access_point" in codes(verdict), "with every point up Delhi belongs to India"


def test_a_login_of_another_user_turns_red_where_capacity_is_short(tmp_path: Path) -> None:
    play = Roamers(80)
    play.change("in", capacity=0.5)
    play.all_come()
    homes = [user for user, home in play.homes.items() if home == DELHI]
    there, elsewhere = ([user for user in homes if (play.at[user] == "in") is wanted] for wanted in (True, False))
    row = row_of(play, user_id=there[0])
    verdict = spoilt(play, tmp_path, ledgers=lambda table: changed(table, "user_id", row, elsewhere[0]))
    assert "wrong_access_point" in codes(verdict)


def test_a_resume_that_is_counted_turns_red(tmp_path: Path) -> None:
    play = an_outage()
    resumed = noted(play, "resumed")
    verdict = spoilt(play, tmp_path, journal=lambda table: changed(table, "counted_day", resumed, play.day))
    assert "counted_day_wrong" in codes(verdict)


def test_a_resume_that_is_called_a_login_turns_red(tmp_path: Path) -> None:
    play = an_outage()
    row = row_of(play, verb="resume")
    verdict = spoilt(play, tmp_path, ledgers=lambda table: changed(table, "verb", row, "login"))
    assert "verb_differs" in codes(verdict)


def test_a_connection_at_another_point_than_the_ledger_says_turns_red(tmp_path: Path) -> None:
    play = an_outage()
    at = noted(play, "connected")
    name = play.journal[at]["text"].split()[0]
    verdict = spoilt(play, tmp_path, journal=lambda table: changed(table, "text", at, f"{name} za"))
    # The first connection of a play is nobody's.
    assert "access_point_differs" not in codes(verdict)
    at = next(number for number, row in enumerate(play.journal) if str(row["text"]).endswith(" in"))
    name = play.journal[at]["text"].split()[0]
    verdict = spoilt(play, tmp_path / "other", journal=lambda table: changed(table, "text", at, f"{name} za"))
    assert codes(verdict) == {"access_point_differs"}


def test_a_user_who_is_let_in_at_a_lost_point_turns_red(tmp_path: Path) -> None:
    play = Roamers()
    play.all_come()
    trunk = play.trunks["in"]
    (user, *_) = play.change("in", "down")
    play.trunks["in"] = trunk
    play.resume(user, "in")
    verdict = judged(play.written(tmp_path))
    assert {"wrong_access_point", "login_at_lost_point"} <= codes(verdict)
    del play.trunks["in"]
    play.resume(user, "in")
    assert "connected_to_lost_point" in codes(judged(play.written(tmp_path / "new")))


def test_a_login_that_was_under_way_when_its_point_was_lost_may_have_been_counted(tmp_path: Path) -> None:
    play = Roamers()
    play.all_come()
    trunk = play.trunks["in"]
    play.come("user_000")
    sent = play.ledger[-1]
    sent |= dict.fromkeys(("answered_us", "app_after_ms", "code"))
    written = play.journal.pop()
    lost = play.change("in", "down")
    cut = play.journal.pop()
    for row in (written, cut):
        play.journal.append(row | {"seq": len(play.journal) + 1})
    play.ask("login", "user_000", kind="repeat", row=99_999)
    for user in lost:
        if user != "user_000":
            play.resume(user)
    verdict = judged(play.written(tmp_path))
    assert verdict.outcome == "passed", verdict.findings
    # Had it been answered, somebody would have been let in at a lost point.
    sent |= {"answered_us": sent["sent_us"] + 5_000, "app_after_ms": sent["app_before_ms"], "code": 0}
    assert trunk.point == "in"
    assert "login_at_lost_point" in codes(judged(play.written(tmp_path / "answered")))


@pytest.mark.parametrize("where", ["before all", "after all"])
def test_a_loss_that_the_journal_puts_elsewhere_turns_red(where: str, tmp_path: Path) -> None:
    play = an_outage()
    lost = noted(play, "access_changed")

    def moved(journal: pa.Table) -> pa.Table:
        rest, row = without_row(journal, lost), journal.slice(lost, 1)
        at = 2 if where == "before all" else rest.num_rows
        return renumbered(pa.concat_tables([rest.slice(0, at), row, rest.slice(at)]))

    verdict = spoilt(play, tmp_path, journal=moved)
    assert "access_change_out_of_order" in codes(verdict)


def test_changes_that_only_one_side_knows_turn_red(tmp_path: Path) -> None:
    play = an_outage()
    verdict = spoilt(play, tmp_path, access={"changes": play.changes[:1]})
    assert "access_change_unasked" in codes(verdict)
    made_up = {**play.changes[-1], "version": 9, "code": "jp", "state": "down"}
    verdict = spoilt(play, tmp_path / "other", access={"changes": [*play.changes, made_up]})
    assert "access_change_missing" in codes(verdict)


def test_another_choice_than_the_servers_turns_red(tmp_path: Path) -> None:
    verdict = spoilt(an_outage(), tmp_path, access={"pin": ["in", "ae", "kr", "de", "br", "ca", "ng", "us"]})
    assert "routing_differs" in codes(verdict)


def test_points_that_are_not_ours_turn_red_and_added_ones_are_said(tmp_path: Path) -> None:
    play = an_outage()
    points = play.access()["points"]
    lima = {**points[0], "code": "pe", "name": "Peru", "latitude": -12.04, "longitude": -77.03}
    verdict = spoilt(play, tmp_path, access={"points": [*points, lima]})
    assert verdict.outcome == "passed"
    assert codes(verdict) == {"access_points_added"}
    moved = [{**point, "latitude": 0.0} if point["code"] == "no" else point for point in points]
    verdict = spoilt(play, tmp_path / "moved", access={"points": moved[:-1]})
    assert codes(verdict) == {"access_points_differ"}


def test_a_resume_that_is_refused_in_the_storm_turns_red(tmp_path: Path) -> None:
    play = Roamers()
    play.all_come()
    (first, *others) = play.change("in", "down")
    play.resume(first, code=60007)
    for user in (first, *others):
        play.resume(user)
    verdict = judged(play.written(tmp_path))
    assert "resume_refused" in codes(verdict)
    assert audited(verdict).outages[0].resumes_refused == 1


def test_users_who_stay_away_are_said_and_leave_no_recovery(tmp_path: Path) -> None:
    play = Roamers()
    play.all_come()
    for user in play.change("in", "down")[1:]:
        play.resume(user)
    verdict = judged(play.written(tmp_path))
    assert codes(verdict) == {"session_not_online_again"}
    (outage,) = audited(verdict).outages
    assert (outage.sessions, outage.online_again, outage.recovery_us) == (12, 11, None)


def test_a_user_who_follows_an_old_answer_is_counted(tmp_path: Path) -> None:
    play = an_outage()
    table = play.recording().ledgers[0]
    play.come("user_001")
    play.ledger[-1] |= {"access_point": "ae", "routing_version": play.changes[0]["version"]}
    play.ledger[-1]["connection"] = play.trunks["ae"].instance_id
    play.trunks["ae"].seq += 1
    play.ledger[-1]["request_seq"] = play.trunks["ae"].seq
    play.journal[-1] |= {"connection": play.trunks["ae"].number, "request_seq": play.trunks["ae"].seq}
    assert table.num_rows == 60
    verdict = judged(play.written(tmp_path))
    assert verdict.outcome == "passed", "by the version that it names it is right"
    assert audited(verdict).stale == 1


# --- what cannot be known -----------------------------------------------------------------------------------------


def test_without_measurements_a_run_of_probes_is_unproven_but_a_lost_point_is_still_wrong(tmp_path: Path) -> None:
    probes = {home: {"us": 20.0} for home in roamers.HOMES}
    play = an_outage(policy="client_probe", probes=probes)
    verdict = spoilt(play, tmp_path, access={"probes": {}})
    assert verdict.outcome == "passed", verdict.findings
    assert audited(verdict).routed == 0
    assert any("what clients measured" in text for text in verdict.outlook.unproven)
    verdict = spoilt(play, tmp_path / "pinned", access={"probes": {}, "pin": ["de"]})
    assert "access_point_not_offered" in codes(verdict)


def test_the_table_of_a_foreign_server_is_unknown(tmp_path: Path) -> None:
    play = an_outage(policy="latency_table")
    recording = play.recording()
    recording.manifest = {"server": {"kind": "given"}}
    verdict = judged(roamers.write(recording, play.access(), tmp_path))
    assert any("measured round trips of its own" in text for text in verdict.outlook.unproven)


def test_a_ledger_alone_is_judged_and_says_what_it_cannot_know(tmp_path: Path) -> None:
    play = an_outage()
    recording = play.recording()
    recording.journal = recording.statement = None
    verdict = judged(roamers.write(recording, play.access(), tmp_path))
    assert verdict.outcome == "passed"
    assert audited(verdict).routed == 60
    assert any("let in at a lost access point" in text for text in verdict.outlook.unproven)


@pytest.mark.parametrize(
    ("column", "value"), [("city", "Atlantis"), ("country", "ZZ"), ("access_point", "nowhere"), ("routing_version", 0)]
)
def test_rows_of_unknown_places_points_and_versions_are_counted(column: str, value: Any, tmp_path: Path) -> None:
    verdict = spoilt(an_outage(), tmp_path, ledgers=lambda table: changed(table, column, 0, value))
    assert audited(verdict).routed == 59
    assert any("where 1 row of the ledger belonged" in text for text in verdict.outlook.unproven)


def test_what_did_not_ask_dispatch_is_not_judged(tmp_path: Path) -> None:
    verdict = spoilt(an_outage(), tmp_path, ledgers=lambda table: changed(table, "routing_version", 0, None))
    assert (audited(verdict).routed, audited(verdict).not_asked) == (59, 1)
    assert verdict.outcome == "passed"


# --- the file itself ----------------------------------------------------------------------------------------------


def test_a_lost_or_broken_access_json_makes_the_run_invalid(tmp_path: Path) -> None:
    play = an_outage()
    run = roamers.write(play.recording(), None, tmp_path)
    assert codes(judged(run)) == {"access_missing"}
    for content, code in (
        ("{", "access_unreadable"),
        (json.dumps(play.access() | {"policy": "dice"}), "access_unreadable"),
        (json.dumps(play.access() | {"format": 2}), "access_format"),
    ):
        (run / run_files.ACCESS).write_text(content)
        verdict = judged(run)
        assert codes(verdict) == {code}
        assert verdict.outcome == "invalid"
        assert as_json(verdict)["access"] is None


def test_a_run_in_which_nobody_came_has_nothing_to_say(tmp_path: Path) -> None:
    play = Roamers()
    play.come("user_000")
    recording = play.recording()
    recording.ledgers = [recording.ledgers[0].slice(0, 0)]
    found = audited(judged(roamers.write(recording, play.access(), tmp_path)))
    assert (found.routed, found.users, found.loads, found.regrets) == (0, 0, (), ())

"""A healthy run passes without a finding; every planted defect turns the audit red."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis import run_files
from proofs.forging import changed, renumbered, rewrite_manifest, without_row, write_journal
from tests.analysis.judging import codes, judged
from tests.analysis.recordings import Recording
from tests.analysis.runs import a_recording, a_run, a_statement

DAYS = {"2026-10-01": 30, "2026-10-02": 50}
LOGGED_IN = 5


def test_a_healthy_run_passes_without_a_finding(tmp_path: Path) -> None:
    verdict = judged(a_run(tmp_path))
    assert verdict.findings == []
    assert verdict.outcome == "passed"


def test_four_workers_and_a_journal_in_small_batches_pass_too(tmp_path: Path) -> None:
    recording = a_recording(workers=4)
    recording.batch_rows = 7
    assert judged(recording.written(tmp_path)).findings == []


@pytest.mark.parametrize(
    ("peak", "units", "cents"),
    [(9_999, 0, 0), (10_000, 0, 0), (10_001, 1, 14_999), (20_000, 1, 14_999), (20_001, 2, 29_998)],
)
def test_all_witnesses_agree_at_the_edges_of_a_tier(tmp_path: Path, peak: int, units: int, cents: int) -> None:
    verdict = judged(a_run(tmp_path, days={"2026-10-07": peak, "2026-10-08": 40}))
    assert verdict.findings == []
    assert verdict.audit.bill is not None
    assert (verdict.audit.bill.dau_units, verdict.audit.bill.dau_cents) == (units, cents)


def test_the_first_of_two_peak_days_is_the_peak_day(tmp_path: Path) -> None:
    verdict = judged(a_run(tmp_path, days={"2026-10-05": 40, "2026-10-09": 40}))
    assert verdict.findings == []
    assert verdict.audit.peak is not None
    assert verdict.audit.peak.day == 20_731  # 2026-10-05


def test_days_beside_the_month_count_for_no_bill_of_it(tmp_path: Path) -> None:
    recording = a_recording({"2026-10-31": 30, "2026-11-01": 60})
    recording.statement = a_statement("2026-10", {"2026-10-31": 30})
    verdict = judged(recording.written(tmp_path))
    assert verdict.findings == []
    assert verdict.audit.peak is not None
    assert verdict.audit.peak.dau == 30


def test_a_month_in_which_nobody_logged_in_costs_the_plan_fee(tmp_path: Path) -> None:
    verdict = judged(a_run(tmp_path, days={}))
    assert verdict.findings == []
    assert verdict.audit.bill is not None
    assert verdict.audit.bill.total_cents == 14_999


def test_a_trial_has_no_overage_line(tmp_path: Path) -> None:
    assert judged(a_run(tmp_path, plan="trial")).findings == []


# --- completeness: the run is invalid ---------------------------------------------------------------


def test_a_dropped_ledger_row_is_noticed_by_manifest_and_plan(tmp_path: Path) -> None:
    recording = a_recording()
    run = recording.written(tmp_path)
    manifest = json.loads((run / run_files.MANIFEST).read_text())
    recording.ledgers[0] = without_row(recording.ledgers[0], 17)
    forged = recording.written(tmp_path, "forged")
    (forged / run_files.MANIFEST).write_text(json.dumps(manifest))
    verdict = judged(forged)
    assert verdict.outcome == "invalid"
    assert {"ledger_rows_differ", "ledger_changed", "ledger_rows_missing"} <= codes(verdict)


def test_a_dropped_ledger_row_is_noticed_although_the_manifest_was_mended(tmp_path: Path) -> None:
    recording = a_recording()
    recording.ledgers[0] = without_row(recording.ledgers[0], 17)
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "invalid"
    assert {"ledger_rows_missing", "journal_row_unasked"} <= codes(verdict)


def test_a_repeated_ledger_row_is_noticed(tmp_path: Path) -> None:
    recording = a_recording()
    ledger = recording.ledgers[0]
    recording.ledgers[0] = pa.concat_tables([ledger, ledger.slice(3, 1)])
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "invalid"
    assert {"ledger_rows_repeated", "request_id_repeated"} <= codes(verdict)


def test_a_dropped_journal_row_breaks_chain_and_sequence(tmp_path: Path) -> None:
    recording = a_recording()
    run = recording.written(tmp_path)
    write_journal(run, without_row(recording.journal_with_close(), 40))
    verdict = judged(run)
    assert verdict.outcome == "invalid"
    assert {"journal_gap", "journal_differs_from_manifest", "journal_row_missing"} <= codes(verdict)


def test_a_dropped_journal_row_is_noticed_although_chain_and_manifest_were_forged(tmp_path: Path) -> None:
    recording = a_recording()
    run = recording.written(tmp_path)
    table = renumbered(without_row(recording.journal_with_close(), 40))
    rewrite_manifest(run, journal=write_journal(run, table))
    verdict = judged(run)
    assert verdict.outcome == "failed"
    assert "journal_row_missing" in codes(verdict)


def test_a_changed_byte_in_the_journal_breaks_the_chain(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (path,) = (run / run_files.JOURNAL_FOLDER).iterdir()
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    verdict = judged(run)
    assert verdict.outcome == "invalid"
    assert "journal_chain_broken" in codes(verdict)


@pytest.mark.parametrize("folder", [run_files.LEDGER_FOLDER, run_files.JOURNAL_FOLDER])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_file_is_a_finding_that_names_it(tmp_path: Path, folder: str, share: float) -> None:
    recording = a_recording()
    recording.batch_rows = 20
    run = recording.written(tmp_path)
    (path,) = (run / folder).iterdir()
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    verdict = judged(run)
    assert verdict.outcome == "invalid"
    if share:
        assert any(path.name in finding.text for finding in verdict.findings)


def test_an_unknown_outcome_makes_the_run_invalid_and_bounds_the_peak(tmp_path: Path) -> None:
    recording = a_recording({"2026-10-01": 10_001})
    ledger = recording.ledgers[0]
    kinds = ledger["kind"].to_pylist()
    users = ledger["user_id"].to_pylist()
    row = next(n for n, kind in enumerate(kinds) if kind == "first" and users.count(users[n]) == 1)
    for column in ("answered_us", "app_after_ms", "code"):
        recording.change_ledger(column, row, None)
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "invalid"
    (text,) = (f.text for f in verdict.audit.findings if f.code == "outcome_unknown")
    assert "between 10,000 and 10,001 DAU, which crosses a tier edge (0 to 1 units)" in text


def test_a_request_that_was_never_sent_makes_the_run_invalid(tmp_path: Path) -> None:
    recording = a_recording()
    for column in ("sent_us", "answered_us", "app_before_ms", "app_after_ms", "code"):
        recording.change_ledger(column, 5, None)
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "invalid"
    assert "request_unsent" in codes(verdict)


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        ({"complete": False}, "manifest_incomplete"),
        ({"workers_expected": 2}, "worker_missing"),
        ({"problems": [{"code": "worker_lost", "text": "worker 1 stopped"}]}, "worker_lost"),
        ({"format": 2}, "manifest_format"),
        ({"workers": "two"}, "manifest_unreadable"),
    ],
)
def test_what_the_manifest_admits_makes_the_run_invalid(tmp_path: Path, manifest: dict[str, Any], code: str) -> None:
    run = a_run(tmp_path)
    rewrite_manifest(run, **manifest)
    verdict = judged(run)
    assert verdict.outcome == "invalid"
    assert code in codes(verdict)


def test_an_unfinished_run_is_invalid(tmp_path: Path) -> None:
    verdict = judged(a_recording().written(tmp_path, "a_run.partial"))
    assert verdict.outcome == "invalid"
    assert codes(verdict) == {"run_partial"}


@pytest.mark.parametrize("name", [run_files.PLAN, run_files.MANIFEST, run_files.STATEMENT])
@pytest.mark.parametrize("content", [None, "{", "\xff"])
def test_a_missing_or_broken_document_is_a_finding(tmp_path: Path, name: str, content: str | None) -> None:
    run = a_run(tmp_path)
    path = run / name
    path.unlink() if content is None else path.write_bytes(content.encode("latin-1"))
    verdict = judged(run)
    assert verdict.outcome == "invalid"
    assert any(path.stem in code for code in codes(verdict))


# --- arithmetic: the witnesses differ ----------------------------------------------------------------


def _billing_days_in_utc(recording: Recording) -> None:
    """Logins between 00:00 and 08:00 of UTC+8 count for the day before."""
    assert recording.journal is not None
    table = recording.journal
    days = np.where(table["counted_day"].to_numpy() < 0, -1, table["time_ms"].to_numpy() // 86_400_000)
    at = table.schema.get_field_index("counted_day")
    field = table.schema.field("counted_day")
    recording.journal = table.set_column(at, field, pa.array(days, pa.int32()))
    found, counts = np.unique(days[days >= 0], return_counts=True)
    daily = {str(np.datetime64(int(d), "D")): int(n) for d, n in zip(found, counts, strict=True)}
    recording.statement = a_statement("2026-10", daily)


def _billing_days_in_utc_in_the_statement_alone(recording: Recording) -> None:
    recording.statement = a_statement("2026-10", {"2026-09-30": 10, **DAYS, "2026-10-01": 41})


def _devices_counted(recording: Recording) -> None:
    recording.statement = a_statement("2026-10", {"2026-10-01": 31, "2026-10-02": 52})


def _one_unit_more(recording: Recording) -> None:
    recording.statement = a_statement("2026-10", DAYS, units=1)


def _charged_on_the_fourth(recording: Recording) -> None:
    recording.statement = a_statement("2026-10", DAYS, charge_day=4)


def _never_charged(recording: Recording) -> None:
    recording.statement = a_statement("2026-10", DAYS) | {"charged_on": None, "charged_at_ms": None}


def _other_price_book(recording: Recording) -> None:
    statement = a_statement("2026-10", DAYS)
    statement["price_book"] = statement["price_book"] | {"name": "2021-08"}
    recording.statement = statement


def _dearer_unit(recording: Recording) -> None:
    statement = a_statement("2026-10", DAYS)
    dau = statement["price_book"]["dau"] | {"unit_price": 44_999_000}
    statement["price_book"] = statement["price_book"] | {"dau": dau}
    recording.statement = statement


def _total_off_by_a_cent(recording: Recording) -> None:
    assert recording.statement is not None
    recording.statement["total_cents"] += 1


def _peak_on_another_day(recording: Recording) -> None:
    assert recording.statement is not None
    recording.statement["peak_day"] = "2026-10-03"


def _other_app(recording: Recording) -> None:
    assert recording.statement is not None
    recording.statement["sdkappid"] = 1


def _second_user_of_a_number(recording: Recording) -> None:
    assert recording.journal is not None
    rows = [n for n, name in enumerate(recording.journal["user_id"].to_pylist()) if name]
    users = recording.journal["user"].to_pylist()
    first, second = [n for n in rows if users[n]][:2]
    recording.journal = changed(recording.journal, "user", second, users[first])


def _row(recording: Recording, *, kind: int, nth: int) -> int:
    assert recording.journal is not None
    return int(np.flatnonzero(recording.journal["kind"].to_numpy() == kind)[nth])


def _last_second_counted_on_the_next_day(recording: Recording) -> None:
    """A login of 23:59:59 counts for the day that begins a second later."""
    assert recording.journal is not None
    days = recording.journal["counted_day"].to_numpy()
    seconds = (recording.journal["time_ms"].to_numpy() + 28_800_000) % 86_400_000 // 1_000
    (row,) = np.flatnonzero((days > 0) & (seconds == 86_399))[:1]
    recording.journal = changed(recording.journal, "counted_day", int(row), int(days[row]) + 1)


def _refused_login_counted(recording: Recording) -> None:
    assert recording.journal is not None
    row = _row(recording, kind=6, nth=0)
    day = int(recording.journal["counted_day"].to_numpy().max())
    recording.journal = changed(recording.journal, "counted_day", row, day)


def _second_login_counted(recording: Recording) -> None:
    assert recording.journal is not None
    kinds, days = (recording.journal[c].to_numpy() for c in ("kind", "counted_day"))
    (row,) = np.flatnonzero((kinds == LOGGED_IN) & (days < 0))[:1]
    recording.journal = changed(recording.journal, "counted_day", int(row), int(days.max()))


def _refusal_seen_as_success(recording: Recording) -> None:
    codes_of = recording.ledgers[0]["code"].to_pylist()
    recording.change_ledger("code", next(n for n, c in enumerate(codes_of) if c), 0)


def _other_user_in_the_ledger(recording: Recording) -> None:
    recording.change_ledger("user_id", 4, "user_000009999")


def _time_outside_the_clients_knowledge(recording: Recording) -> None:
    assert recording.journal is not None
    row = _row(recording, kind=LOGGED_IN, nth=3)
    time_ms = recording.journal["time_ms"][row].as_py()
    recording.journal = changed(recording.journal, "time_ms", row, time_ms - 1)


def _order_of_the_journal_violated(recording: Recording) -> None:
    """Two rows that were one after the other for the clients stand the other way round."""
    assert recording.journal is not None
    first, last = (_row(recording, kind=LOGGED_IN, nth=0), _row(recording, kind=LOGGED_IN, nth=29))
    order = np.arange(recording.journal.num_rows)
    order[[first, last]] = order[[last, first]]
    recording.journal = renumbered(recording.journal.take(pa.array(order)))


def _login_that_nobody_asked_for(recording: Recording) -> None:
    assert recording.journal is not None
    row = recording.journal.slice(_row(recording, kind=LOGGED_IN, nth=0), 1)
    row = changed(changed(row, "request_seq", 0, 999_999), "counted_day", 0, -1)
    row = changed(row, "user_id", 0, None)
    recording.journal = renumbered(pa.concat_tables([recording.journal, row]))


def _played_on_another_day(recording: Recording) -> None:
    planned = recording.ledgers[0]["planned_app_ms"][0].as_py()
    recording.change_ledger("planned_app_ms", 0, planned + 86_400_000)


DEFECTS: list[tuple[Callable[[Recording], None], set[str]]] = [
    (_billing_days_in_utc, {"counted_day_wrong", "dau_differs"}),
    (_billing_days_in_utc_in_the_statement_alone, {"dau_differs"}),
    (_devices_counted, {"dau_differs", "statement_differs", "bill_differs"}),
    (_one_unit_more, {"bill_differs", "statement_differs"}),
    (_charged_on_the_fourth, {"statement_differs"}),
    (_other_price_book, {"price_book_differs"}),
    (_dearer_unit, {"price_book_differs"}),
    (_total_off_by_a_cent, {"statement_differs"}),
    (_peak_on_another_day, {"statement_differs"}),
    (_other_app, {"statement_differs"}),
    (_second_user_of_a_number, {"user_number_repeated"}),
    (_last_second_counted_on_the_next_day, {"counted_day_wrong"}),
    (_refused_login_counted, {"counted_day_wrong"}),
    (_second_login_counted, {"counted_day_wrong"}),
    (_refusal_seen_as_success, {"code_differs", "codes_differ"}),
    (_other_user_in_the_ledger, {"user_differs"}),
    (_time_outside_the_clients_knowledge, {"time_differs"}),
    (_order_of_the_journal_violated, {"order_violated"}),
    (_login_that_nobody_asked_for, {"journal_row_unasked"}),
    (_played_on_another_day, {"day_missed", "arrivals_differ"}),
]


@pytest.mark.parametrize(("defect", "expected"), DEFECTS, ids=[defect.__name__.strip("_") for defect, _ in DEFECTS])
def test_a_planted_defect_is_found(tmp_path: Path, defect: Callable[[Recording], None], expected: set[str]) -> None:
    recording = a_recording(DAYS)
    defect(recording)
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "failed"
    assert expected <= codes(verdict)


def test_a_login_that_a_fault_rule_refused_is_matched_like_any_other_refusal(tmp_path: Path) -> None:
    recording = a_recording(DAYS)
    assert recording.journal is not None
    refused = _row(recording, kind=run_files.JOURNAL_KINDS.index("login_refused"), nth=0)
    values = {"kind": run_files.JOURNAL_KINDS.index("fault_met"), "user_id": None, "text": "im_open_status/wslogin"}
    for column, value in values.items():
        recording.journal = changed(recording.journal, column, refused, value)
    assert codes(judged(recording.written(tmp_path))) == set()


def test_a_charge_of_the_whole_peak_is_found(tmp_path: Path) -> None:
    recording = a_recording({"2026-10-01": 10_001})
    recording.statement = a_statement("2026-10", {"2026-10-01": 10_001}, units=2)
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "failed"
    assert any("149.99" in finding.text for finding in verdict.findings)


def test_a_statement_that_the_journal_did_not_close_is_found(tmp_path: Path) -> None:
    recording = a_recording()
    run = recording.written(tmp_path)
    path = run / run_files.STATEMENT
    path.write_text(path.read_text().replace('"total_cents": 14999', '"total_cents": 15000'))
    verdict = judged(run)
    assert verdict.outcome == "failed"
    assert {"close_differs", "charge_differs"} <= codes(verdict)


def test_a_server_without_journal_and_statement_leaves_only_warnings(tmp_path: Path) -> None:
    recording = a_recording()
    recording.journal = recording.statement = None
    verdict = judged(recording.written(tmp_path))
    assert verdict.outcome == "passed"
    assert codes(verdict) == {"journal_absent", "statement_absent"}
    assert verdict.audit.summaries["journal"] is None


def test_an_unknown_reading_or_price_book_makes_the_run_invalid(tmp_path: Path) -> None:
    for name, section, key, value in (
        ("reading", "readings", "dau", "activity"),
        ("day", "readings", "charge_day", 9),
        ("book", "app", "price_book", "1999"),
        ("plan", "app", "plan", "gold"),
    ):
        recording = a_recording()
        recording.plan[section][key] = value
        assert judged(recording.written(tmp_path, name)).outcome == "invalid"


def test_values_that_cannot_be_are_findings_not_crashes(tmp_path: Path) -> None:
    for number, (column, value) in enumerate(
        [("app_before_ms", 2**62), ("request_seq", -1), ("answered_us", -(2**40)), ("row", -5)]
    ):
        recording = a_recording()
        recording.change_ledger(column, 2, value)
        verdict = judged(recording.written(tmp_path, f"run{number}"))
        assert verdict.outcome == "invalid"

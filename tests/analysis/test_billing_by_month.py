"""Runs billed by the month's users, as the list of December 2022 has it."""

import json
from pathlib import Path
from typing import Any

from analysis import run_files
from analysis.__main__ import main
from tests.analysis.recordings import Recording
from tests.analysis.runs import a_recording

BOOK_2022_12 = {
    "name": "2022-12",
    "currency": "USD",
    "plan_fee": {"trial": 0, "pro": 39_900_000, "ultimate": 69_900_000},
    "dau": None,
    "mau": {"free": 10_000, "per": 1, "unit_price": 1_500},
    "groups": None,
    "calls": {"audio": 99, "hd": 399, "full_hd": 899, "2k": 1_599, "4k": 3_599},
    "call_minutes_free": 10_000,
}


def a_recording_by_month() -> Recording:
    """Twelve thousand users on one day, some of them on another: 399 and 2,000 times 0.015 USD."""
    recording = a_recording({"2026-10-01": 12_000, "2026-10-02": 3_000})
    assert recording.statement
    recording.plan["app"]["price_book"] = "2022-12"
    plan = {"item": "plan", "quantity": 1, "free": 0, "per": 1, "units": 1, "unit_price": 39_900_000}
    mau = {"item": "mau", "quantity": 12_000, "free": 10_000, "per": 1, "units": 2_000, "unit_price": 1_500}
    lines = [plan | {"amount_cents": 39_900}, mau | {"amount_cents": 3_000}]
    recording.statement |= {"price_book": BOOK_2022_12, "lines": lines, "total_cents": 42_900, "monthly_users": 12_000}
    return recording


def verdict(run: Path) -> Any:
    return json.loads((run / run_files.VERDICT).read_text())


def test_a_month_is_charged_by_its_different_users(tmp_path: Path) -> None:
    run = a_recording_by_month().written(tmp_path)
    assert main(["audit", str(run)]) == 0
    found = verdict(run)
    assert (found["total_cents"], found["amount_cents"], found["dau_units"]) == (42_900, 3_000, 0)
    assert found["witnesses"]["plan"] is None
    assert found["witnesses"]["ledger"] == found["witnesses"]["journal"] == found["witnesses"]["statement"]
    assert "12,000 users in the month" in (run / run_files.SUMMARY).read_text()
    report = (run / run_files.REPORT).read_text()
    assert "charged by the month" in report
    assert "MAU overage" in report


def test_one_user_too_many_is_noticed(tmp_path: Path) -> None:
    recording = a_recording_by_month()
    assert recording.statement
    recording.statement["monthly_users"] = 12_001
    run = recording.written(tmp_path)
    assert main(["audit", str(run)]) == 1
    finding = verdict(run)["findings"][0]
    assert finding["text"] == "the statement's monthly_users is 12001 instead of 12000"

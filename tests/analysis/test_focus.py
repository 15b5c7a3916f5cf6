"""The statement in FOCUS columns: all that must be there, exact, and the same total."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis import focus
from analysis.__main__ import main
from analysis.documents import Statement
from tests.analysis.runs import a_recording, a_statement

MANDATORY = {
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
}
NULLABLE = {"BillingAccountName", "ChargeClass", "ConsumedQuantity", "ConsumedUnit", "SubAccountName"}


def a_line(item: str, quantity: int, units: int, unit_price: int, amount_cents: int, **steps: int) -> dict[str, Any]:
    line = {"item": item, "quantity": quantity, "free": 0, "per": 1, "units": units, "unit_price": unit_price}
    return line | {"amount_cents": amount_cents} | steps


def a_busy_statement() -> dict[str, Any]:
    """A million users and a quarter of a million groups; two minutes of audio and 10,001 of HD beyond the free ones."""
    stated = a_statement("2026-10", {"2026-10-16": 1_000_000})
    lines = [
        *stated["lines"][:2],
        a_line("groups", 250_000, 2, 14_999_000, 29_998, free=100_000, per=100_000),
        a_line("call_audio", 2, 2, 99, 0),
        a_line("call_hd", 10_001, 10_001, 399, 3_990),
    ]
    return stated | {"lines": lines, "total_cents": sum(line["amount_cents"] for line in lines)}


def charges(stated: dict[str, Any]) -> list[dict[str, str]]:
    return focus.charges(msgspec.convert(stated, Statement))


def test_every_mandatory_column_is_there_and_filled() -> None:
    for row in charges(a_busy_statement()):
        assert set(row) >= MANDATORY
        assert tuple(row) == focus.COLUMNS
        assert {name for name, value in row.items() if not value} <= NULLABLE


def test_billed_costs_sum_to_the_statements_total() -> None:
    stated = a_busy_statement()
    rows = charges(stated)
    assert sum(Decimal(row["BilledCost"]) for row in rows) * 100 == stated["total_cents"] == 1_529_898 + 3_990
    assert [row["BilledCost"] for row in rows] == ["149.99", "14849.01", "299.98", "0.00", "39.90"]


def test_list_costs_are_quantity_times_price_to_the_last_digit() -> None:
    rows = charges(a_busy_statement())
    for row in rows:
        exact = Decimal(row["PricingQuantity"]) * Decimal(row["ListUnitPrice"])
        assert Decimal(row["ListCost"]) == Decimal(row["ContractedCost"]) == exact
    assert (rows[4]["ListCost"], rows[4]["ListUnitPrice"]) == ("39.90399", "0.00399")


def test_periods_are_the_billing_month_in_utc() -> None:
    (row, *_) = charges(a_busy_statement())
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-09-30T16:00:00Z", "2026-10-31T16:00:00Z")
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (row["BillingPeriodStart"], row["BillingPeriodEnd"])


def test_the_plan_is_purchased_and_all_else_is_used() -> None:
    rows = charges(a_busy_statement())
    assert [row["ChargeCategory"] for row in rows] == ["Purchase", "Usage", "Usage", "Usage", "Usage"]
    assert [(row["ConsumedQuantity"], row["ConsumedUnit"], row["PricingUnit"]) for row in rows] == [
        ("", "", "Months"),
        ("1000000", "Users", "10000 Users"),
        ("250000", "Groups", "100000 Groups"),
        ("2", "Minutes", "Minutes"),
        ("10001", "Minutes", "Minutes"),
    ]


def test_the_command_writes_the_file_and_names_the_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = a_recording()
    recording.statement = a_busy_statement()
    run = recording.written(tmp_path)
    assert main(["focus", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}/focus.csv: 5 charges, 15,338.88 USD\n"
    with (run / "focus.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == charges(a_busy_statement())

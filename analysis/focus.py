"""A run's statement in the columns of FOCUS 1.2, the FinOps Foundation's form of a bill, as CSV.

All its mandatory columns, and of the conditional ones those that a statement can fill; numbers are exact decimals.
`BilledCost` is the line's amount as the statement rounds it, to cents; `ListCost` is quantity times price and is not
rounded, as FOCUS wants the product to be exact. Specification: https://focus.finops.org.
"""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from analysis import documents, run_files
from analysis.billing_days import DAY_MS, month_days
from analysis.documents import StatedLine, Statement

PROVIDER: Final = "Tencent Cloud"
"""Whose prices they are."""
ISSUER: Final = "im-load, a simulation"
"""Nobody should take it for the vendor's invoice."""

COLUMNS: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
)

_UNITS: Final[Mapping[str, str]] = {"dau": "Users", "mau": "Users", "groups": "Groups"}
_METERS: Final[Mapping[str, str]] = {
    "plan": "Plan",
    "dau": "Daily active users, peak day",
    "mau": "Monthly active users",
    "groups": "Groups, peak",
}


def export(folder: Path) -> tuple[Path, list[dict[str, str]]]:
    """Write a run's `focus.csv`. Raises DocumentError when there is no statement, OSError when it cannot be written."""
    statement = documents.read(folder / run_files.STATEMENT, Statement)
    rows = charges(statement)
    path = folder / run_files.FOCUS
    draft = path.with_name(f".{path.name}")
    draft.write_text(as_csv(rows), encoding="utf-8")
    draft.replace(path)
    return path, rows


def charges(statement: Statement) -> list[dict[str, str]]:
    """Turn each line of a statement into a charge."""
    end_ms = statement.closed_at_ms
    start_ms = end_ms - len(month_days(statement.month)) * DAY_MS
    account = str(statement.sdkappid)
    month = {
        "BillingAccountId": account,
        "BillingAccountName": "",
        "BillingAccountType": "SDKAppID",
        "BillingCurrency": statement.currency,
        "BillingPeriodEnd": _instant(end_ms),
        "BillingPeriodStart": _instant(start_ms),
        "ChargeClass": "",
        "ChargePeriodEnd": _instant(end_ms),
        "ChargePeriodStart": _instant(start_ms),
        "InvoiceIssuerName": ISSUER,
        "PricingCategory": "Standard",
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "SubAccountId": account,
        "SubAccountName": "",
        "SubAccountType": "SDKAppID",
    }
    rows = [month | _charge(line, statement) for line in statement.lines]
    return [{column: row[column] for column in COLUMNS} for row in rows]


def as_csv(rows: list[dict[str, str]]) -> str:
    """Write charges with their columns' names first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _charge(line: StatedLine, statement: Statement) -> dict[str, str]:
    is_plan, is_call = line.item == "plan", line.item.startswith("call_")
    unit_price = Decimal(line.unit_price).scaleb(-5)
    exact, billed = unit_price * line.units, Decimal(line.amount_cents).scaleb(-2)
    unit = "Months" if is_plan else "Minutes" if is_call else _UNITS.get(line.item, "Units")
    price_unit = unit if line.per == 1 else f"{line.per} {unit}"
    sku = f"{'plan' if is_plan else 'usage'}/{statement.plan}/{line.item}"
    return {
        "BilledCost": f"{billed:f}",
        "ChargeCategory": "Purchase" if is_plan else "Usage",
        "ChargeDescription": f"{line.item}: {line.quantity} less {line.free} free, {line.units} x {price_unit}",
        "ChargeFrequency": "Recurring" if is_plan else "Usage-Based",
        "ConsumedQuantity": "" if is_plan else str(line.quantity),
        "ConsumedUnit": "" if is_plan else unit,
        "ContractedCost": f"{exact:f}",
        "ContractedUnitPrice": f"{unit_price:f}",
        "EffectiveCost": f"{billed:f}",
        "ListCost": f"{exact:f}",
        "ListUnitPrice": f"{unit_price:f}",
        "PricingQuantity": str(line.units),
        "PricingUnit": price_unit,
        "ServiceCategory": "Media" if is_call else "Mobile",
        "ServiceName": "Tencent Real-Time Communication" if is_call else "Chat",
        "SkuId": sku,
        "SkuMeter": _METERS.get(line.item, f"Call minutes, {line.item.removeprefix('call_')}"),
        "SkuPriceId": f"{statement.price_book.get('name')}/{sku}",
    }


def _instant(time_ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

"""Planted defects: wrong rules, so that an audit can show that it would notice.

`python -m mock_im_server --defect NAME`. Each replaces one rule; nothing else knows of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mock_im_server.domain.actions import Action, Claim
from mock_im_server.domain.apps import Rules
from mock_im_server.domain.billing import Overage
from mock_im_server.domain.calendar import BillingCalendar
from mock_im_server.domain.plans import DayQuotas


@dataclass(frozen=True, slots=True)
class Defect:
    """A wrong set of rules and what is wrong with it."""

    summary: str
    rules: Rules


def _utc_day(_offset_ms: int) -> BillingCalendar:
    return BillingCalendar(offset_ms=0)


def _login_of_device(quotas: DayQuotas, epoch: int, user_id: str, instance: int) -> Action:
    device = f"{user_id}@{instance}"
    return Action(epoch, (Claim(quotas.accounts, user_id), Claim(quotas.active, device)))


def _units_of_whole(quantity: int, overage: Overage) -> int:
    return -(-quantity // overage.per) if quantity > overage.free else 0


DEFECTS: Final[Mapping[str, Defect]] = {
    "billing-day-utc": Defect("the billing day begins at midnight UTC", Rules(calendar=_utc_day)),
    "dau-per-device": Defect("every device of a user counts for DAU", Rules(login=_login_of_device)),
    "whole-peak-charged": Defect("the whole peak is charged instead of the excess", Rules(units=_units_of_whole)),
}

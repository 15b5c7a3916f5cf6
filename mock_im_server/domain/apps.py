"""An app: one SDKAppID with its plan, key, billing terms and the rules it is run by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mock_im_server.domain import billing, groups, plans
from mock_im_server.domain.actions import Action
from mock_im_server.domain.calendar import UTC_PLUS_8_MS, BillingCalendar

CHARGE_DAY: Final = 3
BY_OPENING_DAY: Final = "by-opening-day"
"""In place of a price book's name: the list under which an app of this site and this first day opened."""
INTL: Final = "intl"
CONNECTIONS: Final = "connections"
"""The counter that gives connections their numbers."""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What is chosen when an app is made."""

    sdkappid: int
    plan: str
    key: str
    price_book: str = "2020"
    """A name, or `BY_OPENING_DAY`, which becomes one when the app is made."""
    site: str = INTL
    billing_offset_ms: int = UTC_PLUS_8_MS
    charge_day: int = CHARGE_DAY
    account_delete: bool = False
    """Allows `account_delete` on a paid plan too (71000 otherwise)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that a planted defect may replace (`mock_im_server.defects`)."""

    calendar: Callable[[int], BillingCalendar] = BillingCalendar
    limits: Callable[[plans.Plan], plans.Plan] = lambda plan: plan
    login: Callable[[plans.DayQuotas, plans.Instant, str, int], Action] = plans.login_of_user
    refused_login: Callable[[plans.DayQuotas, plans.Instant, str], Action] = plans.refused_login
    resumption: Callable[[plans.DayQuotas, plans.Instant, str], Action] = plans.resumption
    deletion: Callable[[plans.Instant, str], Action] = plans.deletion_of_account
    creation: Callable[..., Action] = groups.creation
    destruction: Callable[[plans.Instant, groups.Group], Action] = groups.destruction
    measured: Callable[[int], int] = lambda dau: dau
    """A day's DAU on the statement."""
    seconds_of_day: Callable[[int], int] = lambda seconds: seconds
    """A day's seconds of calls of one tier, before the month's are summed."""
    units: Callable[[int, billing.Overage], int] = billing.started_units
    charge_day: Callable[[int], int] = lambda day: day

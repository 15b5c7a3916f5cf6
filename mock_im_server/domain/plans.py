"""What a plan includes, and the quotas that follow from it.

The numbers are data (`mock_im_server/data/plans.toml`, with sources); None means that there is no limit.
"""

from dataclasses import dataclass
from typing import Final

from mock_im_server.domain.actions import Action, Claim, Quota

ADMIN: Final = "administrator"
"""The admin account that every app has."""
ACCOUNTS: Final = "accounts"
ADMINS: Final = "admins"
"""Apart from the accounts: the admin takes none of the trial's 100 places (a reading, `docs/open-points.md`)."""

ACCOUNT_LIMIT: Final = 70398
"""ERR_SVR_ACCOUNT_COUNT_LIMIT: the trial's 100 accounts, by import and by first login alike."""
DAU_LIMIT: Final = 72000
"""The free plan's DAU quota is used up; paid plans have no such stop, only a bill."""

_UNLIMITED_ADMINS: Final = Quota(ADMINS, None, ACCOUNT_LIMIT)


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of one plan of an SDKAppID."""

    name: str
    accounts_max: int | None
    dau_max: int | None


@dataclass(frozen=True, slots=True)
class DayQuotas:
    """The quotas a login meets on one billing day; made once a day, shared by all its logins."""

    day: int
    accounts: Quota
    active: Quota


def active_users(day: int) -> str:
    """The name of the set of users whose login succeeded on a billing day."""
    return f"active/{day}"


def day_quotas(plan: Plan, day: int) -> DayQuotas:
    return DayQuotas(
        day,
        accounts=Quota(ACCOUNTS, plan.accounts_max, ACCOUNT_LIMIT),
        active=Quota(active_users(day), plan.dau_max, DAU_LIMIT),
    )


def login_of_user(quotas: DayQuotas, epoch: int, user_id: str, instance: int) -> Action:  # noqa: ARG001 -- a planted defect counts by device
    """A login registers an unknown user and counts it once among the day's active users.

    The account limit comes first: on a full trial app an unknown user is told 70398, not 72000.
    """
    accounts = _UNLIMITED_ADMINS if user_id == ADMIN else quotas.accounts
    return Action(epoch, (Claim(accounts, user_id), Claim(quotas.active, user_id)))


def import_of_account(plan: Plan, epoch: int, user_id: str) -> Action:
    """An import takes a place like a first login; importing a known UserID again changes nothing."""
    accounts = _UNLIMITED_ADMINS if user_id == ADMIN else Quota(ACCOUNTS, plan.accounts_max, ACCOUNT_LIMIT)
    return Action(epoch, (Claim(accounts, user_id),))

"""What a plan includes, and the quotas that follow from it.

The numbers are data (`mock_im_server/data/plans.toml`, with sources); None means that there is no limit.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from mock_im_server.domain.actions import Action, Claim, Clear, Effects, Leave, Need, Quota

TRIAL: Final = "trial"
ADMIN: Final = "administrator"
"""The admin account that every app has."""
ACCOUNTS: Final = "accounts"
ADMINS: Final = "admins"
"""Apart from the accounts: the admin takes none of the trial's 100 places (a reading, `docs/open-points.md`)."""

ACCOUNT_LIMIT: Final = 70398
"""ERR_SVR_ACCOUNT_COUNT_LIMIT: the trial's 100 accounts, by import and by first login alike."""
DAU_LIMIT: Final = 72000
"""The free plan's DAU quota is used up; paid plans have no such stop, only a bill."""
ACCOUNT_UNKNOWN: Final = 70107
DELETE_REFUSED: Final = 71000
"""Only a trial's accounts can be deleted, unless the app has it switched on."""

_UNLIMITED_ADMINS: Final = Quota(ADMINS, None, ACCOUNT_LIMIT)


class Instant(NamedTuple):
    """When an action happens, as the counts see it; `day_ms` is the time since the billing day began."""

    epoch: int
    day: int
    day_ms: int
    month: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of one plan of an SDKAppID; None: no limit. The numbers, with their sources: `data/plans.toml`."""

    name: str
    accounts_max: int | None = None
    dau_max: int | None = None
    live_groups_max: int | None = None
    other_groups_max: int | None = None
    members_per_group_max: int | None = None
    """Of groups other than live groups."""
    groups_per_user_max: int | None = None
    net_new_groups_per_day_max: int | None = None
    account_delete: bool = False
    devices_max: int = 1
    """Sessions of one user on one platform; one more ends the oldest."""
    web_devices_max: int = 1
    communities: bool = False


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


def login_of_user(quotas: DayQuotas, at: Instant, user_id: str, instance: int) -> Action:  # noqa: ARG001 -- a planted defect counts by device
    """A login registers an unknown user and counts it once among the day's active users.

    The account limit comes first: on a full trial app an unknown user is told 70398, not 72000.
    """
    accounts = _UNLIMITED_ADMINS if user_id == ADMIN else quotas.accounts
    return Action(at.epoch, (Claim(accounts, user_id), Claim(quotas.active, user_id)))


def refused_login(quotas: DayQuotas, at: Instant, user_id: str) -> Action:  # noqa: ARG001 -- a planted defect counts it
    """A login with a wrong UserSig counts nowhere; it only has its place in the one order."""
    return Action(at.epoch)


def resumption(quotas: DayQuotas, at: Instant, user_id: str) -> Action:  # noqa: ARG001 -- a planted defect counts it
    """A session that is taken up again is no login, also on a new day (`docs/open-points.md`)."""
    return Action(at.epoch)


def import_of_account(plan: Plan, epoch: int, user_id: str) -> Action:
    """An import takes a place like a first login; importing a known UserID again changes nothing."""
    accounts = _UNLIMITED_ADMINS if user_id == ADMIN else Quota(ACCOUNTS, plan.accounts_max, ACCOUNT_LIMIT)
    return Action(epoch, (Claim(accounts, user_id),))


def deletion_of_account(at: Instant, user_id: str) -> Action:
    """The place is free again, and the user is in no group any more. Days on which they were counted stay counted."""
    effects = Effects(
        needs=(Need(ACCOUNTS, user_id, ACCOUNT_UNKNOWN),),
        leaves=(Leave(ACCOUNTS, user_id),),
        clears=(
            Clear(joined_groups(user_id), MEMBERS, user_id),
            Clear(live_groups_of(user_id), MEMBERS, user_id),
            Clear(owned_groups(user_id), "", user_id),
        ),
    )
    return Action(at.epoch, effects=effects)


MEMBERS: Final = "members/"
"""Before a group's key: the set of its members."""
JOINED: Final = "joined/"
"""Before a UserID: the set of the groups that count against the user's limit."""
LIVE_OF: Final = "live/"
"""Before a UserID: the live groups that the user is in; they count against no limit of the user's."""


def joined_groups(user_id: str) -> str:
    return JOINED + user_id


def live_groups_of(user_id: str) -> str:
    return LIVE_OF + user_id


def owned_groups(user_id: str) -> str:
    return f"owned/{user_id}"

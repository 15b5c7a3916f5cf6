"""The quotas that an audit judges: their names, the codes that refuse, and which of two comes first.

Names are those of `plans.toml` and of `plan.json`. Numbers stand in `plans.toml`, not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ACCOUNTS: Final = "accounts"
DAU: Final = "dau"
LIVE_GROUPS: Final = "live_groups"
OTHER_GROUPS: Final = "other_groups"
GROUPS_PER_USER: Final = "groups_per_user"
MEMBERS_PER_GROUP: Final = "members_per_group"
NET_NEW_GROUPS: Final = "net_new_groups"

LIVE: Final = "AVChatRoom"
COMMUNITY: Final = "Community"

GROUP_FULL: Final = 10014
"""The group's own `MaxMemberCount` is reached, which lies below the plan's members per group (10038)."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A cap: `codes` refuse what goes beyond it; where one of `after` is full too, that one's refusal comes first."""

    name: str
    words: str
    codes: tuple[int, ...]
    after: tuple[str, ...] = ()
    is_of_one: bool = False
    """There is one count for each user or group, and the cap holds for each of them."""
    is_daily: bool = False


QUOTAS: Final[Mapping[str, Quota]] = {
    quota.name: quota
    for quota in (
        Quota(ACCOUNTS, "accounts", (70398,)),
        Quota(DAU, "users of a day", (72000,), after=(ACCOUNTS,), is_daily=True),
        Quota(LIVE_GROUPS, "live groups", (10036,)),
        Quota(OTHER_GROUPS, "other groups", (10058,), after=(LIVE_GROUPS,)),
        Quota(GROUPS_PER_USER, "groups of a user", (10037,), after=(LIVE_GROUPS, OTHER_GROUPS), is_of_one=True),
        Quota(MEMBERS_PER_GROUP, "members of a group", (10038, GROUP_FULL), is_of_one=True),
        Quota(
            NET_NEW_GROUPS,
            "net new groups of a day",
            (10006,),
            after=(LIVE_GROUPS, OTHER_GROUPS, GROUPS_PER_USER),
            is_daily=True,
        ),
    )
}
"""All quotas, in the order in which they refuse: a reading (`docs/open-points.md`)."""

QUOTA_OF_CODE: Final[Mapping[int, str]] = {code: quota.name for quota in QUOTAS.values() for code in quota.codes}

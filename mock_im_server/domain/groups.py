"""Groups: their types, what they need, and the quotas they take places of.

Counts are net: a destroyed group gives its place back, an empty one that was not destroyed keeps it (FAQ 1047/34421).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mock_im_server.domain.actions import Action, Claim, Clear, Draw, Effects, Leave, Need, Peak, Quota
from mock_im_server.domain.plans import (
    ACCOUNTS,
    ADMIN,
    ADMINS,
    JOINED,
    LIVE_OF,
    MEMBERS,
    Instant,
    Plan,
    joined_groups,
    live_groups_of,
    owned_groups,
)

PRIVATE: Final = "Private"
PUBLIC: Final = "Public"
CHAT_ROOM: Final = "ChatRoom"
LIVE: Final = "AVChatRoom"
COMMUNITY: Final = "Community"
TYPES: Final = {
    "Private": PRIVATE,
    "Work": PRIVATE,
    "Public": PUBLIC,
    "ChatRoom": CHAT_ROOM,
    "Meeting": CHAT_ROOM,
    "AVChatRoom": LIVE,
    "Community": COMMUNITY,
}
"""A group's type by the names that clients use for it; the values are the vendor's own."""

COMMUNITY_MEMBERS_MAX: Final = 100_000

GROUPS: Final = "groups"
LIVE_GROUPS: Final = "live_groups"
OTHER_GROUPS: Final = "other_groups"

LIVE_LIMIT: Final = 10036
OTHER_LIMIT: Final = 10058
USER_LIMIT: Final = 10037
MEMBER_LIMIT: Final = 10038
"""The plan's members per group are reached."""
GROUP_FULL: Final = 10014
"""The group's own `MaxMemberCount`, below the plan's, is reached."""
DAILY_LIMIT: Final = 10006
"""Too many net new groups in a day."""
GROUP_UNKNOWN: Final = 10010
ID_TAKEN: Final = 10021
ID_TAKEN_BY_YOURSELF: Final = 10025
USER_UNKNOWN: Final = 10019


OWNER: Final = "Owner"
ADMIN_ROLE: Final = "Admin"
MEMBER: Final = "Member"


FREE_ACCESS: Final = "FreeAccess"
NEED_PERMISSION: Final = "NeedPermission"
DISABLE_APPLY: Final = "DisableApply"


@dataclass(slots=True)
class Member:
    """A member of a group; the time is real and in Unix seconds."""

    role: str
    joined_s: int


@dataclass(slots=True)
class Group:
    """What is known of a group beside the counts; times are Unix seconds of the app's clock."""

    number: int
    group_id: str
    type: str
    owner: str
    created_s: int
    max_members: int | None
    details: dict[str, Any]
    """The vendor's fields that bear on nothing here: Name, Introduction, ApplyJoinOption, …"""
    members: dict[str, Member] = field(default_factory=dict)
    next_msg_seq: int = 1
    last_info_s: int = 0
    last_msg_s: int = 0

    def hand_over(self, new: str) -> None:
        """Another member is the owner; one that joined elsewhere may not be heard of yet."""
        if self.owner in self.members:
            self.members[self.owner].role = MEMBER
        self.owner = new
        if new in self.members:
            self.members[new].role = OWNER


def key_of(group_id: str) -> str:
    """A group's name among the members of sets; `/` occurs in no UserID."""
    return f"/{group_id}"


def net_new_groups(day: int) -> str:
    """The counter of a billing day's creations less its destructions."""
    return f"net_new/{day}"


def peak_groups(month: str) -> str:
    """The counter that keeps the most groups that existed at one time of a month."""
    return f"peak_groups/{month}"


def type_quota(plan: Plan, group_type: str) -> Quota:
    if group_type == LIVE:
        return Quota(LIVE_GROUPS, plan.live_groups_max, LIVE_LIMIT)
    return Quota(OTHER_GROUPS, plan.other_groups_max, OTHER_LIMIT)


def members_max(plan: Plan, group_type: str) -> int | None:
    """How many members a group of this type can have at most; None: no limit."""
    if group_type == LIVE:
        return None
    return COMMUNITY_MEMBERS_MAX if group_type == COMMUNITY else plan.members_per_group_max


def join_option(group: Group) -> str:
    """What becomes of who asks to be a member: only public groups and communities have a choice."""
    if group.type == PRIVATE:
        return DISABLE_APPLY
    if group.type in {CHAT_ROOM, LIVE}:
        return FREE_ACCESS
    default = NEED_PERMISSION if group.type == PUBLIC else FREE_ACCESS
    return str(group.details.get("ApplyJoinOption", default))


def creation(  # noqa: PLR0913 -- what a group is made of, by name
    plan: Plan, at: Instant, group_id: str, group_type: str, *, first: Sequence[str], max_members: int | None
) -> Action:
    """Make a group with its `first` members, the owner before the others, all of them or nothing.

    An empty UserID stands for no owner. Refused, in this order: a GroupId that is taken, users that are unknown, the
    quota of the type (10036, 10058), the users' own (10037), the group's (10038), the day's (10006). A group with
    neither owner nor members has no user whose limit could count.
    """
    key = key_of(group_id)
    owner, members = first[0], [user_id for user_id in first if user_id]
    taken = (Need(owned_groups(owner), key, ID_TAKEN_BY_YOURSELF, is_in=False),) if owner else ()
    needs = (*taken, Need(GROUPS, key, ID_TAKEN, is_in=False), *map(_known, members))
    claims = [Claim(Quota(GROUPS, None, 0), key), Claim(type_quota(plan, group_type), key)]
    if owner:
        claims.append(Claim(Quota(owned_groups(owner), None, 0), key))
    claims += [_place_of_user(plan, group_type, user_id, key) for user_id in members]
    claims += [_place_in_group(plan, group_type, key, user_id, max_members) for user_id in members]
    draw = Draw(net_new_groups(at.day), 1, plan.net_new_groups_per_day_max, DAILY_LIMIT)
    peak = Peak(peak_groups(at.month), GROUPS)
    return Action(at.epoch, tuple(claims), Effects(needs, draws=(draw,), peaks=(peak,)))


def destruction(at: Instant, group: Group) -> Action:
    """End a group: every place that it and its members took is free again."""
    key = key_of(group.group_id)
    leaves = [Leave(GROUPS, key), Leave(LIVE_GROUPS if group.type == LIVE else OTHER_GROUPS, key)]
    if group.owner:
        leaves.append(Leave(owned_groups(group.owner), key))
    inverse = LIVE_OF if group.type == LIVE else JOINED
    effects = Effects(
        needs=(Need(GROUPS, key, GROUP_UNKNOWN),),
        draws=(Draw(net_new_groups(at.day), -1),),
        leaves=tuple(leaves),
        clears=(Clear(MEMBERS + key, inverse, key),),
    )
    return Action(at.epoch, effects=effects)


def joining(plan: Plan, epoch: int, group: Group, user_id: str) -> Action:
    """Become a member. Who is one already takes no further place."""
    key = key_of(group.group_id)
    claims = (
        _place_in_group(plan, group.type, key, user_id, group.max_members),
        _place_of_user(plan, group.type, user_id, key),
    )
    return Action(epoch, claims, Effects(needs=(Need(GROUPS, key, GROUP_UNKNOWN), _known(user_id))))


def leaving(epoch: int, group: Group, user_id: str) -> Action:
    """Be a member no more. A group whose last member leaves stays (FAQ)."""
    key = key_of(group.group_id)
    inverse = LIVE_OF if group.type == LIVE else JOINED
    leaves = (Leave(MEMBERS + key, user_id), Leave(inverse + user_id, key))
    return Action(epoch, effects=Effects(needs=(Need(GROUPS, key, GROUP_UNKNOWN),), leaves=leaves))


def change_of_owner(epoch: int, group: Group, new: str, refusal: int) -> Action:
    """Hand a group over to one of its members; `refusal` is the code when the new owner is none."""
    key = key_of(group.group_id)
    needs = (Need(GROUPS, key, GROUP_UNKNOWN), Need(MEMBERS + key, new, refusal))
    leaves = (Leave(owned_groups(group.owner), key),) if group.owner and group.owner != new else ()
    return Action(epoch, (Claim(Quota(owned_groups(new), None, 0), key),), Effects(needs, leaves=leaves))


def _known(user_id: str) -> Need:
    return Need(ADMINS if user_id == ADMIN else ACCOUNTS, user_id, USER_UNKNOWN)


def _place_of_user(plan: Plan, group_type: str, user_id: str, key: str) -> Claim:
    # Live groups count against no user's limit (`docs/open-points.md`).
    if group_type == LIVE:
        return Claim(Quota(live_groups_of(user_id), None, USER_LIMIT), key)
    return Claim(Quota(joined_groups(user_id), plan.groups_per_user_max, USER_LIMIT), key)


def _place_in_group(plan: Plan, group_type: str, key: str, user_id: str, max_members: int | None) -> Claim:
    most = members_max(plan, group_type)
    if max_members is not None and (most is None or max_members < most) and group_type != LIVE:
        return Claim(Quota(MEMBERS + key, max_members, GROUP_FULL), user_id)
    return Claim(Quota(MEMBERS + key, most, MEMBER_LIMIT), user_id)

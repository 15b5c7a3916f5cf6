"""What an app's backend can be told of as it happens: the vendor's "after" webhooks, without the way they are sent.

Bodies as the vendor's (`Group.CallbackAfterCreateGroup` and beside, `State.StateChange`); times are the app's.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from mock_im_server.domain import groups
from mock_im_server.domain.groups import Group
from mock_im_server.domain.plans import ADMIN
from mock_im_server.service.origin import Origin
from mock_im_server.sessions import Session

STATE_CHANGE: Final = "State.StateChange"
GROUP_CREATED: Final = "Group.CallbackAfterCreateGroup"
GROUP_DESTROYED: Final = "Group.CallbackAfterGroupDestroyed"
QUOTA_ALARM: Final = "Group.CallbackOnDailyGroupQuotaAlarm"

LOGIN: Final = ("Login", "Register")
"""Action and reason: a connection is set up for a user, or again after a break."""
LOGOUT: Final = ("Logout", "Unregister")
DISCONNECT: Final = ("Disconnect", "LinkClose")

REST_PLATFORM: Final = "RESTAPI"
_PLATFORMS: Final[Mapping[int, str]] = {1: "Windows", 2: "Android", 3: "iOS", 4: "iPad", 5: "macOS", 7: "Web"}
"""By the numbers of a login (`docs/wire.md`)."""
_UNKNOWN: Final = "Unknown"


class Notice(NamedTuple):
    """Something that happened; `about` is the user or group whose notices must arrive in order."""

    command: str
    about: str
    body: dict[str, Any]
    platform: str
    client_ip: str

    def told(self) -> "Notice":
        return self


class StateChange(NamedTuple):
    """A user comes or goes; who comes may have ended the sessions of other devices, which say nothing themselves.

    Put into words only when it is sent: under a storm of logins most are dropped.
    """

    what: tuple[str, str]
    about: str
    platform: int
    client_ip: str
    """Not the session: thousands may wait, and each would keep its closed connection."""
    now_ms: int
    kicked: tuple[int, ...] = ()
    """Platforms."""

    @classmethod
    def of(
        cls, what: tuple[str, str], about: str, session: Session, now_ms: int, kicked: tuple[Session, ...] = ()
    ) -> "StateChange":
        platforms = tuple([other.platform for other in kicked]) if kicked else ()
        return cls(what, about, session.platform, session.connection.client_ip, now_ms, platforms)

    def told(self) -> Notice:
        action, reason = self.what
        body: dict[str, Any] = {
            "EventTime": self.now_ms,
            "Info": {"Action": action, "To_Account": self.about, "Reason": reason},
        }
        if self.kicked:
            body["KickedDevice"] = [{"Platform": _PLATFORMS.get(platform, _UNKNOWN)} for platform in self.kicked]
        platform = _PLATFORMS.get(self.platform, _UNKNOWN)
        # The vendor writes it differently here.
        platform = "IOS" if platform == "iOS" else platform
        return Notice(STATE_CHANGE, self.about, body, platform, self.client_ip)


class Listener(Protocol):
    """Who hears of what happens in an app, and never makes it wait."""

    is_full: bool
    """It would drop the next notice."""

    def hear(self, notice: Notice | StateChange) -> None:
        """Take it, or drop it."""

    def drop(self) -> None:
        """Count a notice that it was not given, as it is full."""


def group_created(group: Group, now_ms: int, origin: Origin) -> Notice:
    body = {
        "Operator_Account": ADMIN if origin.is_rest else group.owner,
        **_described(group, now_ms),
        "UserDefinedDataList": group.details.get("AppDefinedData", []),
    }
    return _of_group(GROUP_CREATED, group.group_id, body, origin)


def group_destroyed(group: Group, now_ms: int, origin: Origin) -> Notice:
    return _of_group(GROUP_DESTROYED, group.group_id, _described(group, now_ms), origin)


def quota_alarm(used: int, quota: int, now_ms: int, origin: Origin) -> Notice:
    """More than 70 % of the day's net new groups are there."""
    return _of_group(QUOTA_ALARM, "", {"QuotaUsed": used, "Quota": quota, "EventTime": str(now_ms)}, origin)


def _described(group: Group, now_ms: int) -> dict[str, Any]:
    # A live group may have any number of members, and the vendor names none of them.
    members = () if group.type == groups.LIVE else group.members
    return {
        "GroupId": group.group_id,
        "Type": group.type,
        "Owner_Account": group.owner,
        "Name": group.details.get("Name", ""),
        "MemberList": [{"Member_Account": user_id} for user_id in members],
        "EventTime": str(now_ms),
    }


def _of_group(command: str, about: str, body: dict[str, Any], origin: Origin) -> Notice:
    platform = REST_PLATFORM if origin.is_rest else _PLATFORMS.get(origin.platform, _UNKNOWN)
    return Notice(command, about, body, platform, origin.client_ip)

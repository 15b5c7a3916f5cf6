"""What the official web SDK asks after login, and the smallest answers that keep it content.

Recorded from `@tencentcloud/chat` 3.6.6. An error in answer to a question that it asks by itself ends a Node process,
and an error for a heartbeat makes it reconnect a hundred times a second; a bare OK to `sns.black_list_get` or
`recentcontact.page_get` makes it ask 1,500 times a second. So everything that it may ask by itself gets an OK.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

type_body = Callable[[int], dict[str, Any]]
"""Makes an answer's body from real time in Unix seconds."""

_WITHOUT_IDENTITY: Final = ("heartbeat.alive", "imopenstat.")
"""They speak for no user: the first heartbeat leaves together with the login, telemetry even after the logout."""

_SERVICES: Final = frozenset(
    {
        "group_open_attr_http_svc",
        "group_open_avchatroom_http_svc",
        "group_open_http_svc",
        "group_open_long_polling_http_svc",
        "heartbeat",
        "im_open_push",
        "im_open_status",
        "im_sdk_config_mgr",
        "imopenstat",
        "million_group_open_http_svc",
        "openim",
        "openim_msg_ext_http_svc",
        "profile",
        "recentcontact",
        "sns",
    }
)
"""Whatever else the SDK asks of these gets an empty OK."""


def _nothing(_now_s: int) -> dict[str, Any]:
    return {}


def _conversations(now_s: int) -> dict[str, Any]:
    return {
        "CompleteFlag": 1,
        "SessionItem": [],
        "TimeStamp": now_s,
        "StartIndex": 0,
        "TopTimeStamp": now_s,
        "TopStartIndex": 0,
    }


def _friends(_now_s: int) -> dict[str, Any]:
    return {
        "CompleteFlag": 1,
        "NextStartIndex": 0,
        "StandardSequence": 0,
        "CustomSequence": 0,
        "UserDataItem": [],
        "FriendNum": 0,
    }


_BODIES: Final[Mapping[str, type_body]] = {
    "im_open_status.wshello": lambda now_s: {"TimeStamp": now_s},
    "profile.portrait_get_all": lambda _: {"UserProfileItem": [], "CurrentStandardSequence": 0},
    "sns.black_list_get": lambda _: {"StartIndex": 0, "CurruentSequence": 0, "BlackListItem": []},
    "recentcontact.page_get": _conversations,
    "recentcontact.get_contact_group": lambda _: {"ContactGroupItem": [], "NextStartIndex": 0},
    "million_group_open_http_svc.get_joined_group_list": lambda _: {"TotalCount": 0, "GroupIdList": []},
    "openim.getmsg": lambda _: {"SyncFlag": 2, "MsgList": [], "Cookie": ""},
    "sns.friend_get": _friends,
    "sns.group_get": lambda _: {"CurrentSequence": 0, "ResultItem": []},
    "sns.pendency_get": lambda now_s: {
        "StartTime": now_s,
        "UnreadPendencyCount": 0,
        "CurrentPendencySequence": 0,
        "PendencyItem": [],
    },
    "im_sdk_config_mgr.fetch_imsdk_purchase_bitsv2": lambda _: {"PurchaseBits": 0},
}


def needs_identity(servcmd: str) -> bool:
    """Whether a request must prove, by `a2` and `tinyid`, which user it speaks for."""
    return not servcmd.startswith(_WITHOUT_IDENTITY)


def body_of(servcmd: str) -> type_body | None:
    """What to answer beside the OK; None for a command that this server does not imitate."""
    service, _, _ = servcmd.partition(".")
    if service not in _SERVICES:
        return None
    return _BODIES.get(servcmd) or _nothing

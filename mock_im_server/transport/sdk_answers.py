"""What the official web SDK asks after login, and the smallest answers that bring it to SDK_READY.

Recorded from `@tencentcloud/chat` 3.6.6. A bare "OK" without these fields makes it ask hundreds of times a second.
"""

from collections.abc import Callable
from typing import Any, Final

type_body = Callable[[int], dict[str, Any]]
"""Makes an answer's body from the app's time in Unix seconds."""


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


def _hello(now_s: int) -> dict[str, Any]:
    return {"TimeStamp": now_s}


SDK_ANSWERS: Final[dict[str, type_body]] = {
    "heartbeat.alive": _nothing,
    "im_open_status.wshello": _hello,
    "imopenstat.tim_web_report_v2": _nothing,
    "openim.ws_msg_push_ack": _nothing,
    "profile.portrait_get_all": lambda _: {"UserProfileItem": [], "CurrentStandardSequence": 0},
    "sns.black_list_get": lambda _: {
        "StartIndex": 0,
        "CurruentSequence": 0,
        "BlackListItem": [],
    },
    "recentcontact.page_get": _conversations,
    "recentcontact.get_contact_group": lambda _: {"ContactGroupItem": [], "NextStartIndex": 0},
    "group_open_http_svc.get_joined_group_list": lambda _: {"TotalCount": 0, "GroupIdList": []},
    "million_group_open_http_svc.get_joined_group_list": lambda _: {
        "TotalCount": 0,
        "GroupIdList": [],
    },
    "openim.getmsg": lambda _: {"SyncFlag": 2, "MsgList": [], "Cookie": ""},
    "sns.friend_get": _friends,
    "sns.group_get": lambda _: {"CurrentSequence": 0, "ResultItem": []},
    "sns.pendency_get": lambda now_s: {
        "StartTime": now_s,
        "UnreadPendencyCount": 0,
        "CurrentPendencySequence": 0,
        "PendencyItem": [],
    },
    "im_sdk_config_mgr.fetch_config": _nothing,
    "im_sdk_config_mgr.fetch_imsdk_purchase_bitsv2": lambda _: {"PurchaseBits": 0},
}

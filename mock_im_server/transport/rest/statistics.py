"""The service `openconfigsvr`: what happened in the last thirty days (1047/34886). Every value is a string."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from mock_im_server.domain import groups, plans
from mock_im_server.domain.calendar import iso_day
from mock_im_server.recovery import DELETED_IN_DAY
from mock_im_server.service import App, Origin
from mock_im_server.transport.rest.command import Answer, Command
from mock_im_server.wire import codes

DAYS: Final = 30
"""The current billing day, as far as it has come, and those before it."""

COUNTED: Final = (
    "RegistUserNumOneDay",
    "LoginTimes",
    "C2CUpMsgNum",
    "C2CDownMsgNum",
    "C2CSendMsgUserNum",
    "C2CAPNSMsgNum",
    "SendMsgUserNum",
    "MaxOnlineNum",
    "ChainIncrease",
    "ChainDecrease",
    "GroupUpMsgNum",
    "GroupDownMsgNum",
    "GroupSendMsgUserNum",
    "GroupAPNSMsgNum",
    "GroupSendMsgGroupNum",
    "GroupJoinGroupTimes",
    "GroupQuitGroupTimes",
    "GroupNewGroupNum",
    "GroupDestroyGroupNum",
    "CallBackReq",
    "CallBackRsp",
)
"""Kept by the service under these names. What is not imitated (offline push, friends) stays at 0."""

SUMS: Final[dict[str, Callable[[Counter[str]], int]]] = {
    "UpMsgNum": lambda day: day["C2CUpMsgNum"] + day["GroupUpMsgNum"],
    "DownMsgNum": lambda day: day["C2CDownMsgNum"] + day["GroupDownMsgNum"],
    "APNSMsgNum": lambda day: day["C2CAPNSMsgNum"] + day["GroupAPNSMsgNum"],
}


class Ask(msgspec.Struct):
    """Body of `getappinfo`; without `RequestField` all fields are meant."""

    RequestField: list[str] | None = None


class AppInfo(Answer, kw_only=True):
    """Answer of `getappinfo`: a day each, the newest first."""

    ErrorInfo: str = "OK"
    Result: list[dict[str, str]]


async def _app_info(app: App, _origin: Origin, body: Ask) -> Answer:
    """The figures of the last thirty days."""
    today = app.calendar.day(await app.settled_ms())
    days = range(today, today - DAYS, -1)
    logins = await app.store.sizes([plans.active_users(day) for day in days])
    accounts, all_groups = await app.store.sizes([plans.ACCOUNTS, groups.GROUPS])
    result: list[dict[str, str]] = []
    for day, users in zip(days, logins, strict=True):
        counters = app.statistics.of_day(day)
        fields: dict[str, object] = {
            "AppName": f"app {app.settings.sdkappid}",
            "AppId": app.settings.sdkappid,
            "Company": "",
            # Which of the two the vendor bills is not documented; here they are the same.
            "ActiveUserNum": users,
            "LoginUserNum": users,
            # The admin is registered too, but is none of the accounts.
            "RegistUserNumTotal": max(0, accounts),
            "GroupAllGroupNum": all_groups,
        }
        fields |= {name: counters[name] for name in COUNTED}
        fields |= {name: add(counters) for name, add in SUMS.items()}
        wanted = fields if not body.RequestField else [name for name in body.RequestField if name in fields]
        date = iso_day(day).replace("-", "")
        result.append({name: str(fields[name]) for name in wanted} | {"Date": date})
        # How many there were at the end of the day before.
        accounts -= counters["RegistUserNumOneDay"] - counters[DELETED_IN_DAY]
        all_groups -= counters["GroupNewGroupNum"] - counters["GroupDestroyGroupNum"]
    return AppInfo(Result=result)


COMMANDS: Final = (Command("openconfigsvr/getappinfo", Ask, _app_info, codes.STATISTICS_JSON, AppInfo),)

"""The service `openim`: who is online (1047/35477), and messages to users (1047/34920 and the page before)."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from mock_im_server.domain.plans import ADMIN
from mock_im_server.service import App, Message, Origin
from mock_im_server.service.messages import NO_SESSION
from mock_im_server.transport.rest.command import Answer, Command, Refused, nests_too_deep
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

ACCOUNTS_MAX: Final = 500
MESSAGE_BYTES_MAX: Final = 8_000
LIFE_TIME_S_MAX: Final = 604_800
KEEP_FROM_OWN_DEVICES: Final = 2
"""`SyncOtherMachine`: 1, or nothing, shows the message on the sender's own devices too."""

PLATFORMS: Final = {1: "PC", 2: "Android", 3: "iPhone", 4: "iPad", 5: "Mac", 7: "Web"}
"""The vendor's names for the platforms of a login; a number that is none of them is a PC (assumed)."""

UInt32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]


class AskStatus(msgspec.Struct):
    """Body of `query_online_status`."""

    To_Account: list[str] | None = None
    IsNeedDetail: int | None = None


class Device(msgspec.Struct):
    """A platform on which a user is online."""

    Platform: str
    Status: str


class Status(msgspec.Struct):
    """Whether a user is online, under the newer key `Status` and the older `State`; `Detail` only if asked for."""

    To_Account: str
    Status: str
    State: str
    Detail: list[Device] | msgspec.UnsetType = msgspec.UNSET


class Failed(msgspec.Struct):
    """An account for which a request failed."""

    To_Account: str
    ErrorCode: int


class Statuses(Answer, kw_only=True):
    """Answer of `query_online_status`."""

    QueryResult: list[Status]
    ErrorList: list[Failed]


class Element(msgspec.Struct):
    """A part of a message; what it holds is the app's affair."""

    MsgType: str
    MsgContent: dict[str, Any]


class Said(msgspec.Struct, kw_only=True):
    """What messages to one user and to many have in common."""

    From_Account: str | None = None
    MsgSeq: UInt32 | None = None
    MsgRandom: UInt32 | None = None
    MsgLifeTime: int | None = None
    SyncOtherMachine: int | None = None
    MsgBody: list[Element] | None = None
    CloudCustomData: str | None = None


class SendOne(Said, kw_only=True):
    """Body of `sendmsg`."""

    To_Account: str | None = None


class SendMany(Said, kw_only=True):
    """Body of `batchsendmsg`."""

    To_Account: list[str] | None = None


class SentOne(Answer, kw_only=True):
    """Answer of `sendmsg`."""

    MsgTime: int
    MsgKey: str


class SentMany(Answer, kw_only=True):
    """Answer of `batchsendmsg`."""

    MsgKey: str
    ErrorList: list[Failed]


async def _ask_status(app: App, _origin: Origin, body: AskStatus) -> Answer:
    """Say of up to 500 users whether they are online."""
    user_ids = _receivers(body.To_Account)
    exist = await app.accounts.exist(user_ids)
    platforms = await app.accounts.platforms(user_ids)
    known = [(user_id, on) for user_id, there, on in zip(user_ids, exist, platforms, strict=True) if there]
    return Statuses(
        QueryResult=[_status(user_id, on, with_detail=bool(body.IsNeedDetail)) for user_id, on in known],
        ErrorList=_failed(user_ids, exist, codes.ACCOUNT_UNKNOWN),
    )


async def _send_one(app: App, _origin: Origin, body: SendOne) -> Answer:
    """Send a message to a user."""
    return await sent_to_one(app, body)


async def sent_to_one(app: App, body: SendOne, *, session: tuple[int, int] = NO_SESSION) -> Answer:
    """Send what a user or the admin says to a user. Raises Refused."""
    if not is_user_id(body.To_Account):
        raise Refused(codes.MESSAGE_NO_RECEIVER)
    message = (await _message(app, body))._replace(session=session)
    if not (await app.accounts.exist([body.To_Account]))[0]:
        raise Refused(codes.MESSAGE_RECEIVER_UNKNOWN)
    sent = await app.messages.to_users([body.To_Account], message, to_own_devices=_shows_own(body))
    return SentOne(MsgTime=sent.time_s, MsgKey=sent.key(message.random))


async def _send_many(app: App, _origin: Origin, body: SendMany) -> Answer:
    """Send a message to up to 500 users; those that do not exist are named in `ErrorList`."""
    user_ids = _receivers(body.To_Account)
    message = await _message(app, body, too_long=codes.MESSAGES_TOO_LONG)
    exist = await app.accounts.exist(user_ids)
    known = [user_id for user_id, there in zip(user_ids, exist, strict=True) if there]
    sent = await app.messages.to_users(known, message, to_own_devices=_shows_own(body))
    return SentMany(MsgKey=sent.key(message.random), ErrorList=_failed(user_ids, exist, codes.MESSAGE_RECEIVER_UNKNOWN))


_FIELDS: Final = {
    "MsgBody": codes.MESSAGE_NO_LIST,
    "MsgBody[": codes.MESSAGE_BAD_BODY,
    "To_Account": codes.MESSAGE_NO_RECEIVER,
    "From_Account": codes.MESSAGE_NO_SENDER,
    "MsgRandom": codes.MESSAGE_NO_RANDOM,
    "MsgLifeTime": codes.MESSAGE_LIFE_TIME_NO_NUMBER,
    "SyncOtherMachine": codes.MESSAGE_BAD_SYNC,
}
COMMANDS: Final = (
    Command("openim/query_online_status", AskStatus, _ask_status, codes.MESSAGE_JSON, Statuses, _FIELDS),
    # The older name.
    Command("openim/querystate", AskStatus, _ask_status, codes.MESSAGE_JSON, Statuses, _FIELDS),
    Command("openim/sendmsg", SendOne, _send_one, codes.MESSAGE_JSON, SentOne, _FIELDS),
    Command("openim/batchsendmsg", SendMany, _send_many, codes.MESSAGE_JSON, SentMany, _FIELDS),
)


def elements(body: list[Element]) -> list[dict[str, Any]]:
    """As they go over the wire."""
    return [{"MsgType": element.MsgType, "MsgContent": element.MsgContent} for element in body]


def is_too_long(body: list[dict[str, Any]]) -> bool:
    return len(msgspec.json.encode(body)) > MESSAGE_BYTES_MAX


async def _message(app: App, body: Said, *, too_long: int = codes.MESSAGE_TOO_LONG) -> Message:
    """Raises Refused."""
    if not body.MsgBody:
        raise Refused(codes.MESSAGE_NO_LIST)
    if body.MsgRandom is None:
        raise Refused(codes.MESSAGE_NO_RANDOM)
    if body.MsgLifeTime is not None and not 0 <= body.MsgLifeTime <= LIFE_TIME_S_MAX:
        raise Refused(codes.MESSAGE_BAD_LIFE_TIME)
    parts = elements(body.MsgBody)
    if nests_too_deep(parts):
        raise Refused(codes.MESSAGE_BAD_BODY)
    if is_too_long(parts):
        raise Refused(too_long)
    sender = body.From_Account or ADMIN
    if sender != ADMIN and not (is_user_id(sender) and (await app.accounts.exist([sender]))[0]):
        raise Refused(codes.MESSAGE_NO_SENDER)
    return Message(
        sender,
        parts,
        body.MsgRandom,
        body.MsgSeq or 0,
        body.CloudCustomData or "",
        is_online_only=body.MsgLifeTime == 0,
    )


def _shows_own(body: Said) -> bool:
    return body.SyncOtherMachine != KEEP_FROM_OWN_DEVICES


def _receivers(user_ids: list[str] | None) -> list[str]:
    """Each once, as sent. Raises Refused."""
    if not user_ids or not all(map(is_user_id, user_ids)):
        raise Refused(codes.MESSAGE_NO_RECEIVER)
    if len(user_ids) > ACCOUNTS_MAX:
        raise Refused(codes.MESSAGE_TOO_MANY)
    return list(dict.fromkeys(user_ids))


def _failed(user_ids: Sequence[str], exist: Sequence[bool], code: int) -> list[Failed]:
    return [Failed(user_id, code) for user_id, there in zip(user_ids, exist, strict=True) if not there]


def _status(user_id: str, platforms: Sequence[int], *, with_detail: bool) -> Status:
    state = "Online" if platforms else "Offline"
    found = Status(user_id, state, state)
    if with_detail and platforms:
        found.Detail = [Device(PLATFORMS.get(platform, "PC"), "Online") for platform in sorted(set(platforms))]
    return found

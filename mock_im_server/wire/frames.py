"""Frames of the gateway: binary WebSocket messages that carry JSON `{"head": …, "body": …}`.

What the official web SDK sends and expects was recorded from it; `docs/wire.md` tells the story.
"""

from typing import Annotated, Any, Final

import msgspec

LOGIN: Final = "im_open_status.wslogin"
LOGOUT: Final = "im_open_status.wslogout"

HELLO_INTERVAL_S: Final = 120
"""The vendor's SDKs greet every two minutes."""
TINY_ID_BASE: Final = 1 << 57
"""TinyIds are the dense user numbers above this, as large as the vendor's own."""

INT64_MAX: Final = (1 << 63) - 1
INT16_MAX: Final = (1 << 15) - 1

_LENGTH_16: Final = 126
_LENGTH_16_MAX: Final = 0xFFFF


# What the journal's columns hold: a number beyond them makes a request malformed.
_Int64 = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
_Int16 = Annotated[int, msgspec.Meta(ge=0, le=INT16_MAX)]


class Head(msgspec.Struct):
    """What the server reads of a request's head; the SDK sends more."""

    servcmd: str
    seq: _Int64
    sdkappid: _Int64 = 0
    identifier: str = ""
    usersig: str = ""
    a2: str = ""
    tinyid: str = ""
    status_instid: _Int64 = 0
    platform: _Int16 = 0


class Frame(msgspec.Struct):
    """A request."""

    head: Head
    body: msgspec.Raw = msgspec.Raw(b"{}")


class _LooseFrame(msgspec.Struct):
    head: dict[str, Any]


decode: Final = msgspec.json.Decoder(Frame).decode
"""Raises one of MALFORMED when the bytes are no request."""
_decode_loosely: Final = msgspec.json.Decoder(_LooseFrame).decode

MALFORMED: Final = (ValueError, RecursionError)
"""msgspec.DecodeError is a ValueError, and so is the error for bytes that are no UTF-8; brackets can nest too deep."""


def echoed(data: bytes) -> Head:
    """What can be saved of a malformed request's head: the client pairs answers by `servcmd` and `seq`."""
    try:
        head = _decode_loosely(data).head
    except MALFORMED:
        return Head("", 0)
    servcmd, seq = head.get("servcmd"), head.get("seq")
    return Head(
        servcmd if isinstance(servcmd, str) else "",
        seq if type(seq) is int and 0 <= seq <= INT64_MAX else 0,
    )


_LOGIN_ANSWER: Final = (
    '{"head":{"ver":"v4","servcmd":"im_open_status.wslogin","seq":%d,"sdkappid":%d,"status_instid":%d,"tinyid":"%d"},'
    '"body":{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","A2Key":"%s","TinyId":"%d","InstId":%d,'
    f'"HelloInterval":{HELLO_INTERVAL_S},"TimeStamp":%d,"ClientTime":%d,"BizSigInfo":""}}}}'
)


def login_answer(head: Head, number: int, instance: int, a2: str, now_s: int) -> bytes:
    """The answer to an admitted login. Without `A2Key` and `TinyId` the SDK fails with 2022 and 2023.

    Formatting beats a JSON encoder here: every part is a number or hex.
    """
    tiny_id = TINY_ID_BASE + number
    return (_LOGIN_ANSWER % (head.seq, head.sdkappid, instance, tiny_id, a2, tiny_id, instance, now_s, now_s)).encode()


def answer(head: Head, code: int, text: str, body: dict[str, Any] | None = None) -> bytes:
    """An answer with the envelope's three fields and what else the command needs."""
    envelope = {
        "ActionStatus": "FAIL" if code else "OK",
        "ErrorCode": code,
        "ErrorInfo": text,
    }
    return answered(head, envelope | (body or {}))


def answered(head: Head, body: object) -> bytes:
    """An answer whose body has its envelope already."""
    echoed: dict[str, Any] = {
        "ver": "v4",
        "servcmd": head.servcmd,
        "seq": head.seq,
        "sdkappid": head.sdkappid,
        "status_instid": head.status_instid,
    }
    if head.tinyid:
        echoed["tinyid"] = head.tinyid
    return msgspec.json.encode({"head": echoed, "body": body})


def push(servcmd: str, sdkappid: int, number: int, instance: int, body: dict[str, Any]) -> bytes:
    """A frame that the server sends by itself; `seq` 0 answers nothing. It names its session: a trunk carries many."""
    head = {
        "ver": "v4",
        "servcmd": servcmd,
        "seq": 0,
        "sdkappid": sdkappid,
        "status_instid": instance,
        "tinyid": str(TINY_ID_BASE + number),
    }
    return msgspec.json.encode({"head": head, "body": body})


def kick(sdkappid: int, number: int, instance: int, kick_type: int) -> bytes:
    """The push that ends a session; the SDK wants the notice inside an event (recorded from it)."""
    notice = {"KickoutMsgNotify": {"KickType": kick_type}}
    event = {"Event": 10, "C2cNotifyMsgArray": [notice]}
    return push("im_open_status.stat_forceoffline", sdkappid, number, instance, {"EventArray": [event]})


def websocket_message(payload: bytes) -> bytes:
    """One unmasked binary frame (RFC 6455, 5.2), ready for the socket.

    Made here rather than by aiohttp's writer because that one is a coroutine for each frame; the gateway writes without
    awaiting, so that a peer that does not read holds up nobody.
    """
    size = len(payload)
    if size < _LENGTH_16:
        return b"\x82%c%b" % (size, payload)
    if size <= _LENGTH_16_MAX:
        return b"\x82\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x82\x7f%b%b" % (size.to_bytes(8, "big"), payload)

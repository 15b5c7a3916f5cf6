"""What goes over the wire for each arrival: the vendor's frames and REST calls, and calls of the control API."""

import json
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from im_load import population
from im_load.plans import Plan
from im_load.plans.arrivals import (
    BAD_SIG_CODES,
    CREATE,
    DELETE,
    DESTROY,
    END_CALL,
    GOOD_SIG,
    IMPORT,
    JOIN,
    OPEN_CALL_TRIAL,
    QUIT,
    START_CALL,
    VERBS,
)
from mock_im_server.wire import usersig
from mock_im_server.wire.moves import MOVE

ADMIN: Final = "administrator"
USERSIG_EXPIRE_S: Final = 86_400
GROUP_NAME: Final = "a group under load"

SAMPLE_NAMES: Final = ("wslogin", *VERBS[1:])
"""What Locust's tables call an admitted request, by verb."""
REFUSED_NAMES: Final = tuple(f"{name} refused" for name in SAMPLE_NAMES)

LOGIN_COMMAND: Final = "im_open_status.wslogin"
_GROUP_SERVICE: Final = "group_open_http_svc"
_GROUP_COMMANDS: Final[Mapping[int, str]] = {
    CREATE: "create_group",
    DESTROY: "destroy_group",
    JOIN: "apply_join_group",
    QUIT: "quit_group",
}
_REST_COMMANDS: Final[Mapping[int, str]] = {
    IMPORT: "im_open_login_svc/account_import",
    DELETE: "im_open_login_svc/account_delete",
    CREATE: f"{_GROUP_SERVICE}/create_group",
    DESTROY: f"{_GROUP_SERVICE}/destroy_group",
}


class Frames:
    """Frames of the gateway, each with the smallest head that the format allows."""

    def __init__(self, plan: Plan, sdkappid: int, key: str) -> None:
        self._plan = plan
        self._sdkappid = sdkappid
        self._mac = usersig.mac_of(key)
        self._wrong_mac = usersig.mac_of(key + "-not")
        self._signed_s = 0

    def sign_from(self, signed_s: int) -> None:
        """The second of which UserSigs are dated from now on."""
        self._signed_s = signed_s

    def login(self, user: int, device: int, platform: int, sig: int, seq: int) -> bytes:
        """The vendor's login frame; head and UserSig name app, user and device."""
        user_id = population.user_id(user)
        signature = self._usersig(user_id, sig)
        return (
            f'{{"head":{{"ver":"v4","platform":{platform},"sdkappid":{self._sdkappid},"contenttype":"json",'
            f'"status_instid":{device},"servcmd":"{LOGIN_COMMAND}","seq":{seq},'
            f'"identifier":"{user_id}","usersig":"{signature}"}},"body":{{"State":"Online"}}}}'
        ).encode()

    def resume(self, device: int, platform: int, ticket: bytes, seq: int) -> bytes:
        """Take a session up again; `ticket` is what `ticket_of` made of the login's answer."""
        a2, tiny_id = ticket.decode().split()
        return self.take_up(f'"status_instid":{device},"a2":"{a2}","tinyid":"{tiny_id}"', platform, seq)

    def take_up(self, session: str, platform: int, seq: int) -> bytes:
        """The same with what `session_of` made of the login's answer."""
        return (
            f'{{"head":{{"ver":"v4","platform":{platform},"sdkappid":{self._sdkappid},"contenttype":"json",'
            f'{session},"servcmd":"{LOGIN_COMMAND}","seq":{seq}}},"body":{{"State":"Online"}}}}'
        ).encode()

    def of_group(self, verb: int, user: int, group: int, platform: int, session: str, seq: int) -> bytes:  # noqa: PLR0913, PLR0917 -- called a million times: positions are cheaper
        """A group command; `session` is what `session_of` made of the login's answer."""
        group_id = self._plan.group_id(group)
        body = f'"GroupId":"{group_id}"'
        if verb == CREATE:
            body = (
                f'"Type":"{self._plan.group_type(group)}","Name":"{GROUP_NAME}",{body},'
                f'"Owner_Account":"{population.user_id(user)}"'
            )
        return (
            f'{{"head":{{"ver":"v4","platform":{platform},"sdkappid":{self._sdkappid},"contenttype":"json",{session},'
            f'"servcmd":"{_GROUP_SERVICE}.{_GROUP_COMMANDS[verb]}","seq":{seq}}},"body":{{{body}}}}}'
        ).encode()

    def _usersig(self, user_id: str, sig: int) -> str:
        sdkappid, signed_s = self._sdkappid, self._signed_s
        if sig == GOOD_SIG:
            return usersig.sign(self._mac, sdkappid, user_id, signed_s, USERSIG_EXPIRE_S)
        spoilt: dict[int, Callable[[], str]] = {
            70001: lambda: usersig.sign(self._mac, sdkappid, user_id, signed_s - 7_200, 3_600),
            70002: lambda: "",
            70003: lambda: "bm90LXpsaWI_",
            70009: lambda: usersig.sign(self._wrong_mac, sdkappid, user_id, signed_s, USERSIG_EXPIRE_S),
            70013: lambda: usersig.sign(self._mac, sdkappid, f"{user_id}x", signed_s, USERSIG_EXPIRE_S),
            70014: lambda: usersig.sign(self._mac, sdkappid + 1, user_id, signed_s, USERSIG_EXPIRE_S),
        }
        return spoilt[BAD_SIG_CODES[sig - 1]]()


# A push answers nothing: it has `seq` 0 and need not have a code.
class _AnswerHead(msgspec.Struct):
    seq: int = 0


class _AnswerBody(msgspec.Struct):
    ErrorCode: int = 0


class _AnswerFrame(msgspec.Struct):
    head: _AnswerHead
    body: _AnswerBody


class _LoginBody(msgspec.Struct):
    ErrorCode: int
    A2Key: str = ""
    TinyId: str = ""
    InstId: int = 0


class _LoginFrame(msgspec.Struct):
    head: _AnswerHead
    body: _LoginBody


class _PushHead(msgspec.Struct):
    servcmd: str = ""


class _PushBody(msgspec.Struct):
    Version: int = 0


class _PushFrame(msgspec.Struct):
    head: _PushHead
    body: _PushBody


decode_answer: Final = msgspec.json.Decoder(_AnswerFrame).decode
_decode_login: Final = msgspec.json.Decoder(_LoginFrame).decode
_decode_push: Final = msgspec.json.Decoder(_PushFrame).decode


def session_of(answer: bytes) -> str:
    """The part of a head by which a user speaks after login."""
    body = _decode_login(answer).body
    return f'"status_instid":{body.InstId},"a2":"{body.A2Key}","tinyid":"{body.TinyId}"'


def ticket_of(answer: bytes) -> bytes:
    """The part of a login's answer by which its session is taken up again: short, as a driver keeps a million."""
    body = _decode_login(answer).body
    return f"{body.A2Key} {body.TinyId}".encode()


def moved_version(push: bytes) -> int | None:
    """Of a push that asks to move to another access point the version of the routing table; None of any other."""
    frame = _decode_push(push)
    return frame.body.Version if frame.head.servcmd == MOVE else None


class RestCalls:
    """Calls of the vendor's REST API, in the name of the app's admin."""

    def __init__(self, plan: Plan, sdkappid: int, key: str) -> None:
        self._plan = plan
        self._sdkappid = sdkappid
        self._mac = usersig.mac_of(key)
        self._paths: dict[int, str] = {}

    def sign_from(self, signed_s: int) -> None:
        """The second of which the admin's UserSig is dated from now on."""
        signature = usersig.sign(self._mac, self._sdkappid, ADMIN, signed_s, USERSIG_EXPIRE_S)
        # `random` may repeat: no client may rely on it, and no server does (`docs/wire.md`).
        query = f"sdkappid={self._sdkappid}&identifier={ADMIN}&usersig={signature}&random=1&contenttype=json"
        self._paths = {verb: f"/v4/{command}?{query}" for verb, command in _REST_COMMANDS.items()}

    def call(self, verb: int, user: int, group: int) -> tuple[str, bytes]:
        """Path and body."""
        return self._paths[verb], self._body(verb, user, group).encode()

    def _body(self, verb: int, user: int, group: int) -> str:
        if verb == IMPORT:
            return f'{{"UserID":"{population.user_id(user)}"}}'
        if verb == DELETE:
            return f'{{"DeleteItem":[{{"UserID":"{population.user_id(user)}"}}]}}'
        group_id = self._plan.group_id(group)
        if verb == DESTROY:
            return f'{{"GroupId":"{group_id}"}}'
        owner = f',"Owner_Account":"{population.user_id(user)}"' if user >= 0 else ""
        group_type = self._plan.group_type(group)
        return f'{{"Type":"{group_type}","Name":"{GROUP_NAME}","GroupId":"{group_id}"{owner}}}'

    @staticmethod
    def code(answer: bytes) -> int:
        """The outcome; of a call about one account the account's own. Raises ValueError when it is no answer."""
        found = _decode_rest(answer)
        return found.ErrorCode or (found.ResultItem[0].ResultCode if found.ResultItem else 0)


class _Item(msgspec.Struct):
    ResultCode: int = 0


class _RestAnswer(msgspec.Struct):
    ErrorCode: int
    ResultItem: list[_Item] = []


_decode_rest: Final = msgspec.json.Decoder(_RestAnswer).decode


class ControlCalls:
    """Calls of the control API that belong to a scenario: the call trial has no door of the vendor's."""

    def __init__(self, plan: Plan, sdkappid: int, prefix: str) -> None:
        self._plan = plan
        self._app = f"{prefix}/apps/{sdkappid}"

    def call(self, verb: int, _user: int, number: int) -> tuple[str, bytes]:
        """Path and body."""
        if verb == OPEN_CALL_TRIAL:
            return f"{self._app}/call_trial", b"{}"
        call_id = self._plan.group_id(number)
        if verb == END_CALL:
            return f"{self._app}/calls/{call_id}/end", b"{}"
        assert verb == START_CALL, "nothing else goes to the control API"
        participants = [
            {"user_id": population.user_id(user), "tier": tier} for user, tier in self._plan.participants(number)
        ]
        return f"{self._app}/calls", json.dumps({"call_id": call_id, "participants": participants}).encode()

    @staticmethod
    def code(answer: bytes) -> int:
        """The outcome. Raises ValueError when it is no answer."""
        return _decode_control(answer).code


class _ControlAnswer(msgspec.Struct):
    code: int


_decode_control: Final = msgspec.json.Decoder(_ControlAnswer).decode

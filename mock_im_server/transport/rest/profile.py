"""The service `profile`: what users say of themselves."""

import re
from typing import Any, Final

import msgspec

from mock_im_server.domain.plans import ADMIN
from mock_im_server.service import App, Origin
from mock_im_server.transport.rest.accounts import PROFILE_VALUE_BYTES_MAX
from mock_im_server.transport.rest.command import Answer, Command, Refused
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

ACCOUNTS_MAX: Final = 100

_TEXT: Final = frozenset({"Nick", "Location", "SelfSignature", "AllowType", "Image", "AdminForbidType", "Gender"})
_NUMBER: Final = frozenset({"BirthDay", "Language", "MsgSettings", "Level", "Role"})
_TAG: Final = re.compile(r"Tag_Profile_IM_([A-Za-z]+)|Tag_Profile_Custom_[A-Za-z]{1,8}", re.ASCII)
"""A field of the app's own needs no registration here, unlike in the vendor's console."""


class Field(msgspec.Struct):
    """A field and what it says."""

    Tag: str
    Value: str | int | None = None


class Set(msgspec.Struct):
    """Body of `portrait_set`."""

    From_Account: str | None = None
    ProfileItem: list[Field] | None = None


class WasSet(Answer, kw_only=True):
    """Answer of `portrait_set`."""

    ErrorDisplay: str = ""


class Get(msgspec.Struct):
    """Body of `portrait_get`."""

    To_Account: list[str] | None = None
    TagList: list[str] | None = None


class Profile(msgspec.Struct):
    """The fields of a user that were set before."""

    To_Account: str
    ProfileItem: list[Field]
    ResultCode: int = 0
    ResultInfo: str = ""


class Profiles(Answer, kw_only=True):
    """Answer of `portrait_get`."""

    UserProfileItem: list[Profile]
    Fail_Account: list[str] = []  # noqa: RUF012 -- msgspec copies it
    ErrorDisplay: str = ""


async def _set(app: App, _origin: Origin, body: Set) -> Answer:
    """Set fields of a user's profile; the others stay as they are."""
    if not is_user_id(body.From_Account):
        raise Refused(codes.PROFILE_NO_USER)
    values = {field.Tag: _checked(field) for field in body.ProfileItem or ()}
    if not values:
        raise Refused(codes.PROFILE_BAD_REQUEST)
    if not (await app.accounts.exist([body.From_Account]))[0]:
        raise Refused(codes.PROFILE_USER_UNKNOWN)
    app.profiles.set(body.From_Account, values)
    return WasSet()


async def _get(app: App, _origin: Origin, body: Get) -> Answer:
    """The profiles of up to 100 users, all fields or some."""
    user_ids = body.To_Account
    if not user_ids:
        raise Refused(codes.PROFILE_NO_USER)
    if len(user_ids) > ACCOUNTS_MAX or not all(map(is_user_id, user_ids)):
        raise Refused(codes.PROFILE_BAD_REQUEST)
    exist = await app.accounts.exist(user_ids)
    found = [
        _profile(app, user_id, body.TagList) if there or user_id == ADMIN else _unknown(user_id)
        for user_id, there in zip(user_ids, exist, strict=True)
    ]
    return Profiles(UserProfileItem=found, Fail_Account=[profile.To_Account for profile in found if profile.ResultCode])


COMMANDS: Final = (
    Command("profile/portrait_set", Set, _set, codes.PROFILE_BAD_REQUEST, WasSet),
    Command("profile/portrait_get", Get, _get, codes.PROFILE_BAD_REQUEST, Profiles),
)


def _checked(field: Field) -> object:
    """Raises Refused."""
    named = _TAG.fullmatch(field.Tag)
    if named is None or named[1] not in {None, *_TEXT, *_NUMBER}:
        raise Refused(codes.PROFILE_TAG_UNKNOWN)
    value: Any = field.Value
    if named[1] in _NUMBER and not isinstance(value, int):
        raise Refused(codes.PROFILE_BAD_TYPE)
    if named[1] in _TEXT and not isinstance(value, str):
        raise Refused(codes.PROFILE_BAD_TYPE)
    if isinstance(value, str) and len(value.encode()) > PROFILE_VALUE_BYTES_MAX:
        raise Refused(codes.PROFILE_VALUE_TOO_LONG)
    return value


def _profile(app: App, user_id: str, tags: list[str] | None) -> Profile:
    values: Any = app.profiles.get(user_id)
    return Profile(user_id, [Field(tag, value) for tag, value in values.items() if not tags or tag in tags])


def _unknown(user_id: str) -> Profile:
    code = codes.PROFILE_USER_UNKNOWN
    return Profile(user_id, [], code, codes.TEXTS[code])

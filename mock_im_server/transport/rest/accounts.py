"""The service `im_open_login_svc`: accounts (1047/34953 to 34957)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from mock_im_server.domain import plans
from mock_im_server.service import App, Origin
from mock_im_server.transport.rest.command import DONE, Answer, Command, Refused, refused
from mock_im_server.wire import codes
from mock_im_server.wire.user_ids import is_user_id

ACCOUNTS_MAX: Final = 100
"""Of one call that takes several."""
PROFILE_VALUE_BYTES_MAX: Final = 500

NICK: Final = "Tag_Profile_IM_Nick"
FACE_URL: Final = "Tag_Profile_IM_Image"


class Import(msgspec.Struct):
    """Body of `account_import`; `Identifier` is the older name of `UserID`."""

    UserID: str | None = None
    Identifier: str | None = None
    Nick: str | None = None
    FaceUrl: str | None = None


class ImportMany(msgspec.Struct):
    """Body of `multiaccount_import`."""

    Accounts: list[str] | None = None


class ImportedMany(Answer, kw_only=True):
    """Answer of `multiaccount_import`."""

    FailAccounts: list[str]


class Item(msgspec.Struct):
    """One of the accounts that a call is about."""

    UserID: str | None = None


class Delete(msgspec.Struct):
    """Body of `account_delete`."""

    DeleteItem: list[Item] | None = None


class Check(msgspec.Struct):
    """Body of `account_check`."""

    CheckItem: list[Item] | None = None


class ItemResult(msgspec.Struct, omit_defaults=True):
    """What became of one account; `AccountStatus` only where it was asked for."""

    UserID: str
    ResultCode: int
    ResultInfo: str
    AccountStatus: str | None = None


class Results(Answer, kw_only=True):
    """Answer of `account_delete` and `account_check`."""

    ResultItem: list[ItemResult]


class Kick(msgspec.Struct):
    """Body of `kick`; `Identifier` is the older name of `UserID`."""

    UserID: str | None = None
    Identifier: str | None = None


async def _import(app: App, origin: Origin, body: Import) -> Answer:
    """Import one account."""
    user_id = body.UserID or body.Identifier
    if not is_user_id(user_id):
        raise Refused(codes.BAD_ACCOUNT)
    profile = _profile(body)
    (code,) = await app.accounts.import_all((user_id,), origin)
    if code:
        raise Refused(code)
    if profile:
        app.profiles.set(user_id, profile)
    return DONE


async def _import_many(app: App, origin: Origin, body: ImportMany) -> Answer:
    """Import up to 100 accounts: the first that fit succeed, the others are named in `FailAccounts`."""
    user_ids = _checked(body.Accounts)
    found = await app.accounts.import_all(user_ids, origin)
    failed = [user_id for user_id, code in zip(user_ids, found, strict=True) if code]
    answer = ImportedMany(FailAccounts=failed)
    return refused(answer, max(found)) if failed else answer


async def _delete(app: App, origin: Origin, body: Delete) -> Answer:
    """Delete up to 100 accounts and what belongs to them; 71000 where the plan does not allow it."""
    user_ids = _checked([item.UserID or "" for item in body.DeleteItem or ()])
    found = await app.accounts.delete_all(user_ids, origin)
    if plans.DELETE_REFUSED in found:
        raise Refused(plans.DELETE_REFUSED)
    pairs = zip(user_ids, found, strict=True)
    return Results(ResultItem=[ItemResult(user_id, code, codes.TEXTS[code]) for user_id, code in pairs])


async def _check(app: App, _origin: Origin, body: Check) -> Answer:
    """Say of up to 100 accounts whether they exist."""
    user_ids = _checked([item.UserID or "" for item in body.CheckItem or ()])
    exist = await app.accounts.exist(user_ids)
    pairs = zip(user_ids, exist, strict=True)
    return Results(
        ResultItem=[ItemResult(user_id, 0, "", "Imported" if there else "NotImported") for user_id, there in pairs]
    )


async def _kick(app: App, origin: Origin, body: Kick) -> Answer:
    """End all sessions of a user; UserSigs made before do not hold any more."""
    user_id = body.UserID or body.Identifier
    if not is_user_id(user_id):
        raise Refused(codes.BAD_ACCOUNT)
    code = await app.accounts.kick(user_id, origin)
    if code:
        raise Refused(code)
    return DONE


_NO_STRING: Final = {"UserID": codes.ACCOUNT_NO_STRING, "Identifier": codes.ACCOUNT_NO_STRING}
COMMANDS: Final = (
    Command("im_open_login_svc/account_import", Import, _import, codes.BAD_ACCOUNT, malformed_fields=_NO_STRING),
    Command("im_open_login_svc/multiaccount_import", ImportMany, _import_many, codes.BAD_ACCOUNT, ImportedMany),
    Command("im_open_login_svc/account_delete", Delete, _delete, codes.BAD_ACCOUNT, Results),
    Command("im_open_login_svc/account_check", Check, _check, codes.BAD_ACCOUNT, Results),
    Command("im_open_login_svc/kick", Kick, _kick, codes.BAD_ACCOUNT, malformed_fields=_NO_STRING),
)


def _profile(body: Import) -> dict[str, object]:
    profile: dict[str, object] = {}
    for tag, value in ((NICK, body.Nick), (FACE_URL, body.FaceUrl)):
        if value:
            if len(value.encode()) > PROFILE_VALUE_BYTES_MAX:
                raise Refused(codes.PROFILE_VALUE_TOO_LONG)
            profile[tag] = value
    return profile


def _checked(user_ids: Sequence[str] | None) -> Sequence[str]:
    # What the vendor says to a list that is empty or too long is not documented: its "invalid parameter".
    if not user_ids or len(user_ids) > ACCOUNTS_MAX or not all(map(is_user_id, user_ids)):
        raise Refused(codes.BAD_ACCOUNT)
    return user_ids

"""Accounts: import, deletion, kick, and who is there."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mock_im_server import journal as log
from mock_im_server.domain import plans
from mock_im_server.domain.actions import Action, Outcome
from mock_im_server.journal import Row
from mock_im_server.recovery import DELETED_IN_DAY
from mock_im_server.service.origin import Origin

if TYPE_CHECKING:
    from mock_im_server.service.app import App

KICK_BY_REST: Final = 3
"""`KickType` of the push, as the SDK reads it."""


class Accounts:
    """The accounts of one app."""

    def __init__(self, app: "App") -> None:
        self._app = app

    async def import_all(self, user_ids: Sequence[str], origin: Origin = Origin()) -> list[int]:  # noqa: B008 -- immutable
        """For each, in order, 0 or the code of the refusal: the first that fit succeed.

        Importing a known UserID again succeeds and changes nothing; its row names no UserID, only the number.
        """
        app = self._app
        now_ms = await app.settled_ms()
        epoch = app.clock.epoch
        outcomes = await app.ordered([plans.import_of_account(app.plan, epoch, user_id) for user_id in user_ids])
        for user_id, outcome in zip(user_ids, outcomes, strict=True):
            kind = log.IMPORT_REFUSED if outcome.code else log.IMPORTED
            named = user_id if outcome.code or outcome.added else None
            app.journal.append(_row(kind, outcome, now_ms, named, origin))
            if outcome.added:
                app.statistics.count(app.calendar.day(now_ms), "RegistUserNumOneDay")
        return [outcome.code for outcome in outcomes]

    async def delete_all(self, user_ids: Sequence[str], origin: Origin = Origin()) -> list[int]:  # noqa: B008 -- immutable
        """For each 0 or the code of the refusal. What belongs to the user is gone for good; a used-up day stays so."""
        app = self._app
        now_ms = await app.settled_ms()
        if not self.may_delete:
            return await self._refuse_deletion(user_ids, now_ms, origin)
        at = app.instant(now_ms)
        joined = [await app.groups.of_user(user_id, with_live=True) for user_id in user_ids]
        outcomes = await app.ordered([app.rules.deletion(at, user_id) for user_id in user_ids])
        for user_id, outcome, groups in zip(user_ids, outcomes, joined, strict=True):
            if outcome.code:
                app.journal.append(_row(log.DELETE_REFUSED, outcome, now_ms, user_id, origin))
                continue
            app.journal.append(_row(log.DELETED, outcome, now_ms, None, origin))
            app.statistics.count(app.calendar.day(now_ms), DELETED_IN_DAY)
            app.profiles.forget(user_id)
            app.groups.forget(user_id, groups)
        # After all rows: it asks the store, which may be away by now.
        for outcome in outcomes:
            if not outcome.code:
                await app.end_sessions(outcome.number, KICK_BY_REST, now_ms)
        return [outcome.code for outcome in outcomes]

    async def _refuse_deletion(self, user_ids: Sequence[str], now_ms: int, origin: Origin) -> list[int]:
        """Refusals that need no store still have their places in the one order."""
        app = self._app
        outcomes = await app.ordered([Action(app.clock.epoch) for _ in user_ids])
        for user_id, outcome in zip(user_ids, outcomes, strict=True):
            refusal = outcome._replace(code=plans.DELETE_REFUSED)
            app.journal.append(_row(log.DELETE_REFUSED, refusal, now_ms, user_id, origin))
        return [plans.DELETE_REFUSED] * len(user_ids)

    @property
    def may_delete(self) -> bool:
        """Paid plans refuse deletion with 71000, unless the app has it switched on."""
        return self._app.plan.account_delete or self._app.settings.account_delete

    async def exist(self, user_ids: Sequence[str]) -> list[bool]:
        store = self._app.store
        accounts = await store.holds(plans.ACCOUNTS, user_ids)
        admins = await store.holds(plans.ADMINS, user_ids)
        return [account or admin for account, admin in zip(accounts, admins, strict=True)]

    async def kick(self, user_id: str, origin: Origin = Origin()) -> int:  # noqa: B008 -- immutable
        """End all sessions; UserSigs and tickets of before do not hold any more. 0, or 70107 for an unknown user."""
        app = self._app
        if not (await self.exist([user_id]))[0]:
            return plans.ACCOUNT_UNKNOWN
        (number,) = await app.store.numbers([user_id])
        app.refuse_usersigs(user_id, app.real_s())
        outcome, now_ms = await app.take_seq()
        text = json.dumps({"kick_type": KICK_BY_REST, "real_s": app.real_s()})
        app.journal.append(
            Row(
                outcome.seq, now_ms, log.KICKED, number, user_id, 0, 0, origin.connection, origin.request_seq, text=text
            )
        )
        await app.end_sessions(number, KICK_BY_REST, now_ms)
        return 0

    async def platforms(self, user_ids: Sequence[str]) -> list[list[int]]:
        """The platforms, by the vendor's numbers, on which each user is online."""
        numbers = await self._app.store.numbers(user_ids)
        sessions = self._app.sessions
        return [[session.platform for session in sessions.of_user(number)] for number in numbers]


def _row(kind: int, outcome: Outcome, now_ms: int, user_id: str | None, origin: Origin) -> Row:
    return Row(
        outcome.seq,
        now_ms,
        kind,
        outcome.number,
        user_id,
        connection=origin.connection,
        request_seq=origin.request_seq,
        code=outcome.code,
    )

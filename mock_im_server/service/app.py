"""An app at work: its sessions, its time and its money. Accounts, groups and calls stand in modules beside this one.

Takes the app's time once a batch, lets the domain build actions, the store decide and the journal keep, and only then
returns what is to be answered.
"""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from mock_im_server import journal as log
from mock_im_server.domain import billing, groups, plans
from mock_im_server.domain.actions import STALE_EPOCH, Action, Draw, Effects, Outcome, Peak
from mock_im_server.domain.apps import CONNECTIONS, AppSettings, Rules
from mock_im_server.domain.attempts import FailedChecks
from mock_im_server.domain.calendar import iso_day, month_days, month_of
from mock_im_server.domain.calls import CallTrial
from mock_im_server.domain.clock import Clock
from mock_im_server.journal import Appendable, Row
from mock_im_server.pieces import emptied
from mock_im_server.recovery import Folded, FoundRouting
from mock_im_server.service import notices
from mock_im_server.service.accounts import Accounts
from mock_im_server.service.calls import Calls
from mock_im_server.service.faults import FaultsOfApp
from mock_im_server.service.groups import Groups
from mock_im_server.service.kept import Kept
from mock_im_server.service.messages import Messages
from mock_im_server.service.notices import Listener, StateChange
from mock_im_server.service.origin import Origin
from mock_im_server.service.peers import Alone, Peers
from mock_im_server.service.profiles import Profiles
from mock_im_server.service.statistics import Statistics
from mock_im_server.sessions import Connection, Session, Sessions
from mock_im_server.stores.base import Store, StoreAwayError
from mock_im_server.wire import codes, frames, usersig
from mock_im_server.wire.user_ids import USER_ID_BYTES_MAX, is_user_id

FIRST_INSTANCE: Final = 1 << 30
"""Instances that the server gives to devices that named none lie above those that a trunk names."""

KICK_BY_LOGIN: Final = 1
"""`KickType` of the push: another login of this account took the place."""
CLIENTS_MAX: Final = 10_000
"""REST clients that are known by the name they give themselves; calls of further ones are journaled without it."""

FAR_LOGINS: Final = 256
"""Logins that a store on the network is asked for at once, so that others are checked meanwhile."""
_TURNS: Final = 3
"""Turns of the loop until a reply was read and the next call is on its way."""

_MOVER_LOST_S: Final = 1.0
"""So long after a clock began to move, whoever waits for it looks whether anybody is still at it."""

_STORE_AWAY_S: Final = 0.05
"""Until a store that does not answer is asked again."""

_TINY_ID_DIGITS_MAX: Final = 19
_ONE_CONNECTION: Final = Effects(draws=(Draw(CONNECTIONS, 1),))

type_now = Callable[[], int]


class PlanRefusedError(ValueError):
    """Raised when a plan cannot be changed as asked; the message says why."""


class LoginRequest(NamedTuple):
    """A `wslogin` frame and where it came from."""

    connection: Connection
    head: frames.Head


class App:
    """An app at work."""

    def __init__(  # noqa: PLR0913 -- what an app is made of; named at the only call
        self,
        settings: AppSettings,
        *,
        plan: plans.Plan,
        book: billing.PriceBook,
        rules: Rules,
        clock: Clock,
        store: Store,
        journal: Appendable,
        real_ms: type_now,
        call_trial: CallTrial,
        bars_guessing: bool = False,
    ) -> None:
        """With `bars_guessing`, too many failed UserSigs of one UserID make its next ones fail (70050)."""
        self.settings = settings
        self.clock = clock
        self.journal = journal
        self.sessions = Sessions()
        self._left = Sessions()
        """The sessions of before, once the app is retired."""
        self.logins = 0
        self.is_retired = False
        """After a reset: another app has this one's SDKAppID, and its connections begin anew there."""
        self.statements: dict[str, dict[str, Any]] = {}
        self.found_routing = FoundRouting()
        """What the journal said of routing when the app was found again."""
        self.rules = rules
        self.plan = rules.limits(plan)
        self.store = store
        self.calendar = rules.calendar(settings.billing_offset_ms)
        self.listener: Listener | None = None
        """None while the app has no webhook."""
        self.accounts = Accounts(self)
        self.groups = Groups(self)
        self.calls = Calls(self, call_trial)
        self.messages = Messages(self)
        self.profiles = Profiles()
        self.statistics = Statistics()
        self.faults = FaultsOfApp(self)
        self._clients: dict[str, int] = {}
        self._generations: Counter[int] = Counter()
        """How often a user was kicked or deleted: tickets of before do not hold."""
        self._kicked_s: dict[str, int] = {}
        """UserIDs that were kicked, and when in real time: UserSigs of before do not hold."""
        self._evicted: list[tuple[int, Session]] = []
        self._real_ms = real_ms
        self.peers: Peers = Alone()
        """The other server processes of this app."""
        self._moving = asyncio.Lock()
        self._book = book
        self._mac = usersig.mac_of(settings.key)
        self._last_check = ("", "", 0), codes.USERSIG_EMPTY
        self._failed_checks = FailedChecks() if bars_guessing else None
        self._ticket_salt = ""
        self._ticket_key = b""
        self._plan_changed_month = ""
        day = self.calendar.day(self.now_ms())
        self._quotas = plans.day_quotas(self.plan, day)
        self._enter(month_of(day))

    @property
    def _terms(self) -> billing.Terms:
        settings = self.settings
        charge_day = self.rules.charge_day(settings.charge_day)
        return billing.Terms(settings.sdkappid, self.plan.name, self._book, self.calendar, charge_day)

    def now_ms(self) -> int:
        return self.clock.now_ms(self._real_ms())

    def real_s(self) -> int:
        """Real time, for what is judged by it: signatures, and the time by which an SDK sets its own clock."""
        return self._real_ms() // 1_000

    async def open(self) -> None:
        """Begin the journal of a new app."""
        settings = asdict(self.settings)
        del settings["key"]
        settings["fixed_ms"] = self.clock.fixed_ms
        settings["ticket_salt"] = secrets.token_hex(8)
        self._derive_tickets(settings["ticket_salt"])
        await self.record(log.APP_OPENED, self.now_ms(), settings)

    def retire(self) -> None:
        """The end of an app that is reset."""
        self.is_retired = True
        self.journal.close()
        self._left, self.sessions = self.sessions, Sessions()

    async def release(self) -> None:
        """Free what a retired app holds, here and in its store, without stopping the others."""
        await self.store.release()
        await self.forget()

    async def forget(self) -> None:
        """Free what a retired app holds beside its store: another process frees that."""
        parts = (
            self._left,
            self.groups,
            self.messages,
            self.profiles,
            self.statistics,
            self.calls,
        )
        for part in parts:
            await part.release()
        self._failed_checks = None
        await emptied(self._clients, self._generations, self._kicked_s)

    async def restore(self, state: Folded, plan: plans.Plan) -> None:
        """Go on where a journal ends, on the plan of then."""
        self.plan = self.rules.limits(plan)
        self.logins = state.logins
        self.statements = state.statements
        self.clock.move(state.now_ms, state.now_ms if state.is_clock_fixed else None, state.epoch)
        self._derive_tickets(state.ticket_salt)
        await self.store.restore(state)
        self.groups.restore(state.groups, state.groups_made)
        self.calls.restore(state.calls)
        self.statistics.restore(state.statistics)
        self.faults.restore(state.faults)
        self.found_routing = state.routing
        self._clients = state.clients
        self._generations = state.generations
        self._kicked_s = state.kicked_s
        self._plan_changed_month = state.plan_changed_month
        self._quotas = plans.day_quotas(self.plan, self.calendar.day(self.now_ms()))
        self._enter(month_of(self.calendar.day(state.opened_ms)))
        for statement in state.statements.values():
            self._enter_after(statement)

    # --- sessions ---------------------------------------------------------------------------------

    async def login(self, requests: Sequence[LoginRequest]) -> list[bytes]:
        """Log users in with their UserSigs; unknown users are registered under the plan's quotas."""
        now_ms = await self.settled_ms()
        await self.number_connections({request.connection for request in requests}, now_ms)
        day, at = self._quotas_at(now_ms), self.instant(now_ms)
        # A signer lives outside the simulated month, so real time judges its UserSigs.
        real_s = self.real_s()
        answers: list[bytes] = []
        logins = registered = 0
        async for part, refusals, outcomes in self._decided_logins(requests, day, at, real_s):
            answers += [
                await self._retried(request, at.epoch)
                if outcome.code == STALE_EPOCH
                else self._login_refused(request, outcome, code or outcome.code, now_ms)
                if code or outcome.code
                else self._logged_in(request, outcome, day.day, now_ms, real_s)
                for request, code, outcome in zip(part, refusals, outcomes, strict=True)
            ]
            logins += sum(not (code or outcome.code) for code, outcome in zip(refusals, outcomes, strict=True))
            registered += sum(outcome.added & 1 for outcome in outcomes)
        if self._evicted:
            await self._end_evicted(now_ms)
        self.statistics.count(day.day, "LoginTimes", logins)
        self.statistics.count(day.day, "RegistUserNumOneDay", registered)
        self.statistics.reach(day.day, "MaxOnlineNum", len(self.sessions))
        return answers

    async def _decided_logins(
        self, requests: Sequence[LoginRequest], day: plans.DayQuotas, at: plans.Instant, real_s: int
    ) -> AsyncIterator[tuple[Sequence[LoginRequest], list[int], list[Outcome]]]:
        """Refusals by UserSig and the store's outcomes, in order; of a far store part by part.

        While Redis applies a part, this process checks the next one and answers the one before (1.2 × the logins/s).
        """
        if not self.peers.is_far:
            refusals, actions = self._login_actions(requests, day, at, real_s)
            yield requests, refusals, await self.store.apply(actions)
            return
        asked = []
        for first in range(0, len(requests), FAR_LOGINS):
            part = requests[first : first + FAR_LOGINS]
            refusals, actions = self._login_actions(part, day, at, real_s)
            asked.append((part, refusals, asyncio.create_task(self.store.apply(actions))))
            await _let_others_work()
        failure = None
        for part, refusals, applied in asked:
            try:
                yield part, refusals, await applied
            except StoreAwayError as error:
                # The parts behind it may have been applied: those need their rows.
                failure = error
            await _let_others_work()
        if failure is not None:
            raise failure

    def _login_actions(
        self, requests: Sequence[LoginRequest], day: plans.DayQuotas, at: plans.Instant, real_s: int
    ) -> tuple[list[int], list[Action]]:
        refusals = [self._check(head.identifier, head.usersig, real_s) for _, head in requests]
        actions = [
            self.rules.refused_login(day, at, head.identifier)
            if code
            else self.rules.login(day, at, head.identifier, head.status_instid)
            for (_, head), code in zip(requests, refusals, strict=True)
        ]
        return refusals, actions

    def _logged_in(self, request: LoginRequest, outcome: Outcome, day: int, now_ms: int, real_s: int) -> bytes:
        connection, head = request
        instance = head.status_instid or FIRST_INSTANCE + connection.number
        number = outcome.number
        session = Session(instance, head.platform, connection)
        evicted = self.sessions.open(number, session, self.plan)
        for other in evicted:
            self._evicted.append((number, other))
        if (listener := self.listener) is not None:
            # Under a storm nearly all are dropped: those need not be put together first.
            if listener.is_full:
                listener.drop()
            else:
                listener.hear(StateChange.of(notices.LOGIN, head.identifier, session, now_ms, evicted))
        self.logins += 1
        self.peers.logged_in(number, instance, head.platform)
        self.journal.append(
            Row(
                outcome.seq,
                now_ms,
                log.LOGGED_IN,
                number,
                head.identifier if outcome.added & 1 else None,
                instance,
                head.platform,
                connection.number,
                head.seq,
                day if outcome.added & 2 else log.NOT_COUNTED,
            )
        )
        ticket = self._ticket(number, instance)
        return frames.login_answer(head, number, instance, ticket, real_s)

    def _login_refused(self, request: LoginRequest, outcome: Outcome, code: int, now_ms: int) -> bytes:
        connection, head = request
        self.journal.append(
            Row(
                outcome.seq,
                now_ms,
                log.LOGIN_REFUSED,
                outcome.number,
                # Longer ones are no UserIDs: their beginning must do, so that refusals cannot fill the disk.
                head.identifier[:USER_ID_BYTES_MAX],
                head.status_instid,
                head.platform,
                connection.number,
                head.seq,
                code=code,
            )
        )
        return frames.answer(head, code, codes.TEXTS[code])

    async def _retried(self, request: LoginRequest, stale_epoch: int) -> bytes:
        await self._heard_more(stale_epoch)
        (answer,) = await self.login([request])
        return answer

    async def resume(self, connection: Connection, head: frames.Head) -> bytes:
        """Take a session up again with its ticket after a broken connection. Not a login: it counts nowhere."""
        now_ms = await self.settled_ms()
        await self.number_connections({connection}, now_ms)
        user = _user_number(head.tinyid)
        user_id = await self._user_id_of(head)
        holds = bool(user_id)
        action = Action(self.clock.epoch)
        if holds:
            action = self.rules.resumption(self._quotas_at(now_ms), self.instant(now_ms), user_id)
        (outcome,) = await self.ordered([action])
        row = Row(
            outcome.seq,
            now_ms,
            log.RESUMED if holds else log.RESUME_REFUSED,
            user if holds else 0,
            None,
            head.status_instid,
            head.platform,
            connection.number,
            head.seq,
            code=0 if holds else codes.TICKET_INVALID,
        )
        self.journal.append(row)
        if not holds:
            return frames.answer(head, row.code, codes.TEXTS[row.code])
        session = Session(head.status_instid, head.platform, connection)
        self.peers.logged_in(user, head.status_instid, head.platform)
        evicted = self.sessions.open(user, session, self.plan)
        self._evicted += [(user, other) for other in evicted]
        if self.listener is not None:
            self.listener.hear(StateChange.of(notices.LOGIN, user_id, session, now_ms, evicted))
        await self._end_evicted(now_ms)
        return frames.login_answer(head, user, head.status_instid, head.a2, self.real_s())

    async def logout(self, connection: Connection, head: frames.Head) -> bytes:
        """End a session. Logging out twice is no error."""
        if not self.holds_ticket(head):
            return frames.answer(head, codes.TICKET_INVALID, codes.TEXTS[codes.TICKET_INVALID])
        now_ms = await self.settled_ms()
        await self.number_connections({connection}, now_ms)
        user = _user_number(head.tinyid)
        if (session := self.sessions.close(user, head.status_instid)) is not None:
            await self._say_state(notices.LOGOUT, [(user, session)], now_ms)
            (outcome,) = await self.ordered([Action(self.clock.epoch)])
            self.journal.append(
                Row(
                    outcome.seq,
                    now_ms,
                    log.LOGGED_OUT,
                    user,
                    instance=head.status_instid,
                    connection=connection.number,
                    request_seq=head.seq,
                )
            )
        return frames.answer(head, 0, "")

    def holds_ticket(self, head: frames.Head) -> bool:
        """Whether a frame after login may speak for the user that it names."""
        return self.user_of(head) > 0

    def user_of(self, head: frames.Head) -> int:
        """The number of the user that a frame after login speaks for; 0 when its ticket does not hold."""
        user = _user_number(head.tinyid)
        return user if user > 0 and head.a2 == self._ticket(user, head.status_instid) else 0

    async def _user_id_of(self, head: frames.Head) -> str:
        """Whom a ticket speaks for; empty where it does not hold, or is of a time that a restored app has not seen."""
        user = self.user_of(head)
        return (await self.user_ids([user]))[0] if user else ""

    async def disconnect(self, connections: Sequence[Connection]) -> None:
        """End all sessions of connections that have closed."""
        now_ms = await self.settled_ms()
        known = [connection for connection in connections if connection.number]
        outcomes = await self.ordered([Action(self.clock.epoch)] * len(known))
        ended = []
        for connection, outcome in zip(known, outcomes, strict=True):
            ended += self.sessions.close_connection(connection)
            self.journal.append(Row(outcome.seq, now_ms, log.DISCONNECTED, connection=connection.number))
        await self._say_state(notices.DISCONNECT, ended, now_ms)

    async def end_sessions(self, user: int, kick_type: int, now_ms: int) -> None:
        """Tell every device of a user that it is logged out; its tickets do not hold any more."""
        self._generations[user] += 1
        ended = [(user, session) for session in self.sessions.close_user(user)]
        await self._say_state(notices.LOGOUT, ended, now_ms)
        self._evicted += ended
        await self._end_evicted(now_ms, kick_type)

    def refuse_usersigs(self, user_id: str, real_s: int) -> None:
        """Only UserSigs that are made later than this log the user in."""
        self._kicked_s[user_id] = real_s

    async def _end_evicted(self, now_ms: int, kick_type: int = KICK_BY_LOGIN) -> None:
        """Push the kick to sessions that had to end, and keep it in the journal."""
        evicted, self._evicted = self._evicted, []
        outcomes = await self.ordered([Action(self.clock.epoch)] * len(evicted))
        for (user, session), outcome in zip(evicted, outcomes, strict=True):
            instance, platform, connection = session
            row = Row(
                outcome.seq, now_ms, log.KICKED, user, None, instance, platform, connection.number, text=str(kick_type)
            )
            self.journal.append(row)
            connection.push(frames.kick(self.settings.sdkappid, user, instance, kick_type))

    async def _say_state(self, what: tuple[str, str], ended: Sequence[tuple[int, Session]], now_ms: int) -> None:
        if self.listener is None or not ended:
            return
        user_ids = await self.user_ids([user for user, _ in ended])
        for user_id, (_, session) in zip(user_ids, ended, strict=True):
            self.listener.hear(StateChange.of(what, user_id, session, now_ms))

    def check_usersig(self, user_id: str, signature: str) -> int:
        """0, or the vendor's code; for REST, where every call brings its admin's UserSig, mostly the same."""
        asked = user_id, signature, self.real_s()
        if asked != self._last_check[0]:
            self._last_check = asked, self._check(*asked)
        return self._last_check[1]

    # --- time and money ---------------------------------------------------------------------------

    async def move_clock(self, time_ms: int) -> None:
        """Stand still at `time_ms`; months that end on the way are closed, charges fall due, each at its instant.

        Raises ClockRefusedError, and StoreAwayError where it took so long that another process has taken over.
        """
        async with self._alone():
            await self._move_to(time_ms)

    async def advance_clock(self, by_ms: int) -> None:
        """As `move_clock`, so much further than the clock stands; two at the same time add up."""
        async with self._alone():
            await self._move_to(self.now_ms() + by_ms)

    async def release_clock(self) -> None:
        """Follow real time. Raises as `move_clock`."""
        async with self._alone():
            real_ms = self._real_ms()
            self.clock.check_release(real_ms=real_ms)
            await self._move(real_ms, None)

    async def settled_ms(self) -> int:
        """The app's time, after what is due by then is closed and charged.

        A clock that runs by itself needs a call now and then.
        """
        while (now_ms := self.now_ms()) >= self._next_event_ms and self.peers.settles:
            async with self._alone():
                if (now_ms := self.now_ms()) >= self._next_event_ms:
                    await self._move(now_ms, self.clock.fixed_ms)
        return now_ms

    async def change_plan(self, plan: plans.Plan) -> None:
        """Take another plan, at once. Raises PlanRefusedError.

        An upgrade from the trial has no way back, and a plan changes once in a calendar month at most (1047/36021).
        What exists beyond a limit of the new plan stays; only what is new is refused.
        """
        now_ms = await self.settled_ms()
        month = self.instant(now_ms).month
        old = self.plan
        if plan.name == old.name:
            raise PlanRefusedError(f"the app is on {plan.name} already")
        if plan.name == plans.TRIAL:
            raise PlanRefusedError("a paid app cannot go back to the trial; make a new app")
        if self._plan_changed_month == month:
            raise PlanRefusedError(f"the plan has changed in {month} already; once a month is the limit")
        self.plan = self.rules.limits(plan)
        self._plan_changed_month = month
        self._quotas = plans.day_quotas(self.plan, self.calendar.day(now_ms))
        await self.record(log.PLAN_CHANGED, now_ms, {"plan": plan.name, "from": old.name, "month": month})

    async def status(self) -> dict[str, Any]:
        """What a person asks first: time, counts, peak, and what the month costs so far."""
        now_ms = await self.settled_ms()
        day = self.calendar.day(now_ms)
        month = month_of(day)
        usage = await self._usage(month, now_ms)
        peak_day, peak_dau = billing.peak(usage.daily_dau)
        rows = billing.lines(self._terms.book, self.plan.name, usage, units_of=self.rules.units)
        online, logins, journal_rows = await self.peers.totals(
            online=len(self.sessions), logins=self.logins, rows=self.journal.rows
        )
        accounts, groups_now, live_groups = await self.store.sizes([plans.ACCOUNTS, groups.GROUPS, groups.LIVE_GROUPS])
        return {
            "sdkappid": self.settings.sdkappid,
            "plan": self.plan.name,
            "price_book": self.settings.price_book,
            "currency": self._terms.book.currency,
            "billing_offset_ms": self.settings.billing_offset_ms,
            "charge_day": self.settings.charge_day,
            "now_ms": now_ms,
            "is_clock_fixed": self.clock.fixed_ms is not None,
            "epoch": self.clock.epoch,
            "day": iso_day(day),
            "month": month,
            "accounts": accounts,
            "online": online,
            "logins": logins,
            "groups": groups_now,
            "live_groups": live_groups,
            "peak_groups": usage.peak_groups,
            "dau": usage.daily_dau[day],
            "peak_dau": peak_dau,
            "peak_day": None if peak_day is None else iso_day(peak_day),
            "total_cents": sum(row.amount_cents for row in rows),
            "units": {row.item: row.units for row in rows if row.item != "plan"},
            "journal_rows": journal_rows,
            "statements": sorted(self.statements),
        }

    # --- what other server processes did -----------------------------------------------------------

    def kept(self) -> Kept:
        """What a process that starts later must know."""
        return Kept(
            clock=self.clock,
            ticket_salt=self._ticket_salt,
            plan=self.plan.name,
            plan_changed_month=self._plan_changed_month,
            month=self._month,
            statements=self.statements,
            groups=list(self.groups.all()),
            groups_made=self.groups.made,
            faults=self.faults.rules,
            generations=self._generations,
            kicked_s=self._kicked_s,
            calls=self.calls.kept(),
        )

    def take_kept(self, kept: Kept, plan: plans.Plan) -> None:
        """Begin with what another process has kept; `plan` is the one that it names."""
        self.clock.move(kept.clock.reached_ms, kept.clock.fixed_ms, kept.clock.epoch)
        self._derive_tickets(kept.ticket_salt)
        self.take_plan(plan, kept.plan_changed_month)
        self.statements = kept.statements
        self._enter(kept.month)
        for statement in kept.statements.values():
            self._enter_after(statement)
        self.groups.restore({group.group_id: group for group in kept.groups}, kept.groups_made)
        self.faults.restore(kept.faults)
        self._generations = Counter(kept.generations)
        self._kicked_s = kept.kicked_s
        self.calls.take_kept(kept.calls)

    def take_opening(self, time_ms: int, text: Mapping[str, Any]) -> None:
        self.clock.move(time_ms, text["fixed_ms"], self.clock.epoch)
        self._derive_tickets(text["ticket_salt"])
        self._enter(month_of(self.calendar.day(time_ms)))

    def take_clock(self, time_ms: int, text: Mapping[str, Any]) -> None:
        self.clock.move(time_ms, text["fixed_ms"], text["epoch"])

    def take_plan(self, plan: plans.Plan, month: str) -> None:
        self.plan = self.rules.limits(plan)
        self._plan_changed_month = month
        self._quotas = plans.day_quotas(self.plan, self.calendar.day(self.now_ms()))

    def take_statement(self, text: Mapping[str, Any]) -> None:
        """A statement, or that it was charged; said again, by a mover that was overtaken, it changes nothing."""
        month = text["month"]
        known = self.statements.get(month)
        if known is not None and (text["charged_on"] is None or known["charged_on"] is not None):
            return
        self.statements[month] = statement = {**(known or {}), **text}
        self.clock.reach(statement["charged_at_ms"] or statement["closed_at_ms"])
        self._enter_after(statement)

    async def end_replaced(self, user: int, instance: int, platform: int) -> None:
        """The sessions here that a login elsewhere has replaced."""
        now_ms = await self.settled_ms()
        self._evicted += [(user, other) for other in self.sessions.replaced(user, instance, platform, self.plan)]
        await self._end_evicted(now_ms)

    # --- parts ------------------------------------------------------------------------------------

    def _check(self, user_id: str, signature: str, now_s: int) -> int:
        if not is_user_id(user_id):
            return codes.BAD_ACCOUNT
        kicked_s = self._kicked_s.get(user_id, usersig.NEVER)
        if (failed := self._failed_checks) is not None and failed.is_barred(user_id, now_s):
            return codes.USERSIG_TOO_MANY_FAILURES
        code = usersig.check(self._mac, self.settings.sdkappid, user_id, signature, now_s, kicked_s=kicked_s)
        if code and failed is not None:
            failed.note(user_id, now_s)
        return code

    def _derive_tickets(self, salt: str) -> None:
        """Tickets are derived, not stored: they hold after a restart and cost no memory. The salt is new at a reset."""
        self._ticket_salt = salt
        key = blake2b(self.settings.key.encode(), digest_size=32).digest()
        self._ticket_key = blake2b(salt.encode(), key=key, digest_size=32).digest()

    def _ticket(self, user: int, instance: int) -> str:
        named = b"%d.%d.%d" % (user, instance, self._generations.get(user, 0))
        return blake2b(named, key=self._ticket_key, digest_size=16).hexdigest()

    async def number_connections(self, connections: Iterable[Connection], now_ms: int) -> None:
        """Give connections their number and row, late: one that never asks for anything leaves no trace."""
        fresh = [connection for connection in connections if not connection.number]
        if not fresh:
            return
        outcomes = await self.ordered([Action(self.clock.epoch, effects=_ONE_CONNECTION)] * len(fresh))
        for connection, outcome in zip(fresh, outcomes, strict=True):
            (connection.number,) = outcome.drawn
            text = f"{connection.instance_id} {connection.access_point}"
            self.journal.append(
                Row(
                    outcome.seq,
                    now_ms,
                    log.CONNECTED,
                    connection=connection.number,
                    text=text,
                )
            )

    async def origin(self, client_id: str, request_seq: int, now_ms: int) -> Origin:
        """The origin of a REST call whose client names itself; its first call is its connection's beginning."""
        number = self._clients.get(client_id)
        if number is None:
            if len(self._clients) >= CLIENTS_MAX:
                return Origin()
            (outcome,) = await self.ordered([Action(self.clock.epoch, effects=_ONE_CONNECTION)])
            (number,) = outcome.drawn
            self._clients[client_id] = number
            self.journal.append(
                Row(outcome.seq, now_ms, log.CONNECTED, connection=number, text=client_id + log.REST_CLIENT_SUFFIX)
            )
        return Origin(number, request_seq)

    async def ordered(self, actions: list[Action]) -> list[Outcome]:
        """Outcomes of actions that hold under any clock: a stale epoch is simply taken again."""
        outcomes = await self.store.apply(actions)
        while any(outcome.code == STALE_EPOCH for outcome in outcomes):
            await self._heard_more(actions[0].epoch)
            actions = [action._replace(epoch=self.clock.epoch) for action in actions]
            outcomes = await self.store.apply(actions)
        return outcomes

    def _quotas_at(self, now_ms: int) -> plans.DayQuotas:
        day = self.calendar.day(now_ms)
        if day != self._quotas.day:
            self._quotas = plans.day_quotas(self.plan, day)
        return self._quotas

    async def decided(self, build: Callable[[int], Action]) -> tuple[Outcome, int]:
        """An outcome, and the app's time of it. The action is built anew when the clock moved in between."""
        (outcome,), now_ms = await self.decided_all(lambda now_ms: [build(now_ms)])
        return outcome, now_ms

    async def decided_all(self, build: Callable[[int], list[Action]]) -> tuple[list[Outcome], int]:
        """As `decided`, for a batch: one epoch holds for all of it, so that the clock moves in none."""
        while True:
            now_ms = await self.settled_ms()
            epoch = self.clock.epoch
            outcomes = await self.store.apply(build(now_ms))
            if outcomes[0].code != STALE_EPOCH:
                return outcomes, now_ms
            await self._heard_more(epoch)

    async def take_seq(self) -> tuple[Outcome, int]:
        """A place in the one order for a row that changes no count, and the app's time of it."""
        return await self.decided(lambda _now_ms: Action(self.clock.epoch))

    def instant(self, now_ms: int) -> plans.Instant:
        day = self.calendar.day(now_ms)
        return plans.Instant(self.clock.epoch, day, now_ms - self.calendar.start_ms(day), month_of(day))

    async def numbers(self, user_ids: Sequence[str]) -> list[int]:
        """Numbers for rows of what the store did: without those rows a journal never goes on, so that this waits."""
        while True:
            try:
                return await self.store.numbers(user_ids)
            except StoreAwayError:
                await asyncio.sleep(_STORE_AWAY_S)
                self._check_that_it_lasts()

    async def user_ids(self, numbers: Sequence[int]) -> list[str]:
        return await self.store.names(numbers)

    def _enter_after(self, statement: Mapping[str, Any]) -> None:
        """Wait for the charge of this month, or for the end of the next one."""
        month, is_closed = statement["month"], statement["charged_on"] is None
        self._enter(month if is_closed else billing.next_month(month), is_closed=is_closed)

    def _enter(self, month: str, *, is_closed: bool = False) -> None:
        self._month, self._is_closed = month, is_closed
        self._next_event_ms = billing.next_event(self._terms, month, is_closed=is_closed)

    async def _settle_at(self, now_ms: int, epoch: int) -> None:
        while now_ms >= self._next_event_ms:
            if self._is_closed:
                await self._charge(self._month, epoch)
            else:
                await self._close(self._month, epoch)

    async def _close(self, month: str, epoch: int) -> None:
        usage = await self._usage(month, billing.closes_at_ms(self._terms, month))
        closed = billing.statement(self._terms, month, usage, units_of=self.rules.units)
        # Groups that live on are the next month's first count.
        peak = Peak(groups.peak_groups(billing.next_month(month)), groups.GROUPS)
        await self.record(log.MONTH_CLOSED, closed["closed_at_ms"], closed, Effects(peaks=(peak,)), epoch)
        self.take_statement(closed)

    async def _charge(self, month: str, epoch: int) -> None:
        charged = billing.charged(self._terms, self.statements[month])
        charge = {key: charged[key] for key in ("month", "total_cents", "currency", "charged_on", "charged_at_ms")}
        await self.record(log.CHARGED, charged["charged_at_ms"], charge, epoch=epoch)
        self.take_statement(charge)

    async def _usage(self, month: str, now_ms: int) -> billing.Usage:
        """What a month has used so far."""
        days = month_days(month)
        active = [plans.active_users(day) for day in days]
        (peak_groups,) = await self.store.counters([groups.peak_groups(month)])
        return billing.Usage(
            daily_dau=dict(zip(days, map(self.rules.measured, await self.store.sizes(active)), strict=True)),
            monthly_users=await self.store.distinct(active),
            peak_groups=peak_groups,
            call_seconds=self.calls.seconds(month, now_ms),
        )

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else moves the clock or settles a month meanwhile, here or at another process.

        Raises StoreAwayError. What runs inside must not wait for a clock that moves.
        """
        async with self._moving, self.peers.exclusive():
            self._check_that_it_lasts()
            yield

    async def _move_to(self, time_ms: int) -> None:
        self.clock.check_move(time_ms, real_ms=self._real_ms())
        await self._move(time_ms, time_ms)

    async def _move(self, time_ms: int, fixed_ms: int | None) -> None:
        """Stop everybody's actions under the old clock, settle what is due, and go on under the new one."""
        epoch = await self.store.next_epoch()
        # Until the end only this call acts: what other requests had built is refused and built again, after.
        await self._settle_at(time_ms, epoch)
        moved = {"fixed_ms": fixed_ms, "epoch": epoch}
        await self.record(log.CLOCK_MOVED, time_ms, moved, epoch=epoch)
        self.take_clock(time_ms, moved)

    async def _heard_more(self, stale_epoch: int) -> None:
        """Return when this process knows a later epoch. Raises StoreAwayError when the app is no more.

        Whoever moves the clock tells so at the end. Where a process died on the way, the clock goes on from where it
        had come: all actions would be refused for ever.
        """
        look_at_s = asyncio.get_running_loop().time() + _MOVER_LOST_S
        while self.clock.epoch <= stale_epoch:
            await self.peers.wait()
            self._check_that_it_lasts()
            if asyncio.get_running_loop().time() >= look_at_s:
                async with self._alone():
                    if self.clock.epoch <= stale_epoch:
                        await self._move(self.now_ms(), self.clock.fixed_ms)

    def _check_that_it_lasts(self) -> None:
        if self.is_retired:
            # Reset by another process: its store will never take anything again.
            raise StoreAwayError(f"app {self.settings.sdkappid} was reset meanwhile")

    async def record(
        self, kind: int, time_ms: int, text: dict[str, Any], effects: Effects | None = None, epoch: int | None = None
    ) -> None:
        """A row of its own, under the clock's epoch or, while the clock moves, under the next one."""
        if epoch is None:
            (outcome,) = await self.ordered([Action(self.clock.epoch, effects=effects)])
        else:
            (outcome,) = await self.store.apply([Action(epoch, effects=effects)])
            if outcome.code == STALE_EPOCH:
                raise StoreAwayError("moving the clock took so long that another process has moved it meanwhile")
        self.journal.append(Row(outcome.seq, time_ms, kind, text=json.dumps(text)))
        await self.journal.written()


def _user_number(tiny_id: str) -> int:
    """Not above 0 when it is no TinyId of this server's."""
    is_number = len(tiny_id) <= _TINY_ID_DIGITS_MAX and tiny_id.isascii() and tiny_id.isdecimal()
    return int(tiny_id) - frames.TINY_ID_BASE if is_number else 0


async def _let_others_work() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)

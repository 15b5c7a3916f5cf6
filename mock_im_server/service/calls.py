"""Audio and video calls: the trial that allows them, who is in one, and the seconds that a month has used."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mock_im_server import journal as log
from mock_im_server.domain import calls
from mock_im_server.domain.calendar import month_days
from mock_im_server.domain.calls import Call, CallTrial
from mock_im_server.journal import Row
from mock_im_server.pieces import emptied
from mock_im_server.service.kept import CallsKept
from mock_im_server.service.origin import Origin

if TYPE_CHECKING:
    from mock_im_server.service.app import App

_SOMEBODY = Origin()


class Calls:
    """The calls of one app. They touch no quota of messaging, and messaging touches none of theirs."""

    def __init__(self, app: "App", trial: CallTrial) -> None:
        self._app = app
        self._trial = trial
        self._opened_ms: list[int] = []
        self._calls: dict[str, Call] = {}
        """All of them: a CallId is used once. One that has ended keeps no participants."""
        self._running: set[str] = set()
        self._seconds: defaultdict[int, dict[str, int]] = defaultdict(dict)
        """Of calls that have ended, by billing day and tier."""

    async def release(self) -> None:
        await emptied(self._calls, self._running)

    async def open_trial(self, origin: Origin = _SOMEBODY) -> int:
        """0, or the code of the refusal. Grants the use of calls, no minutes and no quota of messaging."""
        outcome, now_ms = await self._app.take_seq()
        code = self._trial.refusal_to_open(self._opened_ms, now_ms)
        text: dict[str, Any] = {}
        if not code:
            self._opened_ms.append(now_ms)
            text = {"number": len(self._opened_ms), "ends_ms": self._trial.ends_ms(now_ms)}
        kind = log.TRIAL_REFUSED if code else log.TRIAL_OPENED
        self._journal(Row(outcome.seq, now_ms, kind, code=code), origin, text)
        return code

    async def start(self, call_id: str, participants: Sequence[tuple[str, str]], origin: Origin = _SOMEBODY) -> int:
        """Begin a call of (UserID, tier). 0, or the code of the refusal."""
        outcome, now_ms = await self._app.take_seq()
        code = self._trial.refusal_to_call(self._opened_ms, now_ms) or calls.refusal_of_participants(participants)
        if not code and call_id in self._calls:
            code = calls.CALL_REPEATED
        text: dict[str, Any] = {"call_id": call_id}
        if not code:
            self._calls[call_id] = calls.started(call_id, participants, now_ms)
            self._running.add(call_id)
            text["participants"] = [{"user_id": user_id, "tier": tier} for user_id, tier in participants]
        kind = log.CALL_REFUSED if code else log.CALL_STARTED
        self._journal(Row(outcome.seq, now_ms, kind, code=code), origin, text)
        return code

    async def change(self, call_id: str, user_id: str, tier: str | None, origin: Origin = _SOMEBODY) -> int:
        """Let a user join a running call or take another tier; None: leave it. 0, or the code of the refusal."""
        outcome, now_ms = await self._app.take_seq()
        text: dict[str, Any] = {"call_id": call_id, "user_id": user_id, "tier": tier}
        code = 0 if call_id in self._running else calls.CALL_NOT_RUNNING
        if not code and tier is not None:
            code = calls.refusal_of_participants([(user_id, tier)])
        if not code:
            self._change(call_id, user_id, tier, now_ms)
        kind = log.CALL_REFUSED if code else log.CALL_CHANGED
        self._journal(Row(outcome.seq, now_ms, kind, code=code), origin, text)
        return code

    async def end(self, call_id: str, origin: Origin = _SOMEBODY) -> int:
        """End a call for all its participants. 0, or the code of the refusal."""
        outcome, now_ms = await self._app.take_seq()
        text: dict[str, Any] = {"call_id": call_id}
        if call_id not in self._running:
            self._journal(Row(outcome.seq, now_ms, log.CALL_REFUSED, code=calls.CALL_NOT_RUNNING), origin, text)
            return calls.CALL_NOT_RUNNING
        text["seconds"] = self._end(call_id, now_ms)
        self._journal(Row(outcome.seq, now_ms, log.CALL_ENDED), origin, text)
        return 0

    def seconds(self, month: str, now_ms: int) -> dict[str, int]:
        """A month's seconds by tier until now, of all participants; a call over a month's end is cut there."""
        running = [self._calls[call_id] for call_id in self._running]
        total: dict[str, int] = {}
        for day in month_days(month):
            start_ms, end_ms = self._span(day)
            until = min(end_ms, max(start_ms, now_ms))
            of_day = calls.added(self._seconds.get(day, {}), calls.seconds_by_tier(running, start_ms, until))
            measured = {tier: self._app.rules.seconds_of_day(seconds) for tier, seconds in of_day.items()}
            total = calls.added(total, measured)
        return total

    def status(self, now_ms: int) -> dict[str, Any]:
        """The trials so far, what is running, and what the vendor announced at the time."""
        notice = self._trial.notice
        return {
            "is_open": self._trial.is_open(self._opened_ms, now_ms),
            "trials_opened": len(self._opened_ms),
            "trials_max": self._trial.trials_max,
            "ends_ms": self._trial.ends_ms(self._opened_ms[-1]) if self._opened_ms else None,
            "running": len(self._running),
            "notice": {
                "text": notice.text,
                "said_on": notice.said_on.isoformat(),
                "dropped_on": notice.dropped_on.isoformat(),
                "source": notice.source,
            },
        }

    def kept(self) -> CallsKept:
        return CallsKept(self._opened_ms, list(self._calls.values()), self._seconds)

    def take_kept(self, kept: CallsKept) -> None:
        self._opened_ms = kept.opened_ms
        self._calls = {call.call_id: call for call in kept.calls}
        self._running = {call.call_id for call in kept.calls if not call.has_ended}
        self._seconds = defaultdict(dict, kept.seconds)

    def restore(self, rows: Sequence[tuple[int, int, Mapping[str, Any]]]) -> None:
        """Take over what a journal says: kind, app's time and text of each row."""
        for kind, time_ms, text in rows:
            if kind == log.TRIAL_OPENED:
                self._opened_ms.append(time_ms)
            elif kind == log.CALL_STARTED:
                participants = [(one["user_id"], one["tier"]) for one in text["participants"]]
                self._calls[text["call_id"]] = calls.started(text["call_id"], participants, time_ms)
                self._running.add(text["call_id"])
            elif kind == log.CALL_CHANGED:
                self._change(text["call_id"], text["user_id"], text["tier"], time_ms)
            else:
                self._end(text["call_id"], time_ms)

    def _change(self, call_id: str, user_id: str, tier: str | None, now_ms: int) -> None:
        call = self._calls[call_id]
        self._calls[call_id] = (
            calls.left(call, user_id, now_ms) if tier is None else calls.joined(call, user_id, tier, now_ms)
        )

    def _end(self, call_id: str, now_ms: int) -> dict[str, int]:
        call = calls.ended(self._calls[call_id], now_ms)
        began_ms = min(stay.from_ms for stay in call.stays)
        self._running.discard(call_id)
        self._calls[call_id] = Call(call_id, (), has_ended=True)
        calendar = self._app.calendar
        for day in range(calendar.day(began_ms), calendar.day(now_ms) + 1):
            self._seconds[day] = calls.added(self._seconds[day], calls.seconds_by_tier([call], *self._span(day)))
        return calls.seconds_by_tier([call], began_ms, now_ms)

    def _span(self, day: int) -> tuple[int, int]:
        calendar = self._app.calendar
        return calendar.start_ms(day), calendar.start_ms(day + 1)

    def _journal(self, row: Row, origin: Origin, text: Mapping[str, Any]) -> None:
        row = row._replace(connection=origin.connection, request_seq=origin.request_seq, text=json.dumps(text))
        self._app.journal.append(row)

"""Takes over what other server processes of the app did, from the rows of the journal that say it.

The counts are in the store already; here is what a process keeps in mind beside them.
"""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mock_im_server import journal as log
from mock_im_server.domain.faults import FaultRule
from mock_im_server.domain.groups import OWNER, Group, Member
from mock_im_server.domain.plans import Plan
from mock_im_server.journal import Row
from mock_im_server.service.accounts import KICK_BY_REST
from mock_im_server.service.kept import Kept

if TYPE_CHECKING:
    from mock_im_server.service.app import App

_OF_CALLS: Final = frozenset({log.TRIAL_OPENED, log.CALL_STARTED, log.CALL_CHANGED, log.CALL_ENDED})


class Replay:
    """The state of one app, brought up to others' rows."""

    def __init__(self, app: "App", plans: Mapping[str, Plan]) -> None:
        self._app = app
        self._plans = plans
        self._names: dict[int, str] = {}
        """Of the users that the rows at hand name by number."""
        self._ending: set[asyncio.Task[None]] = set()

    def begin(self, kept: Kept) -> None:
        """Take over what another process has kept."""
        self._app.take_kept(kept, self._plans[kept.plan])

    async def take(self, rows: Sequence[Row]) -> None:
        """Rows in the order in which they were told."""
        # A session that has ended is nobody's but its own process's, and its row says no more than why.
        rows = [row for row in rows if row.kind != log.KICKED or row.user_id is not None]
        texts = [json.loads(row.text) if row.text else {} for row in rows]
        numbers = {row.user for row in rows if row.user}
        for text in texts:
            numbers.update(text.get("members", ()))
        asked = sorted(numbers)
        self._names = dict(zip(asked, await self._app.user_ids(asked), strict=True))
        for row, text in zip(rows, texts, strict=True):
            self._take(row, text)

    def _take(self, row: Row, text: dict[str, Any]) -> None:
        app = self._app
        if row.kind in _OF_CALLS:
            app.calls.restore([(row.kind, row.time_ms, text)])
        elif row.kind == log.APP_OPENED:
            app.take_opening(row.time_ms, text)
        elif row.kind == log.CLOCK_MOVED:
            app.take_clock(row.time_ms, text)
        elif row.kind in {log.MONTH_CLOSED, log.CHARGED}:
            app.take_statement(text)
        elif row.kind == log.PLAN_CHANGED:
            app.take_plan(self._plans[text["plan"]], text["month"])
        elif row.kind == log.FAULTS_CHANGED:
            app.faults.restore([FaultRule(**rule) for rule in text["rules"]])
        elif row.kind == log.KICKED:
            app.refuse_usersigs(str(row.user_id), text["real_s"])
            self._begin(app.end_sessions(row.user, text["kick_type"], row.time_ms))
        elif row.kind == log.DELETED:
            self._take_deletion(row)
        else:
            self._take_group(row, text)

    def _take_deletion(self, row: Row) -> None:
        app, user_id = self._app, self._names[row.user]
        app.profiles.forget(user_id)
        app.groups.forget(user_id, [group for group in app.groups.all() if user_id in group.members])
        self._begin(app.end_sessions(row.user, KICK_BY_REST, row.time_ms))

    def _begin(self, ending: Coroutine[Any, Any, None]) -> None:
        # Beside: it asks the store, which may want to hear the very news that are being read.
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _take_group(self, row: Row, text: dict[str, Any]) -> None:
        groups = self._app.groups
        if row.kind == log.GROUP_CREATED:
            groups.take(self._created(row, text))
            return
        group = groups.get(text.get("group_id", ""))
        if group is None:
            return  # Destroyed meanwhile: by this process, or in a row that it has heard.
        if row.kind == log.GROUP_DESTROYED:
            groups.drop(group.group_id)
        elif row.kind == log.JOINED:
            name = self._names[row.user]
            role = OWNER if name == group.owner else text["role"]
            group.members.setdefault(name, Member(role, text.get("joined_s", row.time_ms // 1_000)))
        elif row.kind == log.LEFT:
            group.members.pop(self._names[row.user], None)
        elif row.kind == log.GROUP_CHANGED:
            _change(group, row, text)

    def _created(self, row: Row, text: dict[str, Any]) -> Group:
        names = [self._names[number] for number in text["members"]]
        now_s = row.time_ms // 1_000
        return Group(
            number=text["group"],
            group_id=text["group_id"],
            type=text["type"],
            owner=names[0] if row.user else "",
            created_s=text["created_s"],
            max_members=text["max_members"],
            details=text["details"],
            members={name: Member(role, now_s) for name, role in zip(names, text["roles"], strict=True)},
            last_info_s=now_s,
        )


def _change(group: Group, row: Row, text: dict[str, Any]) -> None:
    group.last_info_s = row.time_ms // 1_000
    if "owner" in text:
        group.hand_over(text["owner"])
    else:
        group.max_members = text["max_members"]
        group.details |= text["details"]

"""Planted defects: wrong rules, so that an audit can show that it would notice.

`python -m mock_im_server --defect NAME`. Each replaces one rule; nothing else knows of them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from mock_im_server.domain import groups, plans
from mock_im_server.domain.actions import Action, Claim, Effects, Leave, Outcome, Quota
from mock_im_server.domain.apps import Rules
from mock_im_server.domain.billing import Overage
from mock_im_server.domain.calendar import BillingCalendar
from mock_im_server.domain.capacity import Health
from mock_im_server.domain.groups import Group
from mock_im_server.domain.plans import DayQuotas, Instant, Plan
from mock_im_server.domain.routing import ANYBODY, Choice, Client, Router, Way
from mock_im_server.stores.memory import MemoryStore

_HOUR_MS: Final = 3_600_000
_MINUTE_S: Final = 60
_HUNDREDS: Final = 100


_RIGHT: Final = Rules()


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong, by a wrong set of rules, a wrong store or a wrong router."""

    summary: str
    rules: Rules = _RIGHT
    new_store: Callable[[], MemoryStore] = MemoryStore
    new_router: type[Router] = Router


def _utc_day(_offset_ms: int) -> BillingCalendar:
    return BillingCalendar(offset_ms=0)


def _login_of_device(quotas: DayQuotas, at: Instant, user_id: str, instance: int) -> Action:
    device = f"{user_id}@{instance}"
    return Action(at.epoch, (Claim(quotas.accounts, user_id), Claim(quotas.active, device)))


def _login_but_after_midnight(quotas: DayQuotas, at: Instant, user_id: str, instance: int) -> Action:
    login = plans.login_of_user(quotas, at, user_id, instance)
    return login._replace(claims=login.claims[:1]) if at.day_ms < _HOUR_MS else login


def _counted(quotas: DayQuotas, at: Instant, user_id: str) -> Action:
    return Action(at.epoch, (Claim(quotas.active, user_id),))


def _one_more(plan: Plan) -> Plan:
    live, accounts = plan.live_groups_max, plan.accounts_max
    return replace(
        plan,
        live_groups_max=None if live is None else live + 1,
        accounts_max=None if accounts is None else accounts + 1,
    )


def _deletion_from_the_day(at: Instant, user_id: str) -> Action:
    deletion = plans.deletion_of_account(at, user_id)
    assert deletion.effects is not None, "a deletion has effects"
    leaves = (*deletion.effects.leaves, Leave(plans.active_users(at.day), user_id))
    return deletion._replace(effects=deletion.effects._replace(leaves=leaves))


def _destruction_that_counts(at: Instant, group: Group) -> Action:
    destruction = groups.destruction(at, group)
    assert destruction.effects is not None, "a destruction has effects"
    sets = {groups.GROUPS, groups.LIVE_GROUPS, groups.OTHER_GROUPS}
    leaves = tuple(leave for leave in destruction.effects.leaves if leave.name not in sets)
    return destruction._replace(effects=destruction.effects._replace(leaves=leaves))


def _creation_of_nobodys(*given: object, **named: object) -> Action:
    creation: Action = groups.creation(*given, **named)  # type: ignore[arg-type]  # passed on as they came
    assert creation.effects is not None, "a creation has effects"
    if any(claim.quota.name.startswith(plans.MEMBERS) for claim in creation.claims):
        return creation
    # A group without members takes no place and is in no peak.
    elsewhere = creation.claims[0]._replace(quota=Quota("empty_groups", None, 0))
    effects = Effects(needs=creation.effects.needs, draws=creation.effects.draws)
    return creation._replace(claims=(elsewhere,), effects=effects)


def _about(dau: int) -> int:
    """As a sketch counts: exact while it is small, then to the hundred."""
    return dau if dau < _HUNDREDS else dau // _HUNDREDS * _HUNDREDS


def _whole_minutes(seconds: int) -> int:
    return -(-seconds // _MINUTE_S) * _MINUTE_S


def _units_of_whole(quantity: int, overage: Overage) -> int:
    return -(-quantity // overage.per) if quantity > overage.free else 0


class _RacedStore(MemoryStore):
    """Reads how full a set is, thinks, and then writes: whoever read in between takes the same place."""

    async def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        names = {claim.quota.name for action in actions for claim in action.claims if claim.quota.limit is not None}
        sizes = dict(zip(names, await self.sizes(list(names)), strict=True))
        await asyncio.sleep(0)
        return await super().apply([self._unlimited(action, sizes) for action in actions])

    @staticmethod
    def _unlimited(action: Action, sizes: Mapping[str, int]) -> Action:
        claims = [
            claim._replace(quota=claim.quota._replace(limit=None))
            if claim.quota.limit is not None and sizes[claim.quota.name] < claim.quota.limit
            else claim
            for claim in action.claims
        ]
        return action._replace(claims=tuple(claims))


class _SharedStore(MemoryStore):
    """Counts a day's users of all apps of the server together."""

    _all: ClassVar[list["_SharedStore"]] = []

    def __init__(self) -> None:
        super().__init__()
        self._all.append(self)

    async def sizes(self, names: Sequence[str]) -> list[int]:
        own = await super().sizes(names)
        days = plans.active_users(0)[:-1]
        return [
            len({user for store in self._all for user in await store.members(name)}) if name.startswith(days) else size
            for name, size in zip(names, own, strict=True)
        ]


class _SecondNearestRouter(Router):
    """Puts the best access point second, wherever there are two."""

    def __init__(self, health: Mapping[str, Health], choice: Choice) -> None:
        super().__init__(health, choice)
        self.is_by_distance = False

    def route(self, ways: Sequence[Way], client: Client = ANYBODY) -> list[Way]:
        order = super().route(ways, client)
        return [*order[1:2], *order[:1], *order[2:]]


HEALTHY: Final = Defect("nothing")

DEFECTS: Final[Mapping[str, Defect]] = {
    "amounts-rounded-daily": Defect("minutes of calls are rounded up each day", Rules(seconds_of_day=_whole_minutes)),
    "billing-day-utc": Defect("the billing day begins at midnight UTC", Rules(calendar=_utc_day)),
    "cap-off-by-one": Defect("accounts and live groups have one place more", Rules(limits=_one_more)),
    "cap-raced": Defect("a cap is read and then written, so that requests race past it", new_store=_RacedStore),
    "charge-day-late": Defect("the charge falls on the day after", Rules(charge_day=lambda day: day + 1)),
    "dau-approximate": Defect("DAU are counted to the hundred", Rules(measured=_about)),
    "dau-of-other-app": Defect("users of the server's other apps count too", new_store=_SharedStore),
    "dau-per-device": Defect("every device of a user counts for DAU", Rules(login=_login_of_device)),
    "deleted-user-dropped": Defect("a deleted user leaves the day's DAU", Rules(deletion=_deletion_from_the_day)),
    "destroyed-group-counted": Defect("a destroyed group keeps its place", Rules(destruction=_destruction_that_counts)),
    "empty-group-free": Defect("a group without members takes no place", Rules(creation=_creation_of_nobodys)),
    "midnight-lost": Defect("logins of the first hour count nowhere", Rules(login=_login_but_after_midnight)),
    "refused-login-counted": Defect("a login with a wrong UserSig counts", Rules(refused_login=_counted)),
    "resume-counted": Defect("a resume counts as a login", Rules(resumption=_counted)),
    "second-nearest-access-point": Defect(
        "dispatch puts the best access point second", new_router=_SecondNearestRouter
    ),
    "whole-peak-charged": Defect("the whole peak is charged instead of the excess", Rules(units=_units_of_whole)),
}

"""The plans of the scenarios, one module each: who asks for what, in which order, and what is to come of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from im_load.plans.account_cap import AccountCapOptions, AccountCapPlan
from im_load.plans.call_trial import CallTrialOptions, CallTrialPlan
from im_load.plans.global_access import GlobalAccessOptions, GlobalAccessPlan
from im_load.plans.group_overage import GroupOverageOptions, GroupOveragePlan
from im_load.plans.live_group_cap import LiveGroupCapOptions, LiveGroupCapPlan
from im_load.plans.month import MonthOptions, MonthPlan
from im_load.plans.plan import Plan, PlanOptions
from im_load.plans.region_outage import RegionOutageOptions, RegionOutagePlan

__all__ = ["Plan", "PlanOptions", "plan_from_json", "plan_json", "plan_of"]

_PLANS: Final[Mapping[type[PlanOptions], type[Any]]] = {
    MonthOptions: MonthPlan,
    AccountCapOptions: AccountCapPlan,
    LiveGroupCapOptions: LiveGroupCapPlan,
    GroupOverageOptions: GroupOveragePlan,
    CallTrialOptions: CallTrialPlan,
    GlobalAccessOptions: GlobalAccessPlan,
    RegionOutageOptions: RegionOutagePlan,
}
_BY_NAME: Final = {options.__name__: options for options in _PLANS}


def plan_of(options: PlanOptions) -> Plan:
    plan: Plan = _PLANS[type(options)](options)
    return plan


def plan_json(plan: Plan) -> dict[str, Any]:
    """For a message to the workers, which make the plan anew."""
    return {"of": type(plan.options).__name__, "options": asdict(plan.options)}


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in data["options"].items()}
    options: Callable[..., PlanOptions] = _BY_NAME[data["of"]]
    return plan_of(options(**fields))

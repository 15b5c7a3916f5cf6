"""Which claims an action makes under a plan."""

import pytest

from mock_im_server import catalogue
from mock_im_server.domain.actions import Action, Claim, Quota
from mock_im_server.domain.plans import Instant, Plan, active_users, day_quotas, import_of_account, login_of_user

TRIAL = Plan("trial", accounts_max=100, dau_max=100)
PRO = Plan("pro", accounts_max=None, dau_max=None)
DAY = 20_727


def at(epoch: int) -> Instant:
    return Instant(epoch, DAY, 0, "2026-10")


def test_a_trial_has_100_accounts_and_100_dau_and_paid_plans_have_no_cap() -> None:
    plans = catalogue.load().plans
    limits = {name: (plan.accounts_max, plan.dau_max) for name, plan in plans.items()}
    assert limits == {"trial": (100, 100), "pro": (None, None), "ultimate": (None, None)}


def test_a_login_claims_an_account_and_then_a_place_among_the_days_active_users() -> None:
    assert login_of_user(day_quotas(TRIAL, DAY), at(7), "alice", 1) == Action(
        7,
        (
            Claim(Quota("accounts", 100, 70398), "alice"),
            Claim(Quota("active/20727", 100, 72000), "alice"),
        ),
    )


def test_paid_plans_have_no_limits() -> None:
    action = login_of_user(day_quotas(PRO, DAY), at(0), "alice", 1)
    assert [claim.quota.limit for claim in action.claims] == [None, None]


@pytest.mark.parametrize("instance", [0, 1, 99])
def test_devices_of_a_user_make_the_same_claims(instance: int) -> None:
    quotas = day_quotas(TRIAL, DAY)
    assert login_of_user(quotas, at(0), "alice", instance) == login_of_user(quotas, at(0), "alice", 5)


def test_an_import_claims_an_account_only() -> None:
    assert import_of_account(TRIAL, 3, "alice") == Action(3, (Claim(Quota("accounts", 100, 70398), "alice"),))


def test_the_admin_takes_none_of_the_trials_places() -> None:
    login = login_of_user(day_quotas(TRIAL, DAY), at(0), "administrator", 1)
    imported = import_of_account(TRIAL, 0, "administrator")
    assert [claim.quota.name for claim in login.claims] == ["admins", active_users(DAY)]
    assert [(claim.quota.name, claim.quota.limit) for claim in imported.claims] == [("admins", None)]

"""What a plan includes, and the claims that follow."""

from mock_im_server import catalogue
from mock_im_server.domain import plans
from mock_im_server.domain.actions import Claim

PLANS = catalogue.load().plans


def test_a_trial_has_100_accounts_and_100_dau_and_paid_plans_have_no_cap() -> None:
    limits = {name: (plan.accounts_max, plan.dau_max) for name, plan in PLANS.items()}

    assert limits == {"trial": (100, 100), "pro": (None, None), "ultimate": (None, None)}


def test_a_login_claims_an_account_before_it_claims_to_be_active() -> None:
    day = plans.day_quotas(PLANS["trial"], day=20_742)

    action = plans.login_of_user(day, 3, "alice", 1)

    assert action.epoch == 3
    assert action.claims == (Claim(day.accounts, "alice"), Claim(day.active, "alice"))
    assert [claim.quota.refusal for claim in action.claims] == [70398, 72000]


def test_the_admin_takes_none_of_the_accounts() -> None:
    day = plans.day_quotas(PLANS["trial"], day=20_742)

    action = plans.login_of_user(day, 0, "administrator", 1)

    assert action.claims[0].quota.limit is None
    assert action.claims[0].quota.name != plans.ACCOUNTS


def test_an_import_claims_an_account_only() -> None:
    action = plans.import_of_account(PLANS["trial"], 0, "alice")

    assert [(claim.quota.name, claim.quota.limit) for claim in action.claims] == [("accounts", 100)]

"""Call frequency limits, per app and API and second."""

import pytest

from mock_im_server.transport.frequency import FrequencyLimits

IMPORT = "im_open_login_svc/account_import"


@pytest.mark.holds("frequency")
@pytest.mark.parametrize(
    ("command", "per_second"),
    [
        (IMPORT, 200),
        ("im_open_login_svc/multiaccount_import", 100),
        ("im_open_login_svc/account_delete", 100),
        ("im_open_login_svc/account_check", 100),
        ("group_open_http_svc/get_appid_group_list", 1),
        ("anything/else", 200),
    ],
)
def test_the_vendors_limits(command: str, per_second: int) -> None:
    limits = FrequencyLimits()
    assert [limits.allow(1, command, 5_999) for _ in range(per_second + 1)] == [True] * per_second + [False]
    assert limits.allow(1, command, 6_000)


def test_apps_and_commands_do_not_share_a_limit() -> None:
    limits = FrequencyLimits(override=1)
    assert [limits.allow(app, command, 0) for app in (1, 2) for command in ("a/b", "a/c")] == [True] * 4
    assert not limits.allow(1, "a/b", 999)


def test_limits_can_be_switched_off() -> None:
    limits = FrequencyLimits(is_on=False)
    assert all(limits.allow(1, "group_open_http_svc/get_appid_group_list", 0) for _ in range(10))

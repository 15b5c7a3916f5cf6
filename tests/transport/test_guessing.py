"""Guessing UserSigs over the gateway."""

import pytest

from mock_im_server.domain.attempts import FAILURES_MAX, PERIOD_S
from tests.serving import REAL_MS, a_server, some_settings

FORGED = {"usersig": "eJwAAAD__wAAAAE_"}


@pytest.mark.holds("70050")
async def test_too_many_failed_usersigs_bar_the_user_for_a_minute() -> None:
    real_ms = REAL_MS
    async with a_server(some_settings(rate_limits=None), real_ms=lambda: real_ms) as server, server.connected() as wire:
        codes = [(await wire.login("alice", **FORGED))["ErrorCode"] for _ in range(FAILURES_MAX)]
        assert set(codes) == {70003}

        assert (await wire.login("alice"))["ErrorCode"] == 70050
        assert (await wire.login("bob"))["ErrorCode"] == 0

        real_ms += PERIOD_S * 1_000
        assert (await wire.login("alice"))["ErrorCode"] == 0


async def test_without_rate_limits_nobody_is_barred() -> None:
    async with a_server() as server, server.connected() as wire:
        for _ in range(FAILURES_MAX):
            await wire.login("alice", **FORGED)
        assert (await wire.login("alice"))["ErrorCode"] == 0

"""Faults that a test asks for, over REST and gateway."""

import asyncio
from pathlib import Path

from mock_im_server import journal as log
from tests.serving import SDKAPPID, Server, a_server, identity, is_one_line, some_settings

FAULTS = f"/apps/{SDKAPPID}/faults"
BUSY = 60008


async def set_faults(server: Server, *rules: dict[str, object]) -> None:
    status, said = await server.control("PUT", FAULTS, {"rules": rules})
    assert status == 200, said


async def counted(server: Server, what: str) -> None:
    while not (await server.status())[what]:
        pass


async def test_a_rest_call_that_is_refused_changes_nothing_and_is_in_the_journal() -> None:
    async with a_server() as server:
        await set_faults(server, {"api": "im_open_login_svc/account_import", "code": BUSY})

        assert await server.import_account("alice") == BUSY

        assert (await server.status())["accounts"] == 0
        row = server.rows()[-1]
        assert (row.kind, row.code, row.text) == (log.FAULT_MET, BUSY, "im_open_login_svc/account_import")


async def test_without_rules_all_is_well_again() -> None:
    async with a_server() as server:
        await set_faults(server, {"api": "*", "code": BUSY})
        await set_faults(server)
        assert await server.import_account("alice") == 0


async def test_a_login_that_is_refused_counts_nowhere_and_names_its_request() -> None:
    async with a_server() as server, server.connected() as wire:
        await set_faults(server, {"api": "im_open_status/wslogin", "code": BUSY})

        assert (await wire.login("alice"))["ErrorCode"] == BUSY

        assert (await server.status())["dau"] == 0
        row = server.rows()[-1]
        assert (row.kind, row.connection, row.request_seq) == (log.FAULT_MET, 1, wire.seq)


async def test_only_the_api_that_is_named_meets_the_fault() -> None:
    async with a_server() as server, server.connected() as wire:
        await set_faults(server, {"api": "group_open_http_svc/*", "code": 10002})
        alice = identity(await wire.login("alice"))
        group = {"Type": "AVChatRoom", "Name": "room", "GroupId": "room"}
        assert (await wire.ask("group_open_http_svc.create_group", group, **alice))["ErrorCode"] == 10002
        assert (await wire.ask("im_open_status.wslogout", **alice))["ErrorCode"] == 0


async def test_who_is_answered_late_does_not_hold_up_the_others() -> None:
    async with a_server() as server, server.connected() as slow, server.connected() as quick:
        await set_faults(server, {"api": "im_open_status/wslogin", "latency_ms": 300, "share": 0.5, "seed": 1})
        # By this seed the first login is late and the second is not.
        first = asyncio.create_task(slow.login("alice"))
        await counted(server, "dau")
        assert (await quick.login("bob"))["ErrorCode"] == 0
        assert not first.done()
        assert (await first)["ErrorCode"] == 0
        assert (await server.status())["dau"] == 2


async def test_a_late_rest_call_is_carried_out_at_once() -> None:
    async with a_server() as server:
        await set_faults(server, {"api": "*", "latency_ms": 200})
        call = asyncio.create_task(server.import_account("alice"))
        await counted(server, "accounts")
        assert not call.done()
        assert await call == 0


async def test_rules_are_told_kept_in_the_journal_and_outlive_a_restart(tmp_path: Path) -> None:
    rule = {"api": "openim/*", "code": BUSY, "share": 0.5, "seed": 3}
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        await set_faults(server, rule)
        assert server.rows()[-1].kind == log.FAULTS_CHANGED
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        _, told = await server.control("GET", FAULTS)
        assert [{key: one[key] for key in rule} for one in told["rules"]] == [rule]


async def test_a_rule_that_cannot_be_used_is_told_in_one_line_and_changes_nothing() -> None:
    async with a_server() as server:
        await set_faults(server, {"api": "*", "code": BUSY})
        for body in ({"rules": [{"api": "*"}]}, {"rules": [{"code": 1}]}, {"rules": [{"api": "*", "shares": 1}]}):
            status, said = await server.control("PUT", FAULTS, body)
            assert status == 400
            assert is_one_line(said)
        assert await server.import_account("alice") == BUSY

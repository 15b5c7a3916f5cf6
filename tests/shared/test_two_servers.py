"""Two server processes' worth of server on one Redis: what one was told, the other knows."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mock_im_server import journal as log
from mock_im_server.app import running
from mock_im_server.domain.calendar import DAY_MS, iso_day
from mock_im_server.domain.capacity import State
from mock_im_server.domain.clock import ClockRefusedError
from mock_im_server.domain.faults import FaultRule
from mock_im_server.journal import Row
from mock_im_server.service import LoginRequest
from mock_im_server.service.app import FAR_LOGINS
from mock_im_server.service.groups import NewGroup
from mock_im_server.shared import keys
from mock_im_server.shared.apps import SharedApps
from mock_im_server.shared.stream_journal import StreamJournal
from mock_im_server.stores.base import StoreAwayError
from mock_im_server.stores.redis import RedisStore
from mock_im_server.wire import frames
from proofs.redis_server import RedisServer, redis_server
from tests.service.wires import SilentWire, answered
from tests.serving import REAL_MS, SDKAPPID, Server, Wire, a_usersig, at_ms, identity, some_settings, type_json


async def _pushed(wire: Wire) -> type_json:
    return dict(json.loads(await wire.socket.receive_bytes(timeout=10)))


async def _emptied(redis: RedisServer) -> str:
    async with Redis.from_url(redis.url) as client:
        await client.flushdb()
    return redis.url


@pytest.fixture
async def servers(tmp_path: Path, redis: RedisServer) -> AsyncIterator[tuple[Server, Server]]:
    """Both keep no data of before: their database is emptied first."""
    url = await _emptied(redis)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())
        both = []
        for name in ("one", "two"):
            settings = replace(some_settings(data_dir=tmp_path / name), store=url)
            both.append(Server(await stack.enter_async_context(running(settings, real_ms=lambda: REAL_MS)), http))
        yield both[0], both[1]
        for server in both:
            await server.running.apps.catch_up()
            assert not any(part.done() for part in server.running.parts), "every part of a server goes on"


async def test_a_user_of_both_servers_is_counted_once(servers: tuple[Server, Server]) -> None:
    for server in servers:
        async with server.connected() as wire:
            assert (await wire.login("alice"))["A2Key"]

    assert [(await server.app.status())["dau"] for server in servers] == [1, 1]
    assert [(await server.app.status())["logins"] for server in servers] == [2, 2]


def drained_rows(servers: tuple[Server, Server]) -> list[type_json]:
    return [row for batch in log.read(servers[0].app.journal.files()[0].parent).batches for row in batch.to_pylist()]


def many_logins(count: int) -> list[LoginRequest]:
    wire = SilentWire()
    users = [f"user{number}" for number in range(count)]
    return [
        LoginRequest(wire, frames.Head(frames.LOGIN, seq, SDKAPPID, identifier=user, usersig=a_usersig(user)))
        for seq, user in enumerate(users)
    ]


async def test_logins_of_several_parts_are_answered_in_the_order_in_which_they_came(
    servers: tuple[Server, Server],
) -> None:
    app, requests = servers[0].app, many_logins(3 * FAR_LOGINS)

    answers = await app.login(requests)

    numbers = [int(answered(answer)["TinyId"]) - frames.TINY_ID_BASE for answer in answers]
    assert await app.user_ids(numbers) == [request.head.identifier for request in requests]
    assert (await app.status())["dau"] == len(requests)


async def test_a_part_of_the_logins_whose_outcome_is_lost_takes_no_rows_from_the_others(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, calls = servers[0].app, count(1)
    assert isinstance(app.store, RedisStore)
    script = app.store._script

    async def second_reply_lost(*, keys: list[str], args: list[object]) -> bytes:
        reply = await script(keys=keys, args=args)
        if next(calls) == 2:
            raise RedisConnectionError
        return bytes(reply)

    requests = many_logins(3 * FAR_LOGINS)
    await app.login(requests[:1])
    monkeypatch.setattr(app.store, "_script", second_reply_lost)
    with pytest.raises(StoreAwayError):
        await app.login(requests[1:])

    cut = await app.journal.cut()
    kinds = [row["kind"] for row in drained_rows(servers)]
    assert kinds.count(log.LOGGED_IN) + kinds.count(log.UNANSWERED) == len(requests)
    assert kinds.count(log.LOGGED_IN) >= FAR_LOGINS
    assert kinds.count(log.UNANSWERED) >= FAR_LOGINS - 1
    assert cut.rows == cut.last_seq


async def test_a_session_may_be_resumed_at_the_other_server(servers: tuple[Server, Server]) -> None:
    async with servers[0].connected() as wire:
        login = await wire.login("alice")
    async with servers[1].connected() as wire:
        resumed = await wire.ask("im_open_status.wslogin", {"State": "Online"}, **identity(login))

    assert resumed["TinyId"] == login["TinyId"]


async def test_who_asks_at_one_server_while_the_other_resets_the_app_is_told_so(
    servers: tuple[Server, Server],
) -> None:
    one, two = servers
    old = two.app
    old.profiles.set("alice", {"Tag_Profile_IM_Nick": "Al"})
    await one.control("POST", f"/apps/{SDKAPPID}/reset", {"start": "2026-10-01"})
    await one.running.apps.freed()

    with pytest.raises(StoreAwayError, match="reset"):
        await old.take_seq()

    assert two.app is not old
    await two.running.apps.freed()
    assert not old.profiles.get("alice")
    async with two.connected() as wire:
        assert (await wire.login("alice"))["ErrorCode"] == 0


async def test_a_group_made_at_one_server_is_joined_at_the_other(servers: tuple[Server, Server]) -> None:
    one, two = servers
    await one.app.accounts.import_all(["alice", "bob"])
    await one.app.groups.create(NewGroup("walkers", "Public", "alice"))
    await one.app.journal.written()

    await two.app.peers.catch_up()
    assert await two.app.groups.join("walkers", "bob") == 0
    await two.app.journal.written()

    await one.app.peers.catch_up()
    assert list(one.app.groups["walkers"].members) == ["alice", "bob"]


async def test_a_group_may_be_handed_to_a_member_who_is_not_heard_of_yet(servers: tuple[Server, Server]) -> None:
    one, two = servers
    await one.app.accounts.import_all(["alice", "bob"])
    await one.app.groups.create(NewGroup("walkers", "Public", "alice"))
    await one.app.journal.written()
    await two.app.peers.catch_up()
    assert await one.app.groups.join("walkers", "bob") == 0  # Its row is not told yet.

    assert await two.app.groups.change_owner("walkers", "bob") == 0
    for server in (two, one):
        await server.app.journal.written()
    for server in servers:
        await server.app.peers.catch_up()

    roles = [{name: member.role for name, member in server.app.groups["walkers"].members.items()} for server in servers]
    assert roles == [{"alice": "Member", "bob": "Owner"}] * 2
    await one.app.journal.cut()


async def test_the_rest_api_hears_before_it_answers(servers: tuple[Server, Server]) -> None:
    one, two = servers
    await one.rest("im_open_login_svc/account_import", {"UserID": "alice"})
    made = {"Type": "Public", "GroupId": "walkers", "Name": "walkers", "Owner_Account": "alice"}
    await one.rest("group_open_http_svc/create_group", made)

    answer = await two.rest("group_open_http_svc/destroy_group", {"GroupId": "walkers"})
    again = await one.rest("group_open_http_svc/destroy_group", {"GroupId": "walkers"})

    assert (answer["ErrorCode"], again["ErrorCode"]) == (0, 10010)


async def test_a_clock_moves_for_all_and_closes_the_month_once(servers: tuple[Server, Server]) -> None:
    one, two = servers
    async with one.connected() as wire:
        await wire.login("alice")
    await two.app.move_clock(at_ms("2026-11-04"))
    async with one.connected() as wire:
        await wire.login("alice")

    statements = [server.app.statements["2026-10"] for server in servers]
    assert statements[0] == statements[1]
    assert statements[0]["charged_on"] == "2026-11-03"
    assert {server.app.now_ms() for server in servers} == {at_ms("2026-11-04")}
    assert (await one.app.status())["dau"] == 1


async def known_clocks(servers: tuple[Server, Server]) -> set[tuple[int, int]]:
    """The app's time and the epoch, as each process knows them once it has heard all."""
    for server in servers:
        await server.app.peers.catch_up()
    return {(server.app.now_ms(), server.app.clock.epoch) for server in servers}


async def test_clocks_that_are_advanced_at_both_at_once_add_up(servers: tuple[Server, Server]) -> None:
    start_ms, moves = servers[0].app.now_ms(), 10

    await asyncio.gather(*[server.app.advance_clock(DAY_MS) for server in servers for _ in range(moves)])

    assert await known_clocks(servers) == {(start_ms + 2 * moves * DAY_MS, 2 * moves)}
    for server in servers:
        assert await server.app.accounts.import_all(["alice"]) == [0]


async def test_a_month_that_both_would_close_is_closed_once(servers: tuple[Server, Server]) -> None:
    later_ms = [at_ms("2026-11-01"), at_ms("2026-11-04")]
    moves = await asyncio.gather(
        *[server.app.move_clock(now_ms) for server in servers for now_ms in later_ms], return_exceptions=True
    )

    assert {type(move) for move in moves} <= {type(None), ClockRefusedError}
    ((now_ms, _epoch),) = await known_clocks(servers)
    assert now_ms == max(later_ms)
    await servers[1].app.journal.cut()
    settled = [row["kind"] for row in drained_rows(servers) if row["kind"] in {log.MONTH_CLOSED, log.CHARGED}]
    assert settled == [log.MONTH_CLOSED, log.CHARGED]


async def test_nothing_is_counted_for_a_month_that_is_closed_although_another_clock_is_late(
    tmp_path: Path, redis: RedisServer
) -> None:
    url = await _emptied(redis)
    closes_ms = at_ms("2026-11-01")
    times = {"one": closes_ms - 20, "two": closes_ms - 20}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())
        servers = []
        for name in times:
            settings = replace(some_settings(data_dir=tmp_path / name, start=None), store=url)
            time = partial(times.__getitem__, name)
            servers.append(Server(await stack.enter_async_context(running(settings, real_ms=time)), http))
        one, two = servers
        assert isinstance(one.running.apps, SharedApps)
        one.running.apps.listener.leads = True
        times |= {"one": closes_ms, "two": closes_ms - 10}

        await one.app.settled_ms()
        async with two.connected() as wire:
            await wire.login("alice")

        await two.app.journal.cut()
        (counted,) = [row for row in drained_rows((one, two)) if row["kind"] == log.LOGGED_IN]
        assert iso_day(counted["counted_day"]) == "2026-11-01"
        assert [server.app.now_ms() for server in servers] == [closes_ms] * 2
        assert [list(server.app.statements) for server in servers] == [["2026-10"]] * 2


async def test_a_clock_whose_mover_died_goes_on_from_where_it_had_come(servers: tuple[Server, Server]) -> None:
    one, two = servers
    closed_ms = at_ms("2026-11-01")
    epoch = await one.app.store.next_epoch()
    await one.app._settle_at(closed_ms, epoch)
    # And nobody will ever say that the clock has moved.

    async with two.connected() as wire:
        assert (await wire.login("alice"))["A2Key"]

    assert await known_clocks(servers) == {(closed_ms, epoch + 1)}
    assert [list(server.app.statements) for server in servers] == [["2026-10"]] * 2


async def test_who_moved_the_clock_too_slowly_is_told_and_changes_nothing(servers: tuple[Server, Server]) -> None:
    one, two = servers
    slow = await one.app.store.next_epoch()
    async with two.connected() as wire:
        await wire.login("alice")

    with pytest.raises(StoreAwayError, match="moved it meanwhile"):
        await one.app._settle_at(at_ms("2026-11-01"), slow)

    assert [list(server.app.statements) for server in servers] == [[], []]


async def _away(*_: object) -> NoReturn:
    raise StoreAwayError


async def test_a_change_that_was_being_heard_while_redis_went_away_is_heard_after(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    await one.app.accounts.import_all(["alice"])
    await one.app.groups.create(NewGroup("walkers", "Public", "alice"))
    monkeypatch.setattr(two.app.store, "names", _away)
    with suppress(StoreAwayError):  # It may have been heard beside, and in vain.
        await one.app.move_clock(at_ms("2026-11-04"))
        await two.app.peers.catch_up()
    monkeypatch.undo()

    await two.app.peers.catch_up()

    assert [len(list(server.app.groups.all())) for server in servers] == [1, 1]
    assert {server.app.now_ms() for server in servers} == {at_ms("2026-11-04")}


async def test_who_shares_a_reading_that_failed_reads_again(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    assert isinstance(two.running.apps, SharedApps)
    listener = two.running.apps.listener
    async with listener._lock:
        await one.app.move_clock(at_ms("2026-10-20"))
        read, readings = listener._read, count(1)

        async def first_one_fails() -> bool:
            if next(readings) == 1:
                raise StoreAwayError
            return await read()

        monkeypatch.setattr(listener, "_read", first_one_fails)
        both = [asyncio.create_task(listener.catch_up()) for _ in range(2)]
        await asyncio.sleep(0)
    await asyncio.wait(both)

    assert two.app.now_ms() == at_ms("2026-10-20")


async def test_a_server_that_ends_leaves_nothing_to_be_waited_for(tmp_path: Path, redis: RedisServer) -> None:
    url = await _emptied(redis)
    settings = replace(some_settings(data_dir=tmp_path), store=url)
    async with running(settings, real_ms=lambda: REAL_MS) as server:
        await server.apps[SDKAPPID].accounts.import_all(["alice"])
        await server.apps[SDKAPPID].journal.cut()

    async with Redis.from_url(url) as client:
        assert not await client.exists(keys.DRAINER)
        assert [key async for key in client.scan_iter(keys.ALIVE + "*")] == []


async def test_a_journal_goes_on_although_redis_went_away_between_a_group_and_its_row(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, calls = servers[0].app, count(1)
    numbers = app.store.numbers

    async def away_at_first(members: Sequence[str]) -> list[int]:
        if next(calls) == 1:
            raise StoreAwayError
        return await numbers(members)

    await app.accounts.import_all(["alice"])
    monkeypatch.setattr(app.store, "numbers", away_at_first)
    await app.groups.create(NewGroup("walkers", "Public", "alice"))

    await app.journal.cut()
    assert log.GROUP_CREATED in [row["kind"] for row in drained_rows(servers)]


async def test_a_statement_that_a_slow_mover_tells_late_changes_nothing(servers: tuple[Server, Server]) -> None:
    app = servers[0].app
    await app.move_clock(at_ms("2026-11-04"))
    known = dict(app.statements["2026-10"])

    app.take_statement(known | {"charged_on": None, "charged_at_ms": None})

    assert app.statements["2026-10"] == known
    await app.move_clock(at_ms("2026-12-01"))
    await app.journal.cut()
    settled = [row["kind"] for row in drained_rows(servers) if row["kind"] in {log.MONTH_CLOSED, log.CHARGED}]
    assert settled == [log.MONTH_CLOSED, log.CHARGED, log.MONTH_CLOSED]


async def test_an_app_that_was_reset_while_redis_went_away_is_followed_after(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    assert isinstance(two.running.apps, SharedApps)
    monkeypatch.setattr(two.running.apps.listener, "_end_of", _away)
    with suppress(StoreAwayError):  # It may have been heard beside, and in vain.
        await one.running.apps.reset(SDKAPPID)
        await two.running.apps.catch_up()
    monkeypatch.undo()

    await one.app.move_clock(at_ms("2027-02-04"))
    await two.running.apps.catch_up()

    assert two.app.now_ms() == at_ms("2027-02-04")
    assert two.app.statements == one.app.statements


async def test_what_a_process_writes_before_it_hears_of_a_reset_is_freed_once_it_does(
    servers: tuple[Server, Server], redis: RedisServer
) -> None:
    one, two = servers
    async with Redis.from_url(redis.url) as client:
        (news,) = [key async for key in client.scan_iter("*}:news")]
        prefix = news.removesuffix(b"news")
        assert isinstance(two.running.apps, SharedApps)
        async with two.running.apps.listener._lock:  # It hears nothing now.
            await one.running.apps.reset(SDKAPPID)
            await one.running.apps.freed()
            late = StreamJournal(client, prefix.decode(), "two", Path())
            late.append(Row(1, 0, log.GROUP_CHANGED, text="{}"))
            await late.written()
            with pytest.raises(StoreAwayError, match="reset"):
                await two.app.store.next_epoch()

        await two.running.apps.catch_up()
        await two.running.apps.freed()

        assert [key async for key in client.scan_iter(prefix + b"*")] == [prefix + b"epoch"]


async def test_the_journal_holds_the_rows_of_both_in_one_order(servers: tuple[Server, Server]) -> None:
    for number in range(6):
        async with servers[number % 2].connected() as wire:
            await wire.login(f"user{number}")

    cut = await servers[1].app.journal.cut()
    rows = drained_rows(servers)

    assert [row["seq"] for row in rows][: cut.last_seq] == list(range(1, cut.last_seq + 1))
    assert [row["user_id"] for row in rows if row["kind"] == log.LOGGED_IN] == [f"user{n}" for n in range(6)]
    assert cut.rows == cut.last_seq


async def test_an_app_that_is_reset_is_empty_everywhere(servers: tuple[Server, Server]) -> None:
    one, two = servers
    await one.app.accounts.import_all(["alice"])
    await two.running.apps.reset(SDKAPPID, fixed_ms=at_ms("2026-12-01"))

    await one.running.apps.catch_up()

    assert [(await server.app.status())["accounts"] for server in servers] == [0, 0]
    assert {server.app.now_ms() for server in servers} == {at_ms("2026-12-01")}


async def test_a_kick_ends_sessions_and_usersigs_everywhere(servers: tuple[Server, Server]) -> None:
    one, two = servers
    signature = a_usersig("alice")
    async with one.connected() as wire:
        await wire.login("alice", usersig=signature)
        await two.rest("im_open_login_svc/kick", {"UserID": "alice"})
        push = await _pushed(wire)
        assert push["head"]["servcmd"] == "im_open_status.stat_forceoffline"
        refused = await wire.login("alice", usersig=signature)

    assert refused["ErrorCode"] == 70052


async def test_a_login_at_one_server_ends_the_session_that_it_replaces_at_the_other(
    servers: tuple[Server, Server],
) -> None:
    one, two = servers
    async with one.connected() as first, two.connected() as second:
        await first.login("alice", status_instid=1)
        await second.login("alice", status_instid=2)
        push = await _pushed(first)
        await one.app.journal.written()
        assert (await second.login("bob", status_instid=3))["ErrorCode"] == 0

    assert push["head"]["servcmd"] == "im_open_status.stat_forceoffline"


async def test_a_message_reaches_a_session_at_the_other_server(servers: tuple[Server, Server]) -> None:
    one, two = servers
    await one.app.accounts.import_all(["alice", "bob"])
    async with two.connected() as wire:
        await wire.login("bob")
        message = {
            "From_Account": "alice",
            "To_Account": "bob",
            "MsgRandom": 1,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}],
        }
        assert (await one.rest("openim/sendmsg", message))["ErrorCode"] == 0
        push = await _pushed(wire)

    assert push["head"]["servcmd"] == "im_open_push.msg_push"


async def test_faults_and_access_points_are_the_same_everywhere(servers: tuple[Server, Server]) -> None:
    one, two = servers
    await one.app.faults.set([FaultRule(api="im_open_login_svc/*", code=60008)])
    await one.control("PUT", "/access_points/sg", {"state": "down"})

    answer = await two.rest("im_open_login_svc/account_import", {"UserID": "alice"})
    _, points = await two.control("GET", "/access_points")

    assert answer["ErrorCode"] == 60008
    assert [point["state"] for point in points["points"] if point["code"] == "sg"] == [State.DOWN]


async def test_a_server_that_starts_later_knows_what_was(
    tmp_path: Path, redis: RedisServer, servers: tuple[Server, Server]
) -> None:
    one, _ = servers
    await one.app.accounts.import_all(["alice"])
    await one.app.groups.create(NewGroup("walkers", "Public", "alice"))
    await one.app.journal.written()

    settings = replace(some_settings(data_dir=tmp_path / "three"), store=redis.url)
    async with running(settings, real_ms=lambda: REAL_MS) as late:
        assert late.apps[SDKAPPID].groups["walkers"].owner == "alice"


async def test_while_redis_is_away_requests_get_60008_and_then_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, "--appendonly", "yes", "--appendfsync", "always") as own:
        settings = replace(some_settings(data_dir=tmp_path / "data"), store=own.url)
        async with running(settings, real_ms=lambda: REAL_MS) as made, ClientSession() as http:
            server = Server(made, http)
            async with server.connected() as wire:
                await wire.login("alice")
                own.kill()
                refused = await wire.login("bob")
                by_rest = await server.rest("im_open_login_svc/account_import", {"UserID": "carol"})
                own.start()
                again = await wire.login("bob")
            status = await server.app.status()

    assert (refused["ErrorCode"], by_rest["ErrorCode"], again["ErrorCode"]) == (60008, 60008, 0)
    assert (status["dau"], status["accounts"]) == (2, 2)


async def test_nobody_is_online_at_a_process_that_is_gone(servers: tuple[Server, Server], redis: RedisServer) -> None:
    async with servers[0].connected() as wire, Redis.from_url(redis.url) as client:
        await wire.login("alice")
        assert (await servers[0].app.status())["online"] == 1
        (online,) = [key async for key in client.scan_iter("*:online")]
        await client.hset(online, "a-process-that-was-killed", "5")
        assert (await servers[1].app.status())["online"] >= 5
        async with asyncio.timeout(10):
            while (await servers[1].app.status())["online"] != 1:
                pass

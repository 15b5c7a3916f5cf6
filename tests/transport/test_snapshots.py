"""An app's state, kept by name, taken back and forked."""

import asyncio
from pathlib import Path

from tests.serving import SDKAPPID, Server, a_server, a_usersig, at_ms, identity, is_one_line, some_settings

SNAPSHOTS = f"/apps/{SDKAPPID}/snapshots"
OTHER = SDKAPPID + 1
OTHER_KEY = "key-of-a-fork"


async def done(server: Server, method: str, path: str, body: object = None) -> dict[str, object]:
    status, said = await server.control(method, SNAPSHOTS + path, body)
    assert status < 300, said
    return dict(said)


async def test_an_app_goes_back_to_what_was_saved() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        await done(server, "PUT", "/morning")
        before = await server.status()
        await server.import_account("bob")
        await server.move_clock(at_ms("2026-11-04"))

        assert await done(server, "POST", "/morning/restore") == before

        assert await server.status() == before
        assert await server.import_account("bob") == 0


async def test_a_user_of_a_snapshot_keeps_number_and_day() -> None:
    async with a_server() as server, server.connected() as wire:
        alice = await wire.login("alice")
        await done(server, "PUT", "/s")
        await wire.login("bob")
        await done(server, "POST", "/s/restore")

        again = await wire.login("alice")

        assert again["TinyId"] == alice["TinyId"]
        assert (await server.status())["dau"] == 1


async def test_sessions_end_and_tickets_of_the_saved_time_still_hold() -> None:
    async with a_server() as server, server.connected() as wire:
        alice = identity(await wire.login("alice"))
        await done(server, "PUT", "/s")
        await done(server, "POST", "/s/restore")
        assert (await server.status())["online"] == 0
        assert (await wire.ask("im_open_status.wslogin", **alice))["ErrorCode"] == 0


async def test_a_ticket_of_a_user_whom_the_saved_time_has_not_seen_holds_no_more() -> None:
    async with a_server() as server, server.connected() as wire:
        await done(server, "PUT", "/s")
        alice = identity(await wire.login("alice"))
        await done(server, "POST", "/s/restore")

        for asked in ("im_open_status.wslogin", "group_open_http_svc.get_joined_group_list"):
            assert (await wire.ask(asked, **alice))["ErrorCode"] != 0
        assert (await wire.login("bob"))["ErrorCode"] == 0


async def test_a_fork_goes_on_apart_from_the_app() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        await done(server, "PUT", "/s")

        made = await done(server, "POST", "/s/fork", {"sdkappid": OTHER, "key": OTHER_KEY})

        assert (made["sdkappid"], made["accounts"]) == (OTHER, 1)
        sig = a_usersig("administrator", sdkappid=OTHER, key=OTHER_KEY)
        asked = {"sdkappid": str(OTHER), "usersig": sig}
        answer = await server.rest("im_open_login_svc/account_import", {"UserID": "bob"}, **asked)
        assert answer["ErrorCode"] == 0
        assert (await server.status())["accounts"] == 1


async def test_a_fork_is_given_an_sdkappid_and_a_key_where_none_are_said() -> None:
    async with a_server() as server:
        await done(server, "PUT", "/s")
        made = await done(server, "POST", "/s/fork")
        assert made["sdkappid"] == OTHER
        assert made["key"]


async def test_restored_and_forked_apps_outlive_a_restart(tmp_path: Path) -> None:
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        await server.import_account("alice")
        await done(server, "PUT", "/s")
        await server.import_account("bob")
        await done(server, "POST", "/s/restore")
        await server.import_account("carol")
        await done(server, "POST", "/s/fork", {"sdkappid": OTHER})
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        assert (await server.status())["accounts"] == 2
        assert (await server.control("GET", f"/apps/{OTHER}"))[1]["accounts"] == 1
        assert (await done(server, "GET", ""))["snapshots"] == ["s"]


async def test_a_snapshot_of_the_same_name_takes_the_place_of_the_older() -> None:
    async with a_server() as server:
        await done(server, "PUT", "/s")
        await server.import_account("alice")
        assert await done(server, "PUT", "/s") == {"snapshots": ["s"]}
        assert (await done(server, "POST", "/s/restore"))["accounts"] == 1


async def test_what_cannot_be_done_is_told_in_one_line_and_changes_nothing() -> None:
    async with a_server() as server:
        await server.import_account("alice")
        await done(server, "PUT", "/s")
        for method, path, body, code in (
            ("POST", "/none/restore", None, 404),
            ("POST", "/none/fork", None, 404),
            ("PUT", "/with%20space", None, 400),
            ("POST", "/s/fork", {"sdkappid": SDKAPPID}, 409),
            ("POST", "/s/fork", {"sdkappid": -1}, 409),
        ):
            status, said = await server.control(method, SNAPSHOTS + path, body)
            assert status == code, said
            assert is_one_line(said)
        assert (await server.status())["accounts"] == 1


async def test_a_snapshot_that_is_damaged_leaves_the_app_as_it_is(tmp_path: Path) -> None:
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        await server.import_account("alice")
        await done(server, "PUT", "/s")
        (segment,) = (tmp_path / str(SDKAPPID) / "snapshots/s/journal").iterdir()
        segment.write_bytes(bytes(segment.stat().st_size))
        await server.import_account("bob")
        for wish in ("/s/restore", "/s/fork"):
            status, said = await server.control("POST", SNAPSHOTS + wish)
            assert status == 409
            assert "is damaged at byte 0" in said
            assert is_one_line(said)
        assert (await server.status())["accounts"] == 2


async def test_snapshots_and_resets_wait_for_each_other() -> None:
    async with a_server() as server:
        await done(server, "PUT", "/s")
        calls = [("PUT", f"{SNAPSHOTS}/s"), ("POST", f"{SNAPSHOTS}/s/restore"), ("POST", f"/apps/{SDKAPPID}/reset")]
        answers = await asyncio.gather(*[server.control(method, path) for method, path in calls * 5])
        # One that asks while another takes the app's place finds none.
        assert {status for status, _ in answers} <= {200, 201, 404}
        assert await server.import_account("alice") == 0

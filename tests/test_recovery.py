"""The state of an app, folded from its journal, is the state that the app had."""

from pathlib import Path

import pytest

from mock_im_server import journal as log
from mock_im_server.domain.plans import ACCOUNTS, ADMINS
from mock_im_server.journal import JournalDamagedError
from mock_im_server.recovery import Folded, fold
from tests.serving import REAL_MS, a_server, at_ms, identity, some_settings

UNSTABLE = {"online", "journal_rows"}
"""Sessions end with the process; a restart adds no row."""


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == Folded()


async def test_a_restart_finds_counts_clock_statements_and_numbers_again(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings) as server:
        async with server.connected("kr") as wire, server.connected() as other:
            for number in range(20):
                await wire.login(f"user{number}", status_instid=number + 1)
            await wire.login("user1", usersig="bad", status_instid=1)
            await server.import_account("imported")
            await server.move_clock(at_ms("2026-10-31", "23:59:59"))
            await other.login("user3")
            await other.login("new-one")
            await server.move_clock(at_ms("2026-11-04"))
            await other.login("user3")
        before = await server.status()
        statement = await server.statement("2026-10")

    async with a_server(settings) as server:
        after = await server.status()
        assert {key: after[key] for key in after if key not in UNSTABLE} == {
            key: before[key] for key in before if key not in UNSTABLE
        }
        assert after["online"] == 0
        assert (after["accounts"], after["logins"], after["dau"]) == (22, 23, 1)
        assert await server.statement("2026-10") == statement
        async with server.connected() as wire:
            assert (await wire.login("user3"))["TinyId"] == str((1 << 57) + 4)
            await wire.login("user3-new")
        assert (await server.status())["accounts"] == 23


async def test_a_ticket_holds_after_a_restart_and_counts_no_login(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings) as server, server.connected() as wire:
        login = await wire.login("alice")
    async with a_server(settings) as server:
        await server.move_clock(at_ms("2026-10-02"))
        async with server.connected(instance_id=wire.instance_id) as again:
            resumed = await again.ask("im_open_status.wslogin", **identity(login))
            assert (resumed["ErrorCode"], resumed["TinyId"]) == (0, login["TinyId"])
            status = await server.status()
        assert (status["dau"], status["online"], status["logins"]) == (0, 1, 1)


async def test_real_time_goes_on_where_it_was_and_never_back(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path, start=None)
    async with a_server(settings, real_ms=lambda: REAL_MS) as server, server.connected() as wire:
        await wire.login("alice")
    async with a_server(settings, real_ms=lambda: REAL_MS - 5_000) as server:
        assert (await server.status())["now_ms"] == REAL_MS


async def test_the_admin_is_found_again_beside_the_accounts(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path, plan="trial")
    async with a_server(settings) as server, server.connected() as wire:
        await wire.login("administrator")
        await wire.login("alice")
    folded = fold(log.read(tmp_path / "1400000001" / "journal").batches)
    assert folded.members == ["administrator", "alice"]
    assert (list(folded.sets[ADMINS]), list(folded.sets[ACCOUNTS])) == ([1], [2])


async def test_an_app_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings) as server:
        await server.import_account("alice")
    (tmp_path / "1400000001" / "app.json").unlink()
    async with a_server(settings) as server:
        assert (await server.status())["accounts"] == 0


async def test_an_app_whose_journal_is_gone_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings) as server:
        await server.import_account("alice")
    (journal,) = (tmp_path / "1400000001" / "journal").iterdir()
    journal.unlink()
    with pytest.raises(JournalDamagedError, match="holds no journal"):
        async with a_server(settings):
            pass


async def test_a_directory_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", Path("/proc/nothing")):
        with pytest.raises(OSError, match=rf"no data can be kept in {folder}: [^\n]+; name another --data-dir"):
            async with a_server(some_settings(data_dir=folder)):
                pass


async def test_the_directory_of_a_running_server_is_taken(tmp_path: Path) -> None:
    settings = some_settings(data_dir=tmp_path)
    async with a_server(settings):
        with pytest.raises(OSError, match="in use by another server"):
            async with a_server(settings):
                pass


async def test_another_key_is_not_taken_for_the_same_app(tmp_path: Path) -> None:
    async with a_server(some_settings(data_dir=tmp_path, plan="pro")):
        pass
    with pytest.raises(ValueError, match="has plan 'pro'"):
        async with a_server(some_settings(data_dir=tmp_path, plan="trial")):
            pass

"""A checkpoint and the rows behind it come to what the whole journal comes to."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from mock_im_server import checkpoints
from mock_im_server import journal as log
from mock_im_server.journal import Journal, JournalDamagedError, Row
from mock_im_server.recovery import fold
from tests.serving import SDKAPPID, Server, a_server, at_ms, some_settings

SEGMENT_BYTES = 3_000


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SEGMENT_BYTES_MAX", SEGMENT_BYTES)


async def a_life(server: Server) -> None:
    """Something of everything that a journal tells."""
    group = {"Type": "Public", "Name": "g", "Owner_Account": "user1"}
    async with server.connected("kr") as wire:
        for number in range(8):
            await wire.login(f"user{number}", status_instid=number + 1)
        for group_id in ("one", "two"):
            made = await server.rest("group_open_http_svc/create_group", group | {"GroupId": group_id})
            assert made["ErrorCode"] == 0
        joined = await server.rest(
            "group_open_http_svc/add_group_member",
            {"GroupId": "one", "MemberList": [{"Member_Account": "user2"}, {"Member_Account": "user3"}]},
        )
        assert joined["ErrorCode"] == 0
        rule = {"api": "im_open_login_svc/account_check", "code": 60008}
        assert (await server.control("PUT", f"/apps/{SDKAPPID}/faults", {"rules": [rule]}))[0] == 200
        await server.move_clock(at_ms("2026-11-02"))
        await wire.login("user1", status_instid=2)
        await server.rest("im_open_login_svc/kick", {"UserID": "user4"})
        await server.rest(
            "im_open_login_svc/account_delete", {"DeleteItem": [{"UserID": "user3"}, {"UserID": "user5"}]}
        )
        await server.import_account("user5")
        await server.rest("group_open_http_svc/destroy_group", {"GroupId": "two"})
        await server.rest("group_open_http_svc/create_group", group | {"GroupId": "two", "Owner_Account": "user2"})
        await server.rest("group_open_http_svc/change_group_owner", {"GroupId": "one", "NewOwner_Account": "user2"})
        await wire.login("new")


async def a_journal(folder: Path) -> Path:
    async with a_server(some_settings(data_dir=folder)) as server:
        await a_life(server)
    return folder / str(SDKAPPID) / "journal"


def names(folder: Path) -> list[str]:
    return [path.name for path in log.segments(folder)]


async def test_a_journal_folded_in_parts_comes_to_the_same(tmp_path: Path) -> None:
    folder = await a_journal(tmp_path)
    whole = fold(log.read(folder).batches)
    assert len(names(folder)) > 3
    for name in names(folder):
        checkpoints.take(folder, [name])
        known = checkpoints.latest(folder)
        assert known is not None
        rest = log.read(folder, known.mark)
        assert dataclasses.asdict(fold(rest.batches, known.state)) == dataclasses.asdict(whole)
        assert (rest.rows, rest.head) == (log.read(folder).rows, log.read(folder).head)


async def test_a_server_comes_back_with_what_it_had_and_goes_on(tmp_path: Path) -> None:
    unstable = {"online", "journal_rows"}
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        await a_life(server)
        before = await server.status()
        rows = len(server.rows())
    folder = tmp_path / str(SDKAPPID) / "journal"
    checkpoints.take(folder, names(folder))
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        after = await server.status()
        assert {key: after[key] for key in after if key not in unstable} == {
            key: before[key] for key in before if key not in unstable
        }
        assert await server.import_account("later") == 0
        assert len(server.rows()) > rows


async def test_rows_of_a_checkpoint_are_not_read_again(tmp_path: Path) -> None:
    """Nobody waits for them; an audit reads them all."""
    folder = await a_journal(tmp_path)
    checkpoints.take(folder, names(folder))
    first = log.segments(folder)[0]
    first.write_bytes(bytes(first.stat().st_size))
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        assert (await server.status())["accounts"] == 9


@pytest.mark.parametrize("spoil", ["shorter", "gone"])
async def test_a_checkpoint_does_not_stand_for_segments_that_are_not_whole(tmp_path: Path, spoil: str) -> None:
    folder = await a_journal(tmp_path)
    checkpoints.take(folder, names(folder))
    second = log.segments(folder)[1]
    if spoil == "gone":
        second.unlink()
    else:
        second.write_bytes(second.read_bytes()[:-100])
    with pytest.raises(JournalDamagedError, match="is damaged at byte"):
        async with a_server(some_settings(data_dir=tmp_path)):
            pass


@pytest.mark.parametrize("at", [0, 40, -1])
async def test_with_a_damaged_checkpoint_the_whole_journal_is_read(tmp_path: Path, at: int) -> None:
    folder = await a_journal(tmp_path)
    checkpoints.take(folder, names(folder))
    file = folder / checkpoints.FILE
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    assert checkpoints.latest(folder) is None
    async with a_server(some_settings(data_dir=tmp_path)) as server:
        assert (await server.status())["accounts"] == 9


def fill(journal: Journal, rows: int) -> None:
    for _ in range(rows):
        seq = journal.last_seq + 1
        journal.append(Row(seq, at_ms("2026-10-01"), log.LOGGED_IN, seq, f"user{seq}", counted_day=20_000))
        journal.write()


async def test_another_process_makes_one_when_enough_segments_have_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fill(journal, 2)
    await checkpoints.make_if_due(journal, SEGMENT_BYTES)
    assert checkpoints.latest(tmp_path) is None

    fill(journal, 20)
    await checkpoints.make_if_due(journal, SEGMENT_BYTES)

    known = checkpoints.latest(tmp_path)
    assert known is not None
    assert known.mark.segment == journal.ended()[-1].name
    assert known.state.members == [f"user{number}" for number in range(1, known.mark.last_seq + 1)]
    assert journal.ended_bytes == 0


async def test_one_that_is_being_made_when_the_server_stops_is_left(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fill(journal, 20)
    making = asyncio.create_task(checkpoints.make_if_due(journal, SEGMENT_BYTES))
    await asyncio.sleep(0)
    making.cancel()
    await asyncio.wait([making])
    assert making.cancelled()
    assert checkpoints.latest(tmp_path) is None

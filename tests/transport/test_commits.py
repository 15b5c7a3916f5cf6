"""Requests of one tick share a write of the journal."""

import asyncio
from pathlib import Path

import pytest

from mock_im_server.journal import IMPORTED, Journal, JournalLostError, Row
from mock_im_server.transport.commits import Commits


class AnApp:
    """All that `Commits` needs of an app."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self.seq = 0

    async def imports(self, commits: Commits) -> None:
        self.seq += 1
        self.journal.append(Row(self.seq, 0, IMPORTED))
        await commits.written(self)  # type: ignore[arg-type]  # an app with a journal only


async def test_requests_of_a_tick_share_one_batch(tmp_path: Path) -> None:
    app, commits = AnApp(tmp_path), Commits()
    await asyncio.gather(*[app.imports(commits) for _ in range(20)])
    assert app.journal.rows == 20
    app.journal.close()
    (path,) = app.journal.files()
    size = path.stat().st_size
    assert size < 20 * 200


async def test_what_is_written_already_waits_for_nothing(tmp_path: Path) -> None:
    app, commits = AnApp(tmp_path), Commits()
    await commits.written(app)  # type: ignore[arg-type]  # an app with a journal only
    assert app.journal.files() == []


async def test_a_client_that_goes_away_takes_nobody_with_it(tmp_path: Path) -> None:
    app, commits = AnApp(tmp_path), Commits()
    tasks = [asyncio.create_task(app.imports(commits)) for _ in range(3)]
    asyncio.get_running_loop().call_soon(tasks[1].cancel)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert app.journal.rows == 3
    app.journal.close()


async def test_a_failed_write_fails_all_that_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    app, commits = AnApp(tmp_path / "file" / "journal"), Commits()
    results = await asyncio.gather(*[app.imports(commits) for _ in range(3)], return_exceptions=True)
    assert [type(result) for result in results] == [JournalLostError] * 3


@pytest.mark.parametrize("failing", [0, 1])
async def test_apps_fail_or_pass_together(tmp_path: Path, failing: int) -> None:
    (tmp_path / "file").touch()
    folders = [tmp_path / "file" / "journal", tmp_path / "good"]
    commits = Commits()
    apps = [AnApp(folders[number == failing]) for number in range(2)]
    results = await asyncio.gather(*[app.imports(commits) for app in apps], return_exceptions=True)
    # One lost journal stops the whole server: nobody is told that all is well.
    assert [type(result) for result in results] == [JournalLostError] * 2
    for app in apps:
        app.journal.close()

"""The server for other people's tests, and the page that says how to use it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mock_im_server.domain.apps import AppSettings
from mock_im_server.testing import KEY, ServerSaysNoError, start_server

PAGE = Path("docs/testing-your-app.md")
RUNS_S_MAX = 60


@pytest.mark.slow
def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    files = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert [name for name, _ in files] == ["lobby.py", "test_lobby.py"]
    for name, text in files:
        (tmp_path / name).write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=RUNS_S_MAX, check=False
    )
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_page_names_all_that_there_is() -> None:
    text = PAGE.read_text("utf-8")
    with start_server() as server:
        names = {name for name in (*dir(server), *dir(server.app)) if not name.startswith("_")} - {"close"}
    assert sorted(name for name in names if not re.search(rf"\.{name}\b", text)) == []


def test_two_apps_have_quotas_users_and_clocks_of_their_own() -> None:
    with start_server(["trial", AppSettings(1_400_000_009, "pro", KEY)]) as server:
        trial, pro = server.apps
        assert (trial.sdkappid, pro.sdkappid) == (1_400_000_001, 1_400_000_009)
        assert trial.import_accounts(*(f"user{number}" for number in range(101)))[-1] == 70398
        assert pro.login("user100") == 0
        pro.pass_days(31)
        assert (trial.status()["day"], pro.status()["day"]) == ("2026-10-01", "2026-11-01")
        assert pro.statement("2026-10")["peak_dau"] == 1


def test_a_user_is_online_until_the_logout() -> None:
    with start_server() as server:
        app = server.app

        def state(user_id: str) -> str:
            answer = app.rest("openim/query_online_status", {"To_Account": [user_id]})
            return str(answer["QueryResult"][0]["Status"])

        assert [app.login("alice"), app.login("alice"), app.login("bob", platform=2)] == [0, 0, 0]
        assert (state("alice"), state("bob")) == ("Online", "Online")
        app.logout("alice")
        app.logout("alice")
        assert (state("alice"), state("bob")) == ("Offline", "Online")
        assert app.status()["dau"] == 2


def test_a_refused_login_is_a_code() -> None:
    with start_server(["trial"]) as server:
        app = server.app
        app.import_accounts(*(f"user{number}" for number in range(100)))
        assert app.login("one-more") == 70398
        assert app.status()["online"] == 0


def test_a_clock_goes_forward_only() -> None:
    with start_server(start="2026-10-02") as server:
        server.app.move_clock("2026-10-02 12:30:00")
        with pytest.raises(ServerSaysNoError):
            server.app.move_clock("2026-10-02")


def test_a_plan_that_there_is_not_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="gold"), start_server(["gold"]):
        pass


async def test_it_runs_beside_the_loop_of_a_test(im_server: object) -> None:
    with start_server() as another:
        assert another.url != im_server.url  # type: ignore[attr-defined]
        assert another.app.login("alice") == 0

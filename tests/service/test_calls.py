"""Calls: who may make them, what they use, and what a statement says of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mock_im_server import catalogue
from mock_im_server.apps import Apps
from mock_im_server.domain.apps import AppSettings, Rules
from mock_im_server.domain.calendar import DAY_MS
from mock_im_server.service import App
from mock_im_server.stores.memory import MemoryStore
from tests.serving import KEY, REAL_MS, SDKAPPID, a_server, at_ms

TWO = [("alice", "hd"), ("bob", "audio")]
MINUTE_MS = 60_000


def apps_in(folder: Path) -> Apps:
    return Apps(folder, catalogue=catalogue.load(), rules=Rules(), new_store=MemoryStore, real_ms=lambda: REAL_MS)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    apps = apps_in(tmp_path)
    yield await apps.make(AppSettings(SDKAPPID, "pro", KEY), fixed_ms=at_ms("2026-10-01"))
    apps.close()


async def passed(app: App, ms: int) -> None:
    await app.move_clock(app.now_ms() + ms)


@pytest.mark.holds("F7", "-1001")
async def test_without_a_trial_there_is_no_call(app: App) -> None:
    assert await app.calls.start("one", TWO) == -1001


@pytest.mark.holds("F7", "-1002")
async def test_a_trial_lasts_60_days_to_the_millisecond(app: App) -> None:
    assert await app.calls.open_trial() == 0
    await passed(app, 60 * DAY_MS - 1)
    assert await app.calls.start("last", TWO) == 0
    await passed(app, 1)
    assert await app.calls.start("late", TWO) == -1002
    # Nothing is known to end a call that runs when its trial ends.
    assert await app.calls.end("last") == 0


@pytest.mark.holds("-1002")
async def test_an_app_has_two_trials_one_after_the_other(app: App) -> None:
    codes = []
    for _ in range(3):
        codes += [await app.calls.open_trial(), await app.calls.open_trial()]
        await passed(app, 60 * DAY_MS)
    assert codes == [0, -1002, 0, -1002, -1002, -1002]


async def test_the_trial_changes_no_quota_of_messaging(tmp_path: Path) -> None:
    apps = apps_in(tmp_path)
    app = await apps.make(AppSettings(SDKAPPID, "trial", KEY), fixed_ms=at_ms("2026-10-01"))
    await app.calls.open_trial()
    assert (await app.accounts.import_all([f"user{number}" for number in range(101)]))[-1] == 70398
    apps.close()


async def test_a_months_seconds_are_those_of_all_participants(app: App) -> None:
    await app.calls.open_trial()
    for number in range(3):
        await app.calls.start(f"call{number}", TWO)
        await passed(app, 61_000)
        await app.calls.end(f"call{number}")
    assert app.calls.status(app.now_ms())["running"] == 0
    await app.move_clock(at_ms("2026-11-03"))
    statement = app.statements["2026-10"]
    assert statement["call_seconds"] == {"audio": 183, "hd": 183}
    lines = {line["item"]: line for line in statement["lines"]}
    # 183 s are 4 started minutes, all of them free ones.
    assert [(lines[item]["quantity"], lines[item]["units"]) for item in ("call_audio", "call_hd")] == [(4, 0), (4, 0)]


@pytest.mark.holds("F7")
async def test_minutes_beyond_the_free_ones_cost(app: App) -> None:
    await app.calls.open_trial()
    await app.calls.start("long", [(f"user{number}", "hd") for number in range(11)])
    await passed(app, 1_000 * MINUTE_MS)
    await app.calls.end("long")
    await app.move_clock(at_ms("2026-11-03"))
    (line,) = [line for line in app.statements["2026-10"]["lines"] if line["item"] == "call_hd"]
    assert (line["quantity"], line["free"], line["units"], line["amount_cents"]) == (11_000, 10_000, 1_000, 399)


async def test_a_call_over_midnight_of_the_month_is_cut_there(app: App) -> None:
    await app.calls.open_trial()
    await app.move_clock(at_ms("2026-10-31", "23:59:30"))
    await app.calls.start("late", [("alice", "4k")])
    await app.move_clock(at_ms("2026-11-01", "00:01:00"))
    await app.calls.end("late")
    await app.move_clock(at_ms("2026-12-03"))
    assert [app.statements[month]["call_seconds"] for month in ("2026-10", "2026-11")] == [{"4k": 30}, {"4k": 60}]


async def test_who_joins_leaves_or_changes_tier_is_counted_for_that_time(app: App) -> None:
    await app.calls.open_trial()
    await app.calls.start("one", TWO)
    await passed(app, MINUTE_MS)
    codes = [await app.calls.change("one", *change) for change in (("bob", None), ("alice", "4k"), ("carol", "hd"))]
    await passed(app, MINUTE_MS)
    await app.calls.end("one")
    assert codes == [0, 0, 0]
    assert app.calls.seconds("2026-10", app.now_ms()) == {"audio": 60, "hd": 120, "4k": 60}
    assert [await app.calls.change("one", "bob", "hd"), await app.calls.change("none", "bob", None)] == [-1203, -1203]


@pytest.mark.holds("-1202")
@pytest.mark.parametrize(
    ("participants", "code"),
    [([], -1202), ([("alice", "8k")], -1202), ([("alice", "hd"), ("alice", "audio")], -1202)],
)
async def test_a_call_of_nobody_or_of_a_wrong_tier_does_not_start(
    app: App, participants: list[tuple[str, str]], code: int
) -> None:
    await app.calls.open_trial()
    assert await app.calls.start("odd", participants) == code


@pytest.mark.holds("-1203", "-1204")
async def test_a_call_id_is_used_once_and_ends_once(app: App) -> None:
    await app.calls.open_trial()
    codes = [await app.calls.start("one", TWO), await app.calls.start("one", TWO)]
    codes += [await app.calls.end("one"), await app.calls.end("one"), await app.calls.start("one", TWO)]
    assert codes == [0, -1204, 0, -1203, -1204]
    assert await app.calls.end("never") == -1203


async def test_calls_come_back_from_the_journal(tmp_path: Path) -> None:
    apps = apps_in(tmp_path)
    app = await apps.make(AppSettings(SDKAPPID, "pro", KEY), fixed_ms=at_ms("2026-10-01"))
    await app.calls.open_trial()
    await app.calls.start("over", TWO)
    await passed(app, MINUTE_MS)
    await app.calls.end("over")
    await app.calls.start("running", TWO)
    await app.calls.change("running", "bob", None)
    await app.calls.change("running", "carol", "audio")
    await passed(app, MINUTE_MS)
    app.journal.write()

    again = apps_in(tmp_path)
    await again.find_all()
    found = again[SDKAPPID]

    assert found.calls.seconds("2026-10", found.now_ms()) == {"audio": 120, "hd": 120}
    assert [await found.calls.end(call_id) for call_id in ("running", "over")] == [0, -1203]
    again.close()


async def test_calls_are_driven_through_the_control_api() -> None:
    async with a_server() as server:
        path = f"/apps/{SDKAPPID}"
        _, trial = await server.control("POST", f"{path}/call_trial")
        assert (trial["code"], trial["is_open"], trial["trials_opened"]) == (0, True, 1)
        assert "December 2022" in trial["notice"]["text"]
        call = {"call_id": "one", "participants": [{"user_id": "alice", "tier": "hd"}]}
        assert (await server.control("POST", f"{path}/calls", call))[1] == {"code": 0}
        assert (await server.control("GET", f"{path}/call_trial"))[1]["running"] == 1
        change = {"user_id": "bob", "tier": "audio"}
        assert (await server.control("PUT", f"{path}/calls/one/participants", change))[1] == {"code": 0}
        assert (await server.control("POST", f"{path}/calls/one/end"))[1] == {"code": 0}
        assert (await server.control("POST", f"{path}/calls", {"call_id": 7}))[0] == 400


async def test_a_plan_is_changed_through_the_control_api() -> None:
    async with a_server() as server:
        path = f"/apps/{SDKAPPID}/plan"
        assert (await server.control("PUT", path, {"plan": "ultimate"}))[1]["plan"] == "ultimate"
        for plan in ("ultimate", "trial", "pro", "gold"):
            status, said = await server.control("PUT", path, {"plan": plan})
            assert (status, said.count("\n")) == (409, 1)

"""Quotas of groups and accounts, with the numbers of the vendor's plans, through the service of a real app."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mock_im_server import catalogue
from mock_im_server import journal as log
from mock_im_server.apps import Apps
from mock_im_server.domain.apps import AppSettings, Rules
from mock_im_server.domain.calendar import DAY_MS
from mock_im_server.service import App, NewGroup, PlanRefusedError
from mock_im_server.stores.memory import MemoryStore
from tests.serving import KEY, REAL_MS, SDKAPPID, at_ms

type_app_on = Callable[[str], Awaitable[App]]

LIVE, PUBLIC = "AVChatRoom", "Public"


def apps_in(folder: Path) -> Apps:
    return Apps(folder, catalogue=catalogue.load(), rules=Rules(), new_store=MemoryStore, real_ms=lambda: REAL_MS)


@pytest.fixture
async def app_on(tmp_path: Path) -> AsyncIterator[type_app_on]:
    """Makes an app on a plan."""
    apps = apps_in(tmp_path)

    async def make(plan: str) -> App:
        return await apps.make(AppSettings(SDKAPPID, plan, KEY), fixed_ms=at_ms("2026-10-01"))

    yield make
    apps.close()


async def created(app: App, count: int, kind: str, *, owner: str = "", first: int = 0) -> list[int]:
    """The codes of `count` creations."""
    wishes = [NewGroup(f"{kind}{number}", kind, owner) for number in range(first, first + count)]
    return [(await app.groups.create(wish))[0] for wish in wishes]


@pytest.mark.holds("F5", "10036")
@pytest.mark.parametrize(("plan", "limit"), [("trial", 10), ("pro", 50)])
async def test_live_groups_stop_at_the_plans_number_with_10036(app_on: type_app_on, plan: str, limit: int) -> None:
    app = await app_on(plan)
    assert await created(app, limit + 2, LIVE) == [0] * limit + [10036] * 2


@pytest.mark.holds("F5")
async def test_ultimate_has_no_limit_of_live_groups(app_on: type_app_on) -> None:
    app = await app_on("ultimate")
    assert set(await created(app, 200, LIVE)) == {0}


@pytest.mark.holds("F5")
async def test_live_groups_are_net_and_an_empty_one_counts(app_on: type_app_on) -> None:
    app = await app_on("pro")
    await app.accounts.import_all(["alice"])
    await created(app, 47, LIVE)
    assert await created(app, 3, LIVE, owner="alice", first=47) == [0, 0, 0]
    for number in range(47, 50):
        assert await app.groups.destroy(f"{LIVE}{number}") == 0
    # FAQ: three made and three destroyed leave as many as before to make. The 47 have no member at all and count.
    assert await created(app, 4, LIVE, first=50) == [0, 0, 0, 10036]


@pytest.mark.holds("10058", "10006")
async def test_a_trial_holds_100_other_groups_beside_its_live_groups(app_on: type_app_on) -> None:
    app = await app_on("trial")
    # The daily quota of 100 net new groups counts both kinds, so that the last come a day later.
    assert set(await created(app, 10, LIVE)) == {0}
    assert await created(app, 91, PUBLIC) == [0] * 90 + [10006]
    await app.move_clock(app.now_ms() + DAY_MS)
    assert await created(app, 11, PUBLIC, first=91) == [0] * 10 + [10058]


@pytest.mark.holds("members", "10038")
@pytest.mark.parametrize(("plan", "limit"), [("trial", 20), ("pro", 200)])
async def test_a_group_takes_as_many_members_as_the_plan_says_with_10038(
    app_on: type_app_on, plan: str, limit: int
) -> None:
    app = await app_on(plan)
    names = [f"user{number}" for number in range(min(limit + 1, 100) if plan == "trial" else limit + 1)]
    await app.accounts.import_all(names)
    await app.groups.create(NewGroup("room", PUBLIC, names[0]))
    codes = [await app.groups.join("room", name) for name in names[1:]]
    assert codes == [0] * (limit - 1) + [10038]


@pytest.mark.holds("10014")
async def test_a_group_with_a_smaller_number_of_its_own_is_full_with_10014(app_on: type_app_on) -> None:
    app = await app_on("pro")
    await app.accounts.import_all(["alice", "bob", "carol"])
    await app.groups.create(NewGroup("room", PUBLIC, "alice", max_members=2))
    assert [await app.groups.join("room", name) for name in ("bob", "bob", "carol")] == [0, 0, 10014]


@pytest.mark.holds("members")
async def test_a_live_group_takes_any_number_of_members(app_on: type_app_on) -> None:
    app = await app_on("pro")
    names = [f"user{number}" for number in range(300)]
    await app.accounts.import_all(names)
    await app.groups.create(NewGroup("room", LIVE))
    assert {await app.groups.join("room", name) for name in names} == {0}


@pytest.mark.holds("user-groups", "10037")
@pytest.mark.parametrize(("plan", "limit"), [("trial", 50), ("pro", 500), ("ultimate", 1_000)])
async def test_a_user_is_in_as_many_groups_as_the_plan_says_with_10037(
    app_on: type_app_on, plan: str, limit: int
) -> None:
    app = await app_on(plan)
    await app.accounts.import_all(["alice"])
    # Live groups take none of these places, and groups without an owner have nobody whose limit could count.
    await created(app, 5, LIVE, owner="alice")
    await created(app, 5, PUBLIC, first=5_000)
    assert await created(app, limit + 1, PUBLIC, owner="alice") == [0] * limit + [10037]
    assert await app.groups.join("Public5000", "alice") == 10037
    assert await app.groups.destroy("Public0") == 0
    assert await app.groups.join("Public5000", "alice") == 0


@pytest.mark.holds("daily-groups", "10006")
async def test_a_day_takes_10000_net_new_groups_with_10006(app_on: type_app_on) -> None:
    app = await app_on("pro")
    assert set(await created(app, 10_000, PUBLIC)) == {0}
    assert await created(app, 1, PUBLIC, first=10_000) == [10006]
    assert await app.groups.destroy("Public0") == 0
    assert await created(app, 2, PUBLIC, first=10_000) == [0, 10006]
    await app.move_clock(app.now_ms() + DAY_MS)
    assert await created(app, 1, PUBLIC, first=10_001) == [0]


@pytest.mark.holds("order")
async def test_refusals_come_in_the_declared_order(app_on: type_app_on) -> None:
    app = await app_on("trial")
    await app.accounts.import_all(["alice"])
    await created(app, 10, LIVE)
    await created(app, 50, PUBLIC, owner="alice")
    await created(app, 40, PUBLIC, first=50)
    # Now live groups (10036), the user (10037) and the day (10006) are full.
    assert await created(app, 1, LIVE, owner="alice", first=10) == [10036]
    assert await created(app, 1, PUBLIC, owner="alice", first=90) == [10037]
    assert await created(app, 1, PUBLIC, first=90) == [10006]
    await app.move_clock(app.now_ms() + DAY_MS)
    await created(app, 10, PUBLIC, first=90)
    assert await created(app, 1, PUBLIC, owner="alice", first=100) == [10058]


@pytest.mark.holds("10021", "10025", "10010")
async def test_a_group_id_is_taken_until_its_group_is_destroyed(app_on: type_app_on) -> None:
    app = await app_on("pro")
    await app.accounts.import_all(["alice", "bob"])
    wishes = [NewGroup("room", PUBLIC, owner) for owner in ("alice", "alice", "bob", "")]
    assert [(await app.groups.create(wish))[0] for wish in wishes] == [0, 10025, 10021, 10021]
    assert await app.groups.destroy("room") == 0
    assert await app.groups.destroy("room") == 10010
    assert (await app.groups.create(wishes[2]))[0] == 0


async def test_a_group_without_a_name_gets_one_in_the_vendors_form(app_on: type_app_on) -> None:
    app = await app_on("pro")
    ids = {(await app.groups.create(NewGroup("", PUBLIC)))[1] for _ in range(20)}
    assert len(ids) == 20
    assert all(group_id.startswith("@TGS#2") for group_id in ids)


@pytest.mark.holds("F3", "erased")
async def test_a_deletion_frees_the_place_and_erases_the_user(app_on: type_app_on) -> None:
    app = await app_on("trial")
    names = [f"user{number}" for number in range(101)]
    assert (await app.accounts.import_all(names))[-1] == 70398
    app.profiles.set("user0", {"Tag_Profile_IM_Nick": "Zero"})
    await app.groups.create(NewGroup("room", PUBLIC, "user1", members=(("user0", "Member"),)))

    assert await app.accounts.delete_all(["user0", "user0", "nobody"]) == [0, 70107, 70107]

    assert await app.accounts.import_all(["user100", "user0"]) == [0, 70398]
    assert (list(app.groups["room"].members), app.profiles.get("user0")) == (["user1"], {})
    assert await app.accounts.exist(["user0", "user1", "administrator"]) == [False, True, False]


async def test_a_paid_plan_deletes_nobody_unless_it_is_switched_on(app_on: type_app_on) -> None:
    app = await app_on("pro")
    await app.accounts.import_all(["alice"])
    assert await app.accounts.delete_all(["alice"]) == [71000]
    assert await app.accounts.exist(["alice"]) == [True]


@pytest.mark.holds("many-import")
async def test_an_import_over_the_cap_admits_the_first_that_fit(app_on: type_app_on) -> None:
    app = await app_on("trial")
    await app.accounts.import_all([f"user{number}" for number in range(98)])
    assert await app.accounts.import_all(["a", "user0", "b", "c", "b"]) == [0, 0, 0, 70398, 0]


async def test_every_number_of_the_order_has_its_row(tmp_path: Path) -> None:
    """Whatever succeeds without a change, too: a journal with a gap has lost something."""
    apps = apps_in(tmp_path)
    settings = AppSettings(SDKAPPID, "pro", KEY, account_delete=True)
    app = await apps.make(settings, fixed_ms=at_ms("2026-10-31"))
    await app.accounts.import_all(["alice", "bob", "alice", "alice"])
    await app.groups.create(NewGroup("room", PUBLIC, "alice"))
    await app.groups.join("room", "alice")
    await app.groups.leave("room", "bob")
    await app.groups.change_owner("room", "alice")
    await app.accounts.delete_all(["bob", "bob"])
    await app.accounts.kick("alice")
    await app.accounts.kick("nobody")
    for refused in ("one", "one"):
        await app.groups.destroy(refused)
        await app.calls.start(refused, [])
    await app.move_clock(at_ms("2026-12-03"))
    apps.close()
    found = [
        row["seq"] for batch in log.read(tmp_path / str(SDKAPPID) / "journal").batches for row in batch.to_pylist()
    ]
    assert found == list(range(1, len(found) + 1))


@pytest.mark.holds("crossing")
async def test_what_exists_beyond_a_limit_stays_when_the_plan_gets_smaller(app_on: type_app_on) -> None:
    app = await app_on("ultimate")
    await created(app, 52, LIVE)
    await app.change_plan(catalogue.load().plans["pro"])
    assert await created(app, 1, LIVE, first=52) == [10036]
    assert len(list(app.groups.all())) == 52
    for number in range(3):
        await app.groups.destroy(f"{LIVE}{number}")
    assert await created(app, 2, LIVE, first=52) == [0, 10036]


@pytest.mark.holds("plan-change")
async def test_a_plan_changes_once_a_month_and_never_back_to_the_trial(app_on: type_app_on) -> None:
    app = await app_on("trial")
    known = catalogue.load().plans
    await app.change_plan(known["pro"])
    for name, why in (("pro", "already"), ("trial", "cannot go back"), ("ultimate", "2026-10")):
        with pytest.raises(PlanRefusedError, match=why):
            await app.change_plan(known[name])
    await app.move_clock(at_ms("2026-11-01"))
    await app.change_plan(known["ultimate"])
    assert app.plan.name == "ultimate"


async def test_an_upgrade_from_the_trial_lifts_its_caps_at_once(app_on: type_app_on) -> None:
    app = await app_on("trial")
    assert (await app.accounts.import_all([f"user{number}" for number in range(101)]))[-1] == 70398
    await app.change_plan(catalogue.load().plans["pro"])
    assert await app.accounts.import_all(["user100"]) == [0]


async def test_of_many_creations_at_once_exactly_as_many_pass_as_there_are_places(app_on: type_app_on) -> None:
    app = await app_on("pro")
    wishes = [NewGroup(f"room{number}", LIVE) for number in range(400)]
    answers = await asyncio.gather(*[app.groups.create(wish) for wish in wishes])
    assert sorted(code for code, _ in answers) == [0] * 50 + [10036] * 350


@pytest.mark.holds("F6")
async def test_the_months_peak_of_groups_is_billed_and_living_groups_begin_the_next(app_on: type_app_on) -> None:
    app = await app_on("pro")
    await created(app, 7, PUBLIC)
    for number in range(4):
        await app.groups.destroy(f"Public{number}")
    await app.move_clock(at_ms("2026-12-03"))
    assert [app.statements[month]["peak_groups"] for month in ("2026-10", "2026-11")] == [7, 3]


async def test_groups_come_back_from_the_journal(tmp_path: Path) -> None:
    apps = apps_in(tmp_path)
    settings = AppSettings(SDKAPPID, "pro", KEY, account_delete=True)
    app = await apps.make(settings, fixed_ms=at_ms("2026-10-31"))
    await app.accounts.import_all(["alice", "bob", "carol"])
    await app.groups.create(NewGroup("room", PUBLIC, "alice", (("bob", "Admin"),), 5, {"Name": "A room"}))
    await app.groups.create(NewGroup("gone", LIVE, "bob"))
    await app.groups.join("gone", "carol")
    await app.groups.destroy("gone")
    await app.groups.change("room", {"Name": "The room"}, max_members=7)
    await app.groups.change_owner("room", "bob")
    await app.accounts.kick("alice")
    await app.accounts.delete_all(["carol"])
    await app.change_plan(catalogue.load().plans["ultimate"])
    await app.move_clock(at_ms("2026-11-01"))
    before = app.groups["room"], await app.status(), app.statistics.of_day(app.calendar.day(at_ms("2026-10-31")))
    app.journal.write()

    again = apps_in(tmp_path)
    await again.find_all()
    found = again[SDKAPPID]

    after = found.groups["room"], await found.status(), found.statistics.of_day(app.calendar.day(at_ms("2026-10-31")))
    assert after == before
    assert [await found.groups.join("room", name) for name in ("carol", "bob")] == [10019, 0]
    assert (await found.groups.create(NewGroup("gone", LIVE, "bob")))[0] == 0
    again.close()


async def test_a_refused_creation_says_whom_it_asked_for(tmp_path: Path, app_on: type_app_on) -> None:
    """The audit judges by it whether there was room."""
    app = await app_on("pro")
    await app.accounts.import_all(["alice", "bob", "carol"])
    wish = NewGroup("small", PUBLIC, "alice", (("bob", "Member"), ("carol", "Member"), ("nobody", "Member")), 2)
    await app.groups.create(wish)
    await app.groups.create(NewGroup("x", PUBLIC, refusal=10004, members=(("bob", "Member"),)))
    app.journal.write()

    texts = [
        json.loads(row["text"])
        for batch in log.read(tmp_path / str(SDKAPPID) / "journal").batches
        for row in batch.to_pylist()
        if row["kind"] == log.CREATE_REFUSED
    ]
    assert texts == [
        {"group_id": "small", "type": PUBLIC, "members": [1, 2, 3], "max_members": 2},
        {"group_id": "x", "type": PUBLIC},
    ]

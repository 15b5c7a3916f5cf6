"""Each planted defect does the wrong that it names; the healthy server does the right in the same story."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mock_im_server import catalogue
from mock_im_server.apps import Apps
from mock_im_server.defects import DEFECTS, HEALTHY, Defect
from mock_im_server.domain.apps import AppSettings
from mock_im_server.domain.calendar import DAY_MS
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import ANYBODY, Choice
from mock_im_server.network import Network
from mock_im_server.service import App, LoginRequest, NewGroup
from mock_im_server.wire import frames
from tests.service.wires import SilentWire, answered
from tests.serving import KEY, REAL_MS, SDKAPPID, a_usersig, at_ms

type_story = Callable[[App], Any]


@asynccontextmanager
async def an_app(folder: Path, defect: Defect, plan: str) -> AsyncIterator[App]:
    """An app on 2026-10-01, with a neighbour of the same server."""
    apps = Apps(
        folder,
        catalogue=catalogue.load(),
        rules=defect.rules,
        new_store=defect.new_store,
        real_ms=lambda: REAL_MS,
    )
    app = await apps.make(AppSettings(SDKAPPID, plan, KEY), fixed_ms=at_ms("2026-10-01", "12:00:00"))
    neighbour = await apps.make(AppSettings(SDKAPPID + 1, plan, KEY), fixed_ms=at_ms("2026-10-01", "12:00:00"))
    await login(neighbour, "stranger")
    yield app
    apps.close()


async def login(app: App, *users: str, instance: int = 1, key: str = KEY) -> list[int]:
    sdkappid = app.settings.sdkappid
    heads = [
        frames.Head(
            frames.LOGIN,
            number,
            sdkappid,
            identifier=user,
            usersig=a_usersig(user, sdkappid=sdkappid, key=key),
            status_instid=instance,
        )
        for number, user in enumerate(users, 1)
    ]
    wire = SilentWire()
    return [answered(answer)["ErrorCode"] for answer in await app.login([LoginRequest(wire, head) for head in heads])]


async def dau_of_october(app: App) -> dict[str, int]:
    return {day["day"][-2:]: day["dau"] for day in (await october(app))["daily_dau"] if day["dau"]}


async def october(app: App) -> dict[str, Any]:
    await app.move_clock(at_ms("2026-11-05"))
    return app.statements["2026-10"]


async def two_devices(app: App) -> Any:
    await login(app, "alice")
    await login(app, "alice", instance=2)
    return await dau_of_october(app)


async def early_and_late(app: App) -> Any:
    await app.move_clock(at_ms("2026-10-02", "00:00:00"))
    await login(app, "alice")
    await app.move_clock(at_ms("2026-10-02", "07:00:00"))
    await login(app, "bob")
    return await dau_of_october(app)


async def a_refused_login(app: App) -> Any:
    await login(app, "alice")
    await login(app, "bob", key="wrong")
    return await dau_of_october(app)


async def a_resume_on_the_next_day(app: App) -> Any:
    wire = SilentWire()
    head = frames.Head(frames.LOGIN, 1, SDKAPPID, identifier="alice", usersig=a_usersig("alice"), status_instid=1)
    (answer,) = await app.login([LoginRequest(wire, head)])
    ticket = answered(answer)
    await app.move_clock(app.now_ms() + DAY_MS)
    again = frames.Head(frames.LOGIN, 2, SDKAPPID, a2=ticket["A2Key"], tinyid=ticket["TinyId"], status_instid=1)
    await app.resume(wire, again)
    return await dau_of_october(app)


async def a_deletion(app: App) -> Any:
    await login(app, "alice", "bob")
    await app.accounts.delete_all(["alice"])
    return await dau_of_october(app)


async def the_101st_account(app: App) -> Any:
    return (await app.accounts.import_all([f"user{number}" for number in range(102)])).count(0)


async def racing_imports(app: App) -> Any:
    answers = await asyncio.gather(*[app.accounts.import_all([f"user{number}"]) for number in range(110)])
    return min(101, [code for (code,) in answers].count(0))


async def make_and_destroy(app: App) -> Any:
    await app.accounts.import_all(["alice"])
    made = [(await app.groups.create(NewGroup(f"room{number}", "AVChatRoom", "alice")))[0] for number in range(10)]
    await app.groups.destroy("room0")
    return [*made[-1:], (await app.groups.create(NewGroup("one-more", "AVChatRoom", "alice")))[0]]


async def empty_rooms(app: App) -> Any:
    return [(await app.groups.create(NewGroup(f"room{number}", "AVChatRoom")))[0] for number in range(11)][-1]


async def calls_of_two_days(app: App) -> Any:
    await app.calls.open_trial()
    for number in range(2):
        await app.calls.start(f"call{number}", [("alice", "audio")])
        await app.move_clock(app.now_ms() + 10_000)
        await app.calls.end(f"call{number}")
        await app.move_clock(app.now_ms() + DAY_MS)
    return (await october(app))["call_seconds"]


async def many_users(app: App) -> Any:
    await login(app, *[f"user{number}" for number in range(10_001)])
    statement = await october(app)
    return statement["peak_dau"], statement["lines"][1]["units"], statement["charged_on"]


@pytest.mark.parametrize(
    ("name", "plan", "story", "right", "wrong"),
    [
        ("amounts-rounded-daily", "pro", calls_of_two_days, {"audio": 20}, {"audio": 120}),
        ("billing-day-utc", "pro", early_and_late, {"02": 2}, {"01": 2}),
        ("cap-off-by-one", "trial", the_101st_account, 100, 101),
        ("cap-raced", "trial", racing_imports, 100, 101),
        ("charge-day-late", "pro", many_users, (10_001, 1, "2026-11-03"), (10_001, 1, "2026-11-04")),
        ("dau-approximate", "pro", many_users, (10_001, 1, "2026-11-03"), (10_000, 0, "2026-11-03")),
        ("dau-of-other-app", "pro", two_devices, {"01": 1}, {"01": 2}),
        ("dau-per-device", "pro", two_devices, {"01": 1}, {"01": 2}),
        ("deleted-user-dropped", "trial", a_deletion, {"01": 2}, {"01": 1}),
        ("destroyed-group-counted", "trial", make_and_destroy, [0, 0], [0, 10036]),
        ("empty-group-free", "trial", empty_rooms, 10036, 0),
        ("midnight-lost", "pro", early_and_late, {"02": 2}, {"02": 1}),
        ("refused-login-counted", "pro", a_refused_login, {"01": 1}, {"01": 2}),
        ("resume-counted", "pro", a_resume_on_the_next_day, {"01": 1}, {"01": 1, "02": 1}),
        ("whole-peak-charged", "pro", many_users, (10_001, 1, "2026-11-03"), (10_001, 2, "2026-11-03")),
    ],
)
async def test_a_defect_changes_what_it_says(  # noqa: PLR0913, PLR0917 -- a table's columns
    tmp_path: Path, name: str, plan: str, story: type_story, right: object, wrong: object
) -> None:
    async with an_app(tmp_path / "healthy", HEALTHY, plan) as app:
        assert await story(app) == right
    async with an_app(tmp_path / "defect", DEFECTS[name], plan) as app:
        assert await story(app) == wrong


def test_every_defect_is_described_in_a_few_words() -> None:
    assert all(0 < len(defect.summary) < 72 for defect in DEFECTS.values())


def offered_in_seoul(defect: Defect, *, pin: frozenset[str] = frozenset()) -> list[str]:
    data = catalogue.load()
    network = Network(
        data.access_points, data.countries, LatencyTable(data.latency_model), new_router=defect.new_router
    )
    offered = network.route(Choice(pin=pin), network.place("KR"), ANYBODY)
    return [way.point.code for way in offered]


def test_the_second_nearest_access_point_is_the_second() -> None:
    """Its story needs no app."""
    right = offered_in_seoul(HEALTHY)
    wrong = DEFECTS["second-nearest-access-point"]

    assert offered_in_seoul(wrong) == [right[1], right[0], *right[2:]]
    assert offered_in_seoul(wrong, pin=frozenset({"br"})) == ["br"]

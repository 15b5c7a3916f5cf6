"""Two apps on one server under load at the same time: quotas, clocks and bills of the one are none of the other's."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

from mock_im_server.domain.apps import AppSettings
from mock_im_server.service import App
from tests.serving import KEY, Server, Wire, a_server, a_usersig, at_ms, identity, some_settings, type_json

TRIAL, PRO = 1_400_000_001, 1_400_000_002
CONNECTIONS, USERS_EACH, ROOMS_EACH = 4, 75, 50
USERS = CONNECTIONS * USERS_EACH
CREATE, DESTROY = "group_open_http_svc.create_group", "group_open_http_svc.destroy_group"


class Load:
    """The same users and rooms, on several connections of one app at once."""

    def __init__(self, app: App, wires: list[Wire]) -> None:
        self.app = app
        self.sdkappid = app.settings.sdkappid
        self.wires = wires
        self.who: list[type_json] = []

    async def logins(self) -> Counter[int]:
        answered = await asyncio.gather(*(self._logins(number) for number in range(CONNECTIONS)))
        bodies = [body for of_wire in answered for body in of_wire]
        # Any user can speak on any connection.
        self.who = [identity(body) for body in bodies if not body["ErrorCode"]]
        return Counter(body["ErrorCode"] for body in bodies)

    async def rooms(self) -> Counter[int]:
        """Creations race for the places; everyone destroys what they have made, but for the first."""
        codes: Counter[int] = Counter()
        for made in await asyncio.gather(*(self._rooms(number) for number in range(CONNECTIONS))):
            codes += made
        return codes

    async def _logins(self, number: int) -> list[type_json]:
        wire = self.wires[number]
        seqs = [
            await wire.send(
                "im_open_status.wslogin",
                sdkappid=self.sdkappid,
                identifier=user_id,
                usersig=a_usersig(user_id, sdkappid=self.sdkappid),
                status_instid=1,
            )
            for user_id in (f"user{number * USERS_EACH + at}" for at in range(USERS_EACH))
        ]
        return [(await wire.answer(seq))["body"] for seq in seqs]

    async def _rooms(self, number: int) -> Counter[int]:
        names = [f"room{number}-{at}" for at in range(ROOMS_EACH)]
        created = await self._ask(number, CREATE, names)
        mine = [name for name, code in zip(names, created, strict=True) if not code]
        return Counter(created) + Counter(await self._ask(number, DESTROY, mine[1:]))

    async def _ask(self, number: int, command: str, names: list[str]) -> list[int]:
        wire, head = self.wires[number], {**self.who[number], "sdkappid": self.sdkappid}
        body = {"Type": "AVChatRoom", "Name": "a room"}
        seqs = [await wire.send(command, {**body, "GroupId": name}, **head) for name in names]
        return [(await wire.answer(seq))["body"]["ErrorCode"] for seq in seqs]


async def a_load(server: Server, stack: AsyncExitStack, sdkappid: int) -> Load:
    wires = [await stack.enter_async_context(server.connected()) for _ in range(CONNECTIONS)]
    return Load(server.running.apps[sdkappid], wires)


async def move(server: Server, sdkappid: int, *times_ms: int) -> None:
    for now_ms in times_ms:
        status, said = await server.control("PUT", f"/apps/{sdkappid}/clock", {"now_ms": now_ms})
        assert status == 200, said


async def test_two_apps_under_load_do_not_touch_each_other() -> None:
    apps = AppSettings(TRIAL, "trial", KEY), AppSettings(PRO, "pro", KEY)
    async with a_server(replace(some_settings(), apps=apps)) as server, AsyncExitStack() as stack:
        trial, pro = await a_load(server, stack, TRIAL), await a_load(server, stack, PRO)
        hours = [at_ms("2026-10-01", f"{hour:02}:00:00") for hour in range(1, 24)]

        of_trial, of_pro, _ = await asyncio.gather(trial.logins(), pro.logins(), move(server, PRO, *hours))
        assert of_trial == {0: 100, 70398: USERS - 100}
        assert of_pro == {0: USERS}

        days = [at_ms(f"2026-10-{day:02}") for day in range(2, 32)]
        of_trial, of_pro, _ = await asyncio.gather(trial.rooms(), pro.rooms(), move(server, PRO, *days))
        # Whatever the order, an app never had more rooms than its plan allows.
        for codes, cap in ((of_trial, 10), (of_pro, 50)):
            assert set(codes) == {0, 10036}
            assert codes[10036] <= CONNECTIONS * ROOMS_EACH - cap
        rooms = [len(list(load.app.groups.all())) for load in (trial, pro)]
        live = [(await load.app.status())["live_groups"] for load in (trial, pro)]
        assert rooms == live
        assert 1 <= live[0] <= CONNECTIONS
        peaks = [(await load.app.status())["peak_groups"] for load in (trial, pro)]
        assert [peak <= cap for peak, cap in zip(peaks, (10, 50), strict=True)] == [True, True]

        await asyncio.gather(trial.rooms(), move(server, PRO, at_ms("2026-11-01"), at_ms("2026-11-03")))
        _, bill = await server.control("GET", f"/apps/{PRO}/statements/2026-10")
        assert (bill["peak_dau"], bill["peak_groups"], bill["charged_on"]) == (USERS, peaks[1], "2026-11-03")
        status = await trial.app.status()
        assert (status["now_ms"], status["dau"], status["accounts"]) == (at_ms("2026-10-01"), 100, 100)
        assert (status["statements"], status["total_cents"]) == ([], 0)

        # The reset of one, in the middle of the other's requests.
        before = pro.app
        await asyncio.gather(trial.rooms(), server.control("POST", f"/apps/{PRO}/reset", {"start": "2027-01-01"}))
        assert before.is_retired
        assert (await trial.app.status())["accounts"] == 100
        assert (await server.running.apps[PRO].status())["accounts"] == 0
        assert not trial.app.is_retired

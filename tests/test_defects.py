"""Each planted defect does the wrong that it names, and nothing else."""

from typing import Any

import pytest

from mock_im_server.defects import DEFECTS
from tests.serving import a_server, a_usersig, at_ms, some_settings

LOGIN = "im_open_status.wslogin"


async def a_month(defect: str | None) -> dict[str, Any]:
    """The statement of a month with 10,001 users on the 16th, one with two devices, and a login at 7 in the morning."""
    async with a_server(some_settings(defect=defect)) as server, server.connected() as wire:
        await server.move_clock(at_ms("2026-10-05", "07:00:00"))
        await wire.login("early", status_instid=1)
        await server.move_clock(at_ms("2026-10-16", "12:00:00"))
        seqs = []
        for number in range(10_001):
            user_id = f"user{number}"
            seqs.append(await wire.send(LOGIN, identifier=user_id, usersig=a_usersig(user_id), status_instid=1))
        for seq in seqs:
            assert (await wire.answer(seq))["body"]["ErrorCode"] == 0
        await wire.login("user0", status_instid=2)
        # The month's end lies 8 hours later in UTC.
        await server.move_clock(at_ms("2026-11-04"))
        return await server.statement("2026-10")


def dau_of(statement: dict[str, Any]) -> dict[str, int]:
    return {day["day"]: day["dau"] for day in statement["daily_dau"] if day["dau"]}


@pytest.mark.parametrize(
    ("defect", "dau", "units"),
    [
        (None, {"2026-10-05": 1, "2026-10-16": 10_001}, 1),
        ("billing-day-utc", {"2026-10-04": 1, "2026-10-16": 10_001}, 1),
        ("dau-per-device", {"2026-10-05": 1, "2026-10-16": 10_002}, 1),
        ("whole-peak-charged", {"2026-10-05": 1, "2026-10-16": 10_001}, 2),
    ],
)
async def test_a_defect_changes_what_it_says(defect: str | None, dau: dict[str, int], units: int) -> None:
    statement = await a_month(defect)
    assert dau_of(statement) == dau
    assert statement["lines"][1]["units"] == units


def test_every_defect_is_tested_and_described() -> None:
    assert set(DEFECTS) == {"billing-day-utc", "dau-per-device", "whole-peak-charged"}
    assert all(defect.summary for defect in DEFECTS.values())

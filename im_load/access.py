"""How the app of a run is routed, and what its plan does to access points: through the control API, and recorded."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from im_load import population
from im_load.control import Control, ServerError
from im_load.dispatch import Dispatch, type_probes
from im_load.plans import Plan
from im_load.plans.trouble import BUSIEST, UP, Change
from im_load.routes import Routes

FORMAT: Final = 1
CLIENT_PROBE: Final = "client_probe"
PROBE_FACTORS: Final = (0.8, 1.25)
"""Between these times the latency table lies what a client measures: an assumption."""

type_address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Routing:
    """The app's choice."""

    policy: str
    pin: tuple[str, ...]
    back_off_s: float
    """The longest that a user waits before reconnecting for the first time."""


class Access:
    """The access points of one run."""

    def __init__(self, control: Control, address: type_address, sdkappid: int, plan: Plan, routing: Routing) -> None:
        """Choose the app's routing. Raises ServerError where a point is not up, or a point that is named is none."""
        self._control = control
        self._plan = plan
        before = control.access_points()
        self._points = before["points"]
        codes = {point["code"] for point in self._points}
        if troubled := [point["code"] for point in self._points if (point["state"], point["capacity"]) != (UP, 1)]:
            raise ServerError(f"a run begins with every access point up and whole; {', '.join(troubled)} is not")
        named = {change.code for change in plan.trouble} - {BUSIEST} | set(routing.pin)
        if unknown := sorted(named - codes):
            raise ServerError(f"there is no access point {', '.join(unknown)}; there are {', '.join(sorted(codes))}")
        self._choice = control.choose_routing(sdkappid, {"policy": routing.policy, "pin": list(routing.pin)})
        self._changes: list[dict[str, Any]] = []
        self.probes: list[type_probes] = []
        dispatch = Dispatch(address, sdkappid, plan.world, Routes())
        if routing.policy == CLIENT_PROBE:
            self.probes = _probes(dispatch, plan)
        self._busiest = ""
        if any(change.code == BUSIEST for change in plan.trouble):
            asking = Dispatch(address, sdkappid, plan.world, Routes(), probes=self.probes)
            self._busiest = _busiest(asking, plan.world)
            asking.close()
        dispatch.close()

    def change(self, change: Change, app_ms: int, now_us: Callable[[], int]) -> int:
        """Do it and remember when; returns the version of the routing table that holds from now on."""
        code = self._busiest if change.code == BUSIEST else change.code
        before_us = now_us()
        said = self._control.change_access_point(code, change.state, change.capacity)
        told = {name: said[name] for name in ("version", "code", "state", "capacity")}
        self._changes.append({**told, "app_ms": app_ms, "before_us": before_us, "after_us": now_us()})
        version: int = said["version"]
        return version

    def restore(self) -> None:
        """Leave a server that is not ours as it was found."""
        for code in sorted({change["code"] for change in self._changes}):
            self._control.change_access_point(code, UP, 1.0)

    def as_json(self) -> dict[str, Any]:
        """`access.json` of `docs/run-files.md`."""
        names = ("code", "name", "country", "latitude", "longitude", "data_centre")
        world = self._plan.world
        places = (f"{country}/{city}" for country, city in zip(world.countries, world.cities, strict=True))
        return {
            "format": FORMAT,
            **{name: self._choice[name] for name in ("policy", "pin", "hysteresis_ms")},
            "round_trips": False,
            "start_version": self._choice["version"],
            "points": [{name: point[name] for name in names} for point in self._points],
            "changes": self._changes,
            **({"probes": dict(zip(places, self.probes, strict=True))} if self.probes else {}),
        }


def _probes(dispatch: Dispatch, plan: Plan) -> list[type_probes]:
    """For each place what a client there measures of all points that it may use: near what the table says."""
    chance = random.Random(plan.options.seed)  # noqa: S311 -- a plan is repeatable
    return [
        {
            point.code: round((point.latency_ms or 0.0) * chance.uniform(*PROBE_FACTORS), 1)
            for point in sorted(dispatch.ask(home).points, key=lambda point: point.code)
        }
        for home in range(len(plan.world.countries))
    ]


def _busiest(dispatch: Dispatch, world: population.World) -> str:
    """Where most users of the world come in."""
    users: Counter[str] = Counter()
    for home, share in enumerate(world.shares_ppm.tolist()):
        users[dispatch.ask(home).points[0].code] += share
    return max(sorted(users), key=users.__getitem__)

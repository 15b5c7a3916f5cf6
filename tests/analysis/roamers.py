"""Plays users who roam between access points against an honest little server, and writes down what both sides saw.

Where a user belongs is asked of the mock server's own network, which shares no code with the analysis.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from analysis import run_files
from mock_im_server import catalogue
from mock_im_server.domain.capacity import State
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import Choice, Client, Policy
from mock_im_server.network import Network
from tests.analysis.plays import FIRST_DAY, KIND, Play
from tests.analysis.recordings import Recording

DATA: Final = catalogue.load()
HOMES: Final = ("IN/Mumbai", "IN/Delhi", "AE/Dubai", "KR/Busan", "DE/Berlin", "BR/Recife", "US/Denver", "NG/Lagos")
DELHI: Final = "IN/Delhi"


@dataclass
class Trunk:
    point: str
    instance_id: str
    number: int
    seq: int = 0


class Roamers(Play):
    """Users by name, each at a home; `at` is where they are online."""

    def __init__(self, users: int = 48, *, policy: str = "great_circle", pin: Any = (), **options: Any) -> None:
        self.network = Network(
            DATA.access_points,
            {**DATA.countries, **{home: DATA.cities[home] for home in HOMES}},
            LatencyTable(DATA.latency_model, options.get("latency_table") or {}),
        )
        self.choice = Choice(Policy(policy), frozenset(pin))
        self.start_version = self.network.version
        self.probes: dict[str, dict[str, float | None]] = options.get("probes", {})
        self.latency_table = options.get("latency_table")
        self.homes = {f"user_{number:03}": HOMES[number % len(HOMES)] for number in range(users)}
        self.at: dict[str, str] = {}
        self.trunks: dict[str, Trunk] = {}
        self.changes: list[dict[str, Any]] = []
        self.arrivals = 0
        self.trouble: list[dict[str, Any]] = []
        self.active: defaultdict[int, set[str]] = defaultdict(set)
        super().__init__("pro")
        text = {"version": self.start_version, "policy": policy, "pin": sorted(pin), "hysteresis_ms": 10.0}
        self.write("routing_changed", text=text, connection=0)

    # --- what happens -----------------------------------------------------------------------------

    def belongs(self, user: str) -> str:
        """What dispatch says."""
        home = self.homes[user]
        client = Client(user, self.probes.get(home, {}))
        return self.network.route(self.choice, self.network.place(*home.split("/")), client)[0].point.code

    def come(self, user: str, point: str = "") -> None:
        """Log in, as the plan wants it."""
        self.ask("login", user, point, kind="first", row=self.arrivals)
        self.arrivals += 1

    def all_come(self) -> None:
        for user in self.homes:
            self.come(user)

    def resume(self, user: str, point: str = "", code: int = 0) -> None:
        """Come in again after the loss of an access point."""
        self.ask("resume", user, point, kind="reconnect", row=10_000_000 + len(self.ledger), code=code)

    def change(self, code: str, state: str = "up", capacity: float = 1.0) -> list[str]:
        """By the control API; returns who was cut off."""
        before_us = self.us
        self.us += 1_000
        self.network.set_health(code, state=State(state), capacity=capacity)
        noted = {"version": self.network.version, "code": code, "state": state, "capacity": capacity}
        self.write("access_changed", text=noted, connection=0)
        self.changes.append({**noted, "app_ms": self.time_ms, "before_us": before_us, "after_us": self.us})
        self.us += 1_000
        if state != "down":
            return []
        if trunk := self.trunks.pop(code, None):
            self.write("disconnected", text=None, connection=trunk.number)
        lost = [user for user, point in self.at.items() if point == code]
        for user in lost:
            del self.at[user]
        return lost

    def outage(self, code: str = "in") -> None:
        """Everybody comes, a point is lost, its users resume elsewhere, and it comes back."""
        self.all_come()
        for user in self.change(code, "down"):
            self.resume(user)
        self.change(code)

    # --- both sides -------------------------------------------------------------------------------

    def ask(self, verb: str, user: str, point: str = "", *, kind: str, row: int, code: int = 0) -> None:  # noqa: PLR0913
        point = point or self.belongs(user)
        trunk = self._trunk(point)
        trunk.seq += 1
        is_new = user not in self.numbers
        number = self.number(user)
        is_first = verb == "login" and user not in self.active[self.day]
        if verb == "login":
            self.active[self.day].add(user)
            self.dau[self.day].add(user)
        admitted = {"login": "logged_in", "resume": "resumed"}[verb]
        refused = {"login": "login_refused", "resume": "resume_refused"}[verb]
        self.write(
            refused if code else admitted,
            text=None,
            user=0 if code else number,
            user_id=user if code or (is_new and not code) else None,
            code=code,
            connection=trunk.number,
            request_seq=trunk.seq,
            counted_day=self.day if is_first else -1,
        )
        country, city = self.homes[user].split("/")
        self.us += 100
        self.ledger.append(
            {
                "row": row,
                "user_id": user,
                "group_id": None,
                "verb": verb,
                "kind": kind,
                "platform": "Web",
                "country": country,
                "city": city,
                "access_point": point,
                "routing_version": self.network.version,
                "connection": trunk.instance_id,
                "request_seq": trunk.seq,
                "planned_app_ms": self.time_ms,
                "planned_us": self.us,
                "sent_us": self.us,
                "answered_us": self.us + 50,
                "app_before_ms": self.time_ms,
                "app_after_ms": self.time_ms,
                "code": code,
            }
        )
        if not code:
            self.at[user] = point

    def _trunk(self, point: str) -> Trunk:
        if point not in self.trunks:
            number = sum(row["kind"] == KIND["connected"] for row in self.journal) + 1
            self.trunks[point] = Trunk(point, f"{number:032x}", number)
            self.write("connected", text=None, connection=number)
            self.journal[-1]["text"] = f"{number:032x} {point}"
        return self.trunks[point]

    # --- files ------------------------------------------------------------------------------------

    def access(self) -> dict[str, Any]:
        """`access.json`."""
        names = ("code", "name", "country", "latitude", "longitude", "data_centre")
        table = {} if self.latency_table is None else {"latency_table": self.latency_table}
        return {
            "format": 1,
            "policy": self.choice.policy,
            "pin": sorted(self.choice.pin),
            "hysteresis_ms": 10.0,
            "round_trips": False,
            "start_version": self.start_version,
            "points": [{name: getattr(point, name) for name in names} for point in self.network.points.values()],
            "changes": self.changes,
            **({"probes": self.probes} if self.probes else {}),
            **table,
        }

    def recording(self) -> Recording:
        found = super().recording()
        planned = [row for row in self.ledger if row["row"] < self.arrivals]
        found.plan |= {"scenario": "region_outage", "arrivals": len(planned), "trouble": []}
        for day in found.plan["days"]:
            is_first = day["day"] == f"2026-10-{self.day - FIRST_DAY + 1:02}"
            day |= {"arrivals": len(planned) if is_first else 0, "admitted": {}}
            day["codes"] = {"0": len(planned)} if is_first else {}
        found.ledgers = [pa.Table.from_pylist(self.ledger, run_files.LEDGER_SCHEMA)]
        return found

    def written(self, folder: Path, name: str = "a_run") -> Path:
        return write(self.recording(), self.access(), folder, name)


def write(recording: Recording, access: dict[str, Any] | None, folder: Path, name: str = "a_run") -> Path:
    """Write a recording with its `access.json`."""
    arrivals = recording.plan["arrivals"]
    recording.reconnects = [sum(row >= arrivals for row in table["row"].to_pylist()) for table in recording.ledgers]
    run = recording.written(folder, name)
    if access is not None:
        (run / run_files.ACCESS).write_text(json.dumps(access))
    return run

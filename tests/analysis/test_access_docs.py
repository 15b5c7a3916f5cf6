"""The page about the access audit says what the code does."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from analysis import gates
from analysis.places import access_points, places
from analysis.routing_oracle import GREAT_CIRCLE, Choice, Health, Oracle, Questions, metres_apart, numbers, user_seeds

PAGE = Path("docs/access-audit.md").read_text("utf-8")
POINTS, WORLD = access_points(), places()
BUSAN = WORLD.number_of("KR", "Busan")


def _states() -> list[Health]:
    whole = np.full(len(POINTS.codes), 100)
    is_korea = np.array([code == "kr" for code in POINTS.codes])
    half = np.where(is_korea, 50, whole)
    up = np.ones(len(whole), bool)
    return [Health(up, whole), Health(up, half), Health(~is_korea, half)]


def test_the_example_is_what_the_oracle_says() -> None:
    rows = re.findall(r"^\| (\d) \|.*\| (\w+) \| `([\w-]+)` \| ([\d.]+) ms \|$", PAGE, re.MULTILINE)
    assert len(rows) == 6
    place = (("KR/Busan", WORLD.latitudes[BUSAN], WORLD.longitudes[BUSAN]),)
    oracle = Oracle(POINTS, place, Choice(GREAT_CIRCLE))
    users = ["alice", "bob"]
    state = np.array([int(version) - 1 for version, *_ in rows])
    here = np.zeros_like(state)
    asked = Questions(here, state, np.array([users.index(user) for _, user, *_ in rows]))
    found = oracle.routed(asked, _states(), users)
    assert [POINTS.codes[number] for number in found] == [code for *_, code, _ in rows]
    regret = oracle.latency_ms[here, found] - oracle.fastest_ms(here, state, _states())
    assert regret.round(1).tolist() == [float(ms) for *_, ms in rows]
    assert numbers(user_seeds(users), 0).tolist() == [93, 18]


@pytest.mark.parametrize(("code", "name"), [("kr", "Korea"), ("cn-east", "East China"), ("jp", "Japan")])
def test_distances_and_round_trips_of_the_example(code: str, name: str) -> None:
    (said,) = re.findall(rf"{name} \((\d+) km, ([\d.]+) ms\)", PAGE)
    here = slice(BUSAN, BUSAN + 1)
    metres = metres_apart(WORLD.latitudes[here], WORLD.longitudes[here], *POINTS.coordinates())[0]
    metre = metres[POINTS.number_of[code]]
    assert said == (str(round(metre / 1_000)), f"{POINTS.model.round_trips_ms(metre):.1f}")


def test_its_gates_are_gates(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "gates.toml").write_text(text)
    assert len(gates.read(tmp_path / "gates.toml")) == len(tomllib.loads(text)["gate"]) == 2


def test_every_finding_of_the_analysis_is_explained() -> None:
    modules = ("access", "access_journal", "outages")
    source = "".join(Path(f"analysis/{name}.py").read_text() for name in modules)
    named = set(re.findall(r'(?:error|warning)\("([a-z_]+)"', source))
    assert [code for code in sorted(named) if f"`{code}`" not in PAGE] == []

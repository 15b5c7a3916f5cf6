"""Dispatch is asked once for each place and version, and understood as the server means it."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest

from im_load import population
from im_load.control import Control
from im_load.dispatch import Answer, Dispatch, NoAccessPointError
from im_load.routes import Routes
from im_load.server_process import ServerProcess
from tests.im_load.playing import a_server

WORLD = population.cities()
SEOUL = WORLD.countries.index("KR")
TOKYO = WORLD.countries.index("JP")
USERS = [population.user_id(user) for user in range(200)]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with a_server() as server:
        yield server


@pytest.fixture
def control(server: ServerProcess) -> Iterator[Control]:
    control = Control(server.ready["control_url"], server.ready["control_token"])
    yield control
    for code in ("kr", "cn-east"):
        control.change_access_point(code, "up", 1.0)
    control.close()


class Asked(Dispatch):
    """Counts how often it asks."""

    def __init__(self, server: ServerProcess, sdkappid: int = 0) -> None:
        self.routes = Routes()
        parts = urlsplit(server.ready["url"])
        super().__init__((parts.hostname or "", parts.port or 0), sdkappid, WORLD, self.routes)
        self.count = 0

    def ask_all(self, homes: Sequence[int], user_id: str = "") -> list[Answer | str]:
        self.count += len(homes)
        return super().ask_all(homes, user_id)

    def point(self, home: int, user_id: str = "") -> str:
        return self.routes[self.route(home, user_id)].access_point


def test_a_place_is_asked_for_once_whoever_comes(server: ServerProcess) -> None:
    dispatch = Asked(server)

    assert {dispatch.point(SEOUL, user) for user in USERS} == {"kr"}
    assert (dispatch.count, dispatch.point(TOKYO), dispatch.count) == (1, "jp", 2)
    dispatch.close()


def test_places_that_are_expected_are_asked_for_together(server: ServerProcess) -> None:
    dispatch, alone = Asked(server), Asked(server)
    homes = range(0, len(WORLD.countries), 9)
    dispatch.expect(homes)

    assert [dispatch.point(home) for home in homes] == [alone.point(home) for home in homes]
    assert dispatch.count == alone.count == len(homes)
    dispatch.close()
    alone.close()


def test_another_version_is_another_answer(server: ServerProcess, control: Control) -> None:
    dispatch = Asked(server)
    before = dispatch.routes[dispatch.route(SEOUL, "")]
    version = control.change_access_point("kr", "down", None)["version"]
    assert dispatch.point(SEOUL) == "kr", "nobody has said anything yet"
    dispatch.know(version)
    after = dispatch.routes[dispatch.route(SEOUL, "")]
    dispatch.know(version)

    assert (before.access_point, after.access_point, after.version) == ("kr", "cn-east", version)
    assert dispatch.count == 2
    dispatch.close()


def test_where_room_is_short_each_user_goes_where_the_server_would_send_him(
    server: ServerProcess, control: Control
) -> None:
    control.change_access_point("kr", None, 0.5)
    control.change_access_point("cn-east", None, 0.25)
    dispatch, other = Asked(server), Asked(server)

    found = [dispatch.point(SEOUL, user) for user in USERS]
    assert found == [other.ask(SEOUL, user).points[0].code for user in USERS]
    assert len(set(found)) >= 2
    assert dispatch.count == 1
    dispatch.close()
    other.close()


def test_none_to_be_had_is_said_and_can_be_asked_again(server: ServerProcess, control: Control) -> None:
    app = control.make_app({"plan": "pro", "start": "2026-10-01"})
    control.choose_routing(app["sdkappid"], {"pin": ["kr"]})
    control.change_access_point("kr", "down", None)
    dispatch = Asked(server, app["sdkappid"])
    with pytest.raises(NoAccessPointError, match="no access point"):
        dispatch.route(SEOUL, "")
    control.change_access_point("kr", "up", None)

    assert dispatch.point(TOKYO) == "kr"
    dispatch.close()

"""The pytest plugin: the fixture `im_server`. It imports the server only for a test that asks for one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mock_im_server.testing import ImServer


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "im_server(apps, start, rate_limits): what the fixture im_server is started with, as start_server"
    )


@pytest.fixture
def im_server(request: pytest.FixtureRequest) -> Iterator["ImServer"]:
    """A mock IM server on a free port, with one app on Pro or as `@pytest.mark.im_server(apps=["trial"])`."""
    from mock_im_server.testing import start_server  # noqa: PLC0415 -- most tests of a project need no server

    marker = request.node.get_closest_marker("im_server")
    with start_server(*marker.args, **marker.kwargs) if marker else start_server() as server:
        yield server

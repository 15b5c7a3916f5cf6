"""What several files look at: runs, and the vendor's SDK."""

from pathlib import Path

import pytest

from tests.end_to_end import official_sdk
from tests.end_to_end.commands import LIVE_GROUPS, SPIKE, Played, played_once


@pytest.fixture(scope="session")
def sdk() -> Path:
    """A folder with the vendor's client SDK."""
    return official_sdk.installed()


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played_once(tmp_path_factory, "healthy", *SPIKE)


@pytest.fixture(scope="session")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The same plan, by two workers, with Locust's JSON on standard output."""
    return played_once(tmp_path_factory, "distributed", *SPIKE, "--processes", "2", "--json")


@pytest.fixture(scope="session")
def live_groups(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two workers race for live groups."""
    scenario, *options = LIVE_GROUPS
    return played_once(tmp_path_factory, "live_groups", *options, "--processes", "2", scenario=scenario)


@pytest.fixture(scope="session")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The busiest access point is lost and comes back."""
    return played_once(tmp_path_factory, "outage", "--dau", "20000", scenario="region_outage")

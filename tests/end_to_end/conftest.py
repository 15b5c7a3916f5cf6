"""What several files look at: runs, and the vendor's SDK."""

from pathlib import Path

import pytest

from tests.end_to_end import official_sdk
from tests.end_to_end.commands import SPIKE, Played, played_once


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

"""What tests of several folders need."""

from collections.abc import Iterator

import pytest

from proofs.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis that all tests share: each has keys of its own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server

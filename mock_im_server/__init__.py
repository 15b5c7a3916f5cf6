"""A mock of an instant-messaging cloud that admits, refuses, counts and bills."""

from typing import Final

VERSION: Final = "0.1.0"

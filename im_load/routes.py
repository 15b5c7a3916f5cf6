"""Which access point a request went to, and by which version of the routing table: small numbers for both together."""

from typing import Final, NamedTuple


class Route(NamedTuple):
    """Where a request went; the version is None where dispatch was not asked."""

    access_point: str
    version: int | None


NOWHERE: Final = Route("", None)
"""Of what does not go to an access point."""


class Routes:
    """A worker's routes by number; 0 is NOWHERE. There are few, and each is on many rows."""

    def __init__(self) -> None:
        self._routes = [NOWHERE]
        self._numbers = {NOWHERE: 0}

    def __getitem__(self, number: int) -> Route:
        return self._routes[number]

    def __len__(self) -> int:
        return len(self._routes)

    def number(self, route: Route) -> int:
        found = self._numbers.get(route)
        if found is None:
            found = self._numbers[route] = len(self._routes)
            self._routes.append(route)
        return found

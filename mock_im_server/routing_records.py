"""What became of access points and of an app's choice of routing, kept in journals and found again after a restart.

Access points belong to the server and not to an app, so that each app's journal says of every change.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mock_im_server import journal as log
from mock_im_server.apps import Apps
from mock_im_server.domain.capacity import Health, State
from mock_im_server.domain.routing import Choice, Policy
from mock_im_server.network import Network
from mock_im_server.service import App

_HEALTHY: Final = Health()


class RoutingRecords:
    """Writes changes of a network into the journals of all apps."""

    def __init__(self, network: Network, apps: Apps) -> None:
        """Take up what the apps' journals say, and greet every app that is made from now on."""
        self._network = network
        self._apps = apps
        _restore(network, apps.values())
        apps.on_opened.append(self._begin)
        apps.on_news.append(self._hear)

    async def access_changed(self, code: str) -> None:
        text = self._access(code)  # Before anything is awaited: meanwhile there may be another change.
        await self._apps.tell({"access": text})
        for app in list(self._apps.values()):
            await app.record(log.ACCESS_CHANGED, await app.settled_ms(), text)

    async def routing_changed(self, app: App) -> None:
        choice = self._network.choice(app.settings.sdkappid)
        text = {
            "version": self._network.version,
            "policy": choice.policy,
            "pin": sorted(choice.pin),
            "hysteresis_ms": choice.hysteresis_ms,
        }
        await self._apps.tell({"routing": text | {"sdkappid": app.settings.sdkappid}})
        await app.record(log.ROUTING_CHANGED, await app.settled_ms(), text)

    async def _hear(self, news: Mapping[str, Any]) -> None:
        """What another server process was told of the network."""
        if "access" in news:
            text = news["access"]
            self._network.set_health(text["code"], state=State(text["state"]), capacity=text["capacity"])
            self._network.reach(text["version"])
        elif "routing" in news:
            text = news["routing"]
            choice = Choice(Policy(text["policy"]), frozenset(text["pin"]), text["hysteresis_ms"])
            self._network.choose(text["sdkappid"], choice)
            self._network.reach(text["version"])

    async def _begin(self, app: App) -> None:
        """A journal that begins amid trouble says so at its beginning."""
        for code in sorted(self._network.points):
            if self._network.health(code) != _HEALTHY:
                await app.record(log.ACCESS_CHANGED, await app.settled_ms(), self._access(code))
        if self._network.choice(app.settings.sdkappid) != Choice():
            await self.routing_changed(app)

    def _access(self, code: str) -> dict[str, Any]:
        health = self._network.health(code)
        return {
            "version": self._network.version,
            "code": code,
            "state": health.state,
            "capacity": health.capacity_percent / 100,
        }


def _restore(network: Network, apps: Iterable[App]) -> None:
    # An app that was reset has a younger journal than its neighbours: of each point, the latest word counts.
    said: dict[str, dict[str, Any]] = {}
    version = network.version
    choices: dict[int, Choice] = {}
    for app in apps:
        found = app.found_routing
        for code, text in found.access.items():
            version = max(version, text["version"])
            if code not in said or said[code]["version"] < text["version"]:
                said[code] = text
        if found.choice is not None:
            text = found.choice
            version = max(version, text["version"])
            pin = frozenset(code for code in text["pin"] if code in network.points)
            choices[app.settings.sdkappid] = Choice(Policy(text["policy"]), pin, text["hysteresis_ms"])
    health = {
        code: Health(State(text["state"]), round(text["capacity"] * 100))
        for code, text in said.items()
        if code in network.points  # One that was taken out of the table meanwhile is no trouble any more.
    }
    network.restore(version, health, choices)

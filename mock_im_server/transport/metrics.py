"""Prometheus metrics: what each app counts, read when they are asked for, so that a login pays nothing."""

from dataclasses import asdict

from prometheus_client import CollectorRegistry, Gauge

from mock_im_server.apps import Apps
from mock_im_server.network import Network
from mock_im_server.transport.connections import Connections
from mock_im_server.transport.doors import Doors
from mock_im_server.transport.gateway import Gateway
from mock_im_server.transport.webhooks import Webhooks


class AppMetrics:
    """Gauges by SDKAppID."""

    def __init__(self, apps: Apps, gateway: Gateway, webhooks: Webhooks, open_connections: Connections) -> None:
        self._apps = apps
        self._webhooks = webhooks
        self._gateway = gateway
        self._open_connections = open_connections

    async def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        connections = Gauge("im_connections", "Open WebSockets", registry=registry)
        connections.set(self._gateway.open_connections)
        closed = Gauge("im_connections_closed", "Connections that were closed, and why", ["reason"], registry=registry)
        closed.labels("too_many").set(self._open_connections.refused)
        closed.labels("silent").set(self._open_connections.timed_out)
        gauges = {
            key: Gauge(f"im_{key}", text, ["sdkappid"], registry=registry)
            for key, text in (
                ("accounts", "Registered accounts"),
                ("online", "Users with a session"),
                ("logins", "Admitted logins"),
                ("dau", "Distinct users that logged in on the app's current billing day"),
                ("peak_dau", "Highest DAU of the app's current month"),
                ("total_cents", "The current month's bill so far, in cents"),
                ("journal_rows", "Rows in the journal"),
            )
        }
        hooks = Gauge("im_webhooks", "Webhook calls by what became of them", ["sdkappid", "outcome"], registry=registry)
        for app in list(self._apps.values()):
            status = await app.status()
            for key, gauge in gauges.items():
                gauge.labels(status["sdkappid"]).set(status[key])
            if (deliveries := self._webhooks.deliveries(status["sdkappid"])) is not None:
                for outcome, count in asdict(deliveries).items():
                    hooks.labels(status["sdkappid"], outcome).set(count)
        return registry


class AccessMetrics:
    """Gauges by access point."""

    def __init__(self, network: Network, doors: Doors) -> None:
        self._network = network
        self._doors = doors

    def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        version = Gauge("im_routing_version", "Changes of states, capacities and choices, from 1", registry=registry)
        version.set(self._network.version)
        connections, up, capacity = (
            Gauge(f"im_access_point_{key}", text, ["access_point"], registry=registry)
            for key, text in (
                ("connections", "Open WebSockets at an access point"),
                ("up", "1 for an access point that takes connections, 0 for one that is down or draining"),
                ("capacity", "The capacity of an access point, a part of 1"),
            )
        )
        for code in self._network.points:
            health = self._network.health(code)
            connections.labels(code).set(self._doors.connections(code))
            up.labels(code).set(int(health.is_up))
            capacity.labels(code).set(health.capacity_percent / 100)
        return registry

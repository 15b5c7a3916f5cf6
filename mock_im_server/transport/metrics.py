"""Prometheus metrics: what each app counts, read when they are asked for, so that a login pays nothing."""

from prometheus_client import CollectorRegistry, Gauge

from mock_im_server.apps import Apps
from mock_im_server.transport.gateway import Gateway


class AppMetrics:
    """Gauges by SDKAppID."""

    def __init__(self, apps: Apps, gateway: Gateway) -> None:
        self._apps = apps
        self._gateway = gateway

    async def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        connections = Gauge("im_connections", "Open WebSockets", registry=registry)
        connections.set(self._gateway.open_connections)
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
        for app in self._apps.values():
            status = await app.status()
            for key, gauge in gauges.items():
                gauge.labels(status["sdkappid"]).set(status[key])
        return registry

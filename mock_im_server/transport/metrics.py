"""Prometheus metrics: what each app counts, read when they are asked for, so that a login pays nothing."""

from dataclasses import asdict

from prometheus_client import CollectorRegistry, Gauge

from mock_im_server.apps import Apps
from mock_im_server.transport.gateway import Gateway
from mock_im_server.transport.webhooks import Webhooks


class AppMetrics:
    """Gauges by SDKAppID."""

    def __init__(self, apps: Apps, gateway: Gateway, webhooks: Webhooks) -> None:
        self._apps = apps
        self._webhooks = webhooks
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
        hooks = Gauge("im_webhooks", "Webhook calls by what became of them", ["sdkappid", "outcome"], registry=registry)
        for app in self._apps.values():
            status = await app.status()
            for key, gauge in gauges.items():
                gauge.labels(status["sdkappid"]).set(status[key])
            if (deliveries := self._webhooks.deliveries(status["sdkappid"])) is not None:
                for outcome, count in asdict(deliveries).items():
                    hooks.labels(status["sdkappid"], outcome).set(count)
        return registry

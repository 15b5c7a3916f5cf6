"""The Locust `User` of every scenario: a driver that plays many simulated users."""

import gevent
from locust import User, task


class ImDriver(User):
    """Reports for its share of the plan and leaves the work to this process's worker.

    One greenlet a simulated user would not reach millions: 10 KB each, before the first request.
    """

    abstract = True

    def on_start(self) -> None:
        self.environment.im_scenario.worker.ready()

    @task
    def play(self) -> None:
        gevent.sleep(3_600)

"""Audio and video calls under the 60-day trial: who may call when, and what the month's minutes cost.

Before the trial is opened a call is refused; then calls of two to nine participants, each at a tier of its own, take
place on every day of the month, one of them over its end. Sixty days after the opening, to the second, calls are
refused; a second trial follows, a third does not. Opening a trial changes no quota of messaging.
"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_month_option


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--calls", default="20", help="calls on each day (20)")
    add("--callers", default="500", help="users who take part in calls (500)")
    add_month_option(parser)


class CallDriver(ImDriver):
    """Plays whoever starts and ends calls."""


Scenario("call_trial", add_options, options.call_trial).register()

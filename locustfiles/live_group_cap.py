"""Live groups (AVChatRoom) at their cap: far more creates than places, released at one instant.

A round a day. Race: nothing but creates, and exactly 50 get in (10 on a trial; on Ultimate the day's 10,000 net new
groups are the cap). Clearing: each owner destroys what it tried. Churn: create three, destroy three, all at once, and
in the end nothing is left. On the last day rooms that nobody is in take every place, three of them are destroyed, and
exactly three creates get in. Nine creates of ten go over the gateway, the others over REST.
"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_month_option


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--attempts", default="20000", help="creates that race for places, of all rounds together (20000)")
    add("--owners", default="100", help="users who create and destroy (100)")
    add("--rounds", default="8", help="rounds of race, clearing and churn, a day each (8)")
    add_month_option(parser)


class OwnerDriver(ImDriver):
    """Plays the owners of live groups."""


Scenario("live_group_cap", add_options, options.live_group_cap).register()

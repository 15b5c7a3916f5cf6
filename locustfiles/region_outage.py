"""A million users, and an access point that is lost at its busiest hour: are all online elsewhere soon?"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_month_option, add_rate_option, add_routing_options


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--dau", default="1000000", help="distinct users of the day (1000000)")
    add("--outage", default="busiest", help="the access point that is lost (busiest)")
    add("--outage-hours", default="3", help="of the app's time, until it is back (3)")
    add_month_option(parser)
    add_rate_option(parser, options.OUTAGE_RATE, "logins")
    add_routing_options(parser)


class OutageDriver(ImDriver):
    """Plays users who lose their connection."""


Scenario("region_outage", add_options, options.region_outage, app_plans=("pro", "ultimate")).register()

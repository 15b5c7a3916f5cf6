"""Users everywhere on earth, awake by their own clocks: does each reach the nearest access point, also in trouble?"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_month_option, add_rate_option, add_routing_options


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--dau", default="50000", help="distinct users on each day (50000)")
    add("--days", default="3", help="days of the month with users (3)")
    add("--trouble", default="", help="a script (TOML) of what becomes of which access point, and when")
    add_month_option(parser)
    add_rate_option(parser, options.DEFAULT_RATE, "logins")
    add_routing_options(parser)


class WorldDriver(ImDriver):
    """Plays users of all time zones."""


Scenario("global_access", add_options, options.global_access, app_plans=("pro", "ultimate")).register()

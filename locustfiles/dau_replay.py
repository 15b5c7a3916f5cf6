"""A real month, day by day, from a file of daily active users."""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_connections_option, add_rate_option


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--dau-csv", default="", help="file with the columns date and dau, one whole month")
    add("--scale", default="1", help="each day's DAU is dau × scale, rounded half up (1)")
    add_rate_option(parser, options.DEFAULT_RATE, "logins")
    add_connections_option(parser)


class ReplayDriver(ImDriver):
    """Plays the month's users."""


Scenario("dau_replay", add_options, options.month_of_file).register()

"""A month with a weekly rhythm and one day on which everybody comes: what does the spike cost?"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_connections_option, add_month_option, add_rate_option


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--peak-dau", default="1000000", help="distinct users on the spike day (1000000)")
    add("--baseline-dau", default="8000", help="average DAU of the other days (8000)")
    add("--spike-day", default="", help="a date or a day of the month (the 16th)")
    add_month_option(parser)
    add_rate_option(parser, options.DEFAULT_RATE, "logins")
    add_connections_option(parser)


class SpikeDriver(ImDriver):
    """Plays the month's users."""


Scenario("dau_spike", add_options, options.month_with_spike).register()

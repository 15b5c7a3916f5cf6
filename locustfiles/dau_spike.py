"""A month with a weekly rhythm and one day on which everybody comes: what does the spike cost?"""

from locust.argument_parser import LocustArgumentParser

from im_load.driver import ImDriver
from im_load.options import DEFAULT_MONTH
from im_load.scenario import Scenario


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--peak-dau", default="1000000", help="distinct users on the spike day (1000000)")
    add("--baseline-dau", default="8000", help="average DAU of the other days (8000)")
    add("--spike-day", default="", help="a date or a day of the month (the 16th)")
    add("--month", default=DEFAULT_MONTH, help=f"billing month ({DEFAULT_MONTH})")


class SpikeDriver(ImDriver):
    """Plays the month's users."""


Scenario("dau_spike", add_options).register()

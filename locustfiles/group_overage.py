"""Hundreds of thousands of groups over REST: what their peak costs, and that destroyed ones do not count.

Owners are imported, then groups are created as fast as the quotas allow: 10,000 net new ones a day (10006 for one
more), 500 for each owner on Pro (10037 for one more); some come and go on every day and count for nothing. On the days
that are left many are destroyed. The bill is for the month's peak: 250,000 groups are 2 started 100,000 above the free
ones, 299.98 USD.
"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_month_option, add_rate_option

RATE = 10_000


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--groups", default="250000", help="groups to create, which is the month's peak (250000)")
    add("--destroy", default="150000", help="groups to destroy afterwards (150000)")
    add_month_option(parser)
    add_rate_option(parser, RATE, "calls")


class BackendDriver(ImDriver):
    """Plays an app's backend."""


Scenario("group_overage", add_options, options.group_overage, app_plans=("pro", "ultimate")).register()

"""A trial app's 100 accounts: imports and first logins race for the places, and for those that deletions free.

On five days of the month: exactly 100 of all who try get in, the others are told 70398; after deletions exactly the
freed places are filled again; and on a day whose 100 users have logged in, a newcomer is told 72000 although there is
a place. With --processes N several drivers race each other.
"""

from locust.argument_parser import LocustArgumentParser

from im_load import options
from im_load.driver import ImDriver
from im_load.scenario import Scenario, add_month_option


def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--attempts", default="4000", help="users who race for a place, in all (4000)")
    add_month_option(parser)


class AccountDriver(ImDriver):
    """Plays the app's backend, which imports and deletes, and its users, who log in."""


Scenario("account_cap", add_options, options.account_cap, app_plans=("trial",)).register()

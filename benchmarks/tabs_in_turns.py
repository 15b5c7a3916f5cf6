"""The spike in the web UI, our tabs shown and hidden in turns: a locustfile that prints a line for each pair of turns.

A tab costs less than two turns of the same kind differ. So that it can be measured, everything that is done for a page
is done AMPLIFIED times as often, in both kinds of turns; only what the tabs add differs.
"""

import json
import runpy
import time
from collections.abc import Callable
from random import Random

import gevent
from locust import events
from locust.env import Environment
from locust.web import WebUI

from im_load import conductor, live_tab

AMPLIFIED = 20
TURN_S = 1.0
SEED = 7


class Tabs:
    """Whether they are there at the moment: in the page's answers, and in what the server is asked for them."""

    are_shown = True


def attach(web_ui: WebUI, *tables: Callable[[], list[live_tab.type_row]]) -> None:
    attach_for_good(web_ui, *tables)
    extended = web_ui.app.after_request_funcs[None].pop()
    web_ui.app.after_request(lambda response: extended(response) if Tabs.are_shown else response)


def take_turns(environment: Environment) -> None:
    rng = Random(SEED)
    while True:
        # In a random order: whatever has a rhythm of its own must not fall on turns of one kind.
        rates = {shown: rate(environment, are_shown=shown) for shown in rng.sample([True, False], 2)}
        print(json.dumps({"shown_per_s": rates[True], "hidden_per_s": rates[False]}), flush=True)


def rate(environment: Environment, *, are_shown: bool) -> float:
    Tabs.are_shown = are_shown
    environment.im_scenario._conductor.shows_points = are_shown  # noqa: SLF001 -- no option hides them
    total = environment.stats.total
    before, began = total.num_requests, time.perf_counter()
    gevent.sleep(TURN_S)
    return (total.num_requests - before) / (time.perf_counter() - began)


attach_for_good = live_tab.attach
live_tab.attach = attach
conductor.INTERVAL_S /= AMPLIFIED
SpikeDriver = runpy.run_path("locustfiles/dau_spike.py")["SpikeDriver"]
events.test_start.add_listener(lambda environment, **_: gevent.spawn(take_turns, environment))

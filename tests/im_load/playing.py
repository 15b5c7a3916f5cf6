"""A run in this process: the real conductor, workers and server, and between them what Locust does to a message.

Locust itself stays out, as it patches the whole process: samples go to a list.
"""

import gc
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from analysis import run_files
from im_load import options
from im_load.conductor import Conductor
from im_load.options import RunOptions
from im_load.server_process import ServerProcess
from im_load.worker import Worker, assignment_from

type_json = dict[str, Any]

PLANNED = {
    "dau_spike": options.month_with_spike,
    "dau_replay": options.month_of_file,
    "account_cap": options.account_cap,
    "live_group_cap": options.live_group_cap,
    "group_overage": options.group_overage,
    "call_trial": options.call_trial,
    "global_access": options.global_access,
    "region_outage": options.region_outage,
}


def parsed(runs: Path, **changed: object) -> Namespace:
    """What Locust's parser makes of a command: its defaults, and what was given."""
    given = {
        "peak_dau": "600",
        "baseline_dau": "30",
        "spike_day": "",
        "month": "2026-10",
        "seed": "7",
        "plan": "pro",
        "price_book": "",
        "connections": "shared",
        "rate": "25000",
        "runs": str(runs),
        "gates": "",
        "defect": "",
        "host": None,
        "control_url": "",
        "control_token": "",
        "sdkappid": "",
        "key": "",
        "trouble": "",
        "real_host_costs_money": False,
    }
    return Namespace(**given | changed)


def as_sent(data: Mapping[str, Any]) -> tuple[type_json, int]:
    """A message as the other side gets it, and its size."""
    packed = msgpack.dumps(data)
    return dict(msgpack.loads(packed, strict_map_key=False)), len(packed)


@dataclass
class Played:
    """A run that has ended, and what went over the channel: names, contents and bytes."""

    code: int = -1
    text: str = ""
    run: Path = Path()
    to_workers: list[tuple[str, type_json, int]] = field(default_factory=list)
    to_conductor: list[tuple[str, type_json, int]] = field(default_factory=list)


def played(
    runs: Path,
    *,
    scenario: str = "dau_spike",
    workers: int = 1,
    sources: Sequence[str] = (),
    loses: Callable[[str, type_json], bool] = lambda _name, _data: False,
    **changed: object,
) -> Played:
    """Play a scenario; a message to the conductor may be lost on its way."""
    with warnings.catch_warnings():
        # A conductor lives as long as its process, and leaves its connections to the end of that.
        warnings.simplefilter("ignore", ResourceWarning)
        done = _played(scenario, options.checked(parsed(runs, **changed), PLANNED[scenario]), workers, sources, loses)
        gc.collect()
    done.run = (runs / run_files.LATEST).resolve()
    return done


def _played(
    scenario: str, run: RunOptions, workers: int, sources: Sequence[str], loses: Callable[[str, type_json], bool]
) -> Played:
    done = Played()
    conductor: Conductor

    def to_conductor(name: str, data: type_json) -> None:
        data, size = as_sent(data)
        done.to_conductor.append((name, data, size))
        if loses(name, data):
            return
        if name == "im_ready":
            conductor.on_ready(f"worker-{data['worker']}", data)
        else:
            getattr(conductor, f"on_{name.removeprefix('im_')}")(data)

    def to_workers(name: str, data: type_json, client_id: str | None) -> None:
        data, size = as_sent(data)
        done.to_workers.append((name, data, size))
        for worker in crew:
            if client_id in {None, f"worker-{worker.index}"}:
                _handle(worker, name, data)

    samples: list[str] = []
    crew = [Worker(index, to_conductor, lambda _door, name, *_: samples.append(name)) for index in range(workers)]
    conductor = Conductor(run, scenario, to_workers)
    conductor.sources = list(sources)
    conductor.locust_totals = lambda: {"requests": len(samples), "failures": 0}
    for worker in crew:
        worker.ready()
    conductor.conduct(workers)
    done.code, done.text = conductor.exit_code, conductor.verdict_text
    return done


def _handle(worker: Worker, name: str, data: type_json) -> None:
    match name:
        case "im_assign":
            worker.assign(assignment_from(data))
        case "im_phase":
            worker.prepare_phase(**data)
        case "im_go":
            worker.begin_phase(**data)
        case "im_ceiling":
            worker.raise_ceiling(**data)
        case "im_floor":
            worker.raise_floor(**data)
        case "im_routing":
            worker.know_routing(**data)
        case "im_drain":
            worker.abort()
            worker.drain()
        case _:
            worker.abort()


@contextmanager
def a_server() -> Iterator[ServerProcess]:
    server = ServerProcess()
    try:
        yield server
    finally:
        server.stop()

"""An access point is lost under a million users: what a run's files say of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from mock_im_server import catalogue
from mock_im_server.domain.capacity import State
from mock_im_server.domain.latency import LatencyTable
from mock_im_server.domain.routing import ANYBODY, Choice, Policy
from mock_im_server.network import Network

US_PER_S: Final = 1_000_000
MOST: Final = 0.99
SIGNATURE_CODES: Final = range(70001, 70015)
"""Refusals that the plan wants: of a spoilt UserSig."""


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage as the clients saw it."""

    requests: int
    wrong: int
    """Requests that went elsewhere than the server's rules say for that version of the table."""
    lost: int
    """Devices that were online at the point when it went."""
    most_online_s: float
    """From the loss until 99 % of these were online elsewhere."""
    all_online_s: float
    reconnects_per_second: int
    """In the busiest second of the storm, answered."""
    refused: int
    """Logins with a good UserSig, and resumes, that were refused."""
    repeated: int
    """Logins whose answer was lost with the connection."""


def of_run(run: Path) -> Outage:
    """Read an outage of one access point that went down and came back, with every other one whole."""
    access: dict[str, Any] = json.loads((run / "access.json").read_text(encoding="utf-8"))
    ledger = _ledger(run)
    down, up = access["changes"]
    done = ledger[ledger["code"] == 0].sort_values("answered_us", kind="stable")
    device = done["user_id"].astype(str) + "/" + done["platform"].astype(str)
    before = done["answered_us"] < down["before_us"]
    last = done[before].groupby(device[before])["access_point"].last()
    lost = last.index[last == down["code"]]
    after = ~before & (done["answered_us"] < up["before_us"]) & (done["access_point"] != down["code"])
    back_us = done[after].groupby(device[after])["answered_us"].first().reindex(lost).sort_values()
    waited_s = (back_us.to_numpy() - down["before_us"]) / US_PER_S
    storm = done["answered_us"][(done["kind"] == "reconnect").to_numpy()]
    by_second = np.bincount(((storm - down["before_us"]) // US_PER_S).clip(lower=0).to_numpy(np.int64), minlength=1)
    refused = ledger["code"].notna() & (ledger["code"] != 0) & ~ledger["code"].isin(SIGNATURE_CODES)
    return Outage(
        requests=len(ledger),
        wrong=_wrong(ledger, access),
        lost=len(lost),
        # One who never came back stands at the end, as NaN.
        most_online_s=float(waited_s[max(0, int(np.ceil(len(lost) * MOST)) - 1)]) if len(lost) else 0.0,
        all_online_s=float(waited_s[-1]) if len(lost) else 0.0,
        reconnects_per_second=int(by_second.max()),
        refused=int(refused.sum()),
        repeated=int((ledger["kind"] == "repeat").sum()),
    )


def _ledger(run: Path) -> pd.DataFrame:
    names = ["user_id", "verb", "kind", "platform", "country", "city", "access_point", "routing_version", "code"]
    tables = []
    for path in sorted((run / "ledger").iterdir()):
        with pa.ipc.open_stream(str(path)) as stream:
            tables.append(stream.read_all().select([*names, "answered_us"]))
    return pa.concat_tables(tables).unify_dictionaries().to_pandas()


def _wrong(ledger: pd.DataFrame, access: dict[str, Any]) -> int:
    data = catalogue.load()
    network = Network(data.access_points, {**data.countries, **data.cities}, LatencyTable(data.latency_model))
    choice = Choice(Policy(access["policy"]), frozenset(access["pin"]), access["hysteresis_ms"])
    keys = ["routing_version", "country", "city", "access_point"]
    went = ledger.groupby(keys, observed=True).size()
    wrong = len(ledger) - int(went.sum())
    for change in ({"version": access["start_version"]}, *access["changes"]):
        if "code" in change:
            network.set_health(change["code"], state=State(change["state"]), capacity=change["capacity"])
        for (version, country, city, code), count in went.items():
            if version == change["version"]:
                wrong += count * (network.route(choice, network.place(country, city), ANYBODY)[0].point.code != code)
    return wrong

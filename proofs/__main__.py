"""Runs the scenarios at full size and against every planted defect, and says what was proven."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from analysis import big_runs, gates, loading
from analysis.audit import audit
from analysis.verdict import Verdict, as_json
from im_load.server_process import ServerProcess
from mock_im_server.defects import DEFECTS
from proofs import kills, soak
from proofs.forging import Forgery
from proofs.mutations import MUTATIONS, type_mutation
from proofs.outage import of_run as outage_of
from proofs.redis_server import redis_server

PASSED: Final = 0
GATE_FAILED: Final = 1
RUN_SECONDS_MAX: Final = 1_200
POINTS: Final = 100
"""At which each process is killed."""

type_scenario = tuple[str, ...]
"""A scenario's name and its options."""

SMALL_MONTH: Final = ("dau_spike", "--peak-dau", "650", "--baseline-dau", "50")
SMALLER_MONTH: Final = ("dau_spike", "--peak-dau", "400", "--baseline-dau", "40")
BILLED_MONTH: Final = ("dau_spike", "--peak-dau", "12000", "--baseline-dau", "50")
ACCOUNTS: Final = ("account_cap",)
LIVE_GROUPS: Final = ("live_group_cap", "--attempts", "4000")
CALLS: Final = ("call_trial",)
WORLD: Final = ("global_access", "--dau", "1500", "--days", "1")
NEIGHBOURS: Final = (SMALL_MONTH, SMALLER_MONTH)
"""Two apps on one server, with the same UserIDs: users of both would make the smaller one's DAU more."""

SHOWN_BY: Final = {
    "amounts-rounded-daily": (CALLS,),
    "billing-day-utc": (SMALL_MONTH,),
    "cap-off-by-one": (LIVE_GROUPS,),
    "cap-raced": (ACCOUNTS,),
    "charge-day-late": (SMALL_MONTH,),
    "dau-approximate": (SMALL_MONTH,),
    "dau-of-other-app": NEIGHBOURS,
    "dau-per-device": (SMALL_MONTH,),
    "deleted-user-dropped": (ACCOUNTS,),
    "destroyed-group-counted": (LIVE_GROUPS,),
    "empty-group-free": (LIVE_GROUPS,),
    "midnight-lost": (SMALL_MONTH,),
    "refused-login-counted": (SMALL_MONTH,),
    "resume-counted": (SMALL_MONTH,),
    "second-nearest-access-point": (WORLD,),
    "whole-peak-charged": (BILLED_MONTH,),
}
"""Which scenario meets each defect; several are played at once, against one server."""
SEEDS: Final = (7, 11, 23)


@dataclass(frozen=True, slots=True)
class Played:
    """A run that has ended."""

    exit_code: int
    seconds: float
    verdict: dict[str, Any]


def played(scenario: type_scenario, *options: str) -> Played:
    """Play a scenario headless in a directory of its own, and read its verdict."""
    with tempfile.TemporaryDirectory(prefix="proof-") as runs:
        began = time.monotonic()
        done = subprocess.run(
            _command(scenario, runs, *options), capture_output=True, timeout=RUN_SECONDS_MAX, check=False
        )
        seconds = time.monotonic() - began
        verdict = Path(runs) / "latest" / "verdict.json"
        return Played(done.returncode, seconds, json.loads(verdict.read_text()) if verdict.exists() else {})


def played_together(scenarios: tuple[type_scenario, ...], *options: str, defect: str | None = None) -> list[Played]:
    """Play one scenario on a server of its own, or several at once on one server, each with an app of its own."""
    if len(scenarios) == 1:
        return [played(scenarios[0], *options, *(("--defect", defect) if defect else ()))]
    with tempfile.TemporaryDirectory(prefix="proof-") as folder, ThreadPoolExecutor(len(scenarios)) as threads:
        server = ServerProcess(Path(folder), defect=defect)
        host = ("--host", server.ready["url"], "--control-token", server.ready["control_token"])
        try:
            return list(threads.map(lambda scenario: played(scenario, *options, *host), scenarios))
        finally:
            server.stop()


def caps() -> bool:
    """1,000,000 racing creates over the gateway, four workers: none over the cap, none wrongly refused."""
    run = played(("live_group_cap", "--attempts", "1000000", "--processes", "4"))
    return said(f"1,000,000 attempts at 50 live groups, {run.seconds:.0f} s", run)


def shared() -> bool:
    """The same race at four server processes on one Redis."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder, redis_server(Path(folder)) as redis:
        servers = ("--store", redis.url, "--server-workers", "4")
        run = played(("live_group_cap", "--attempts", "1000000", "--processes", "4", *servers))
    return said(f"1,000,000 attempts at 50 live groups, 4 server processes on one Redis, {run.seconds:.0f} s", run)


def overage() -> bool:
    """250,000 groups made over REST and 150,000 destroyed: a groups line of 299.98."""
    run = played(("group_overage",))
    amounts = [line["amount_cents"] for line in run.verdict.get("lines", []) if line["item"] == "groups"]
    is_right = said(f"group overage, groups line {amounts} cents, {run.seconds:.0f} s", run)
    return is_right and amounts == [29_998]


def outage() -> bool:
    """A million users and the busiest access point lost: all routed right and counted once, and nobody refused."""
    with tempfile.TemporaryDirectory(prefix="proof-") as runs:
        run = _kept(("region_outage",), Path(runs))
        found = outage_of(run)
        verdict = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    units = [line["units"] for line in verdict["lines"] if line["item"] == "dau"]
    right = found.requests - found.wrong
    print(f"     {found.lost:,} devices online at the lost point; {found.repeated:,} logins repeated")
    print(f"     99 % online elsewhere after {found.most_online_s:.2f} s, all after {found.all_online_s:.2f} s")
    print(f"     {found.reconnects_per_second:,} reconnects in the busiest second, {found.refused:,} refused")
    text = f"{right / found.requests:.2%} routed right, DAU {verdict['peak_dau']:,}, {units[0]} units"
    is_right = (
        verdict["outcome"] == "passed"
        and not found.wrong
        and not found.refused
        and (verdict["peak_dau"], units) == (1_000_000, [99])
    )
    print(f"{'ok  ' if is_right else 'FAIL'} {text}", flush=True)
    return is_right


def said(text: str, run: Played) -> bool:
    is_right = run.exit_code == PASSED
    print(f"{'ok  ' if is_right else 'FAIL'} {text}", flush=True)
    for finding in run.verdict.get("findings", []) if not is_right else []:
        print(f"     {finding['severity']} {finding['code']}: {finding['text']}", flush=True)
    return is_right


def defects() -> bool:
    """Every planted defect is found, and the healthy server raises no alarm, over several seeds."""
    found = 0
    for name, scenarios in SHOWN_BY.items():
        runs = played_together(scenarios, defect=name)
        # The one that is wrong says so, and the others have nothing against them.
        is_found = {run.exit_code for run in runs} in ({GATE_FAILED}, {GATE_FAILED, PASSED})
        found += is_found
        texts = [one["text"] for run in runs for one in run.verdict.get("findings", []) if one["severity"] == "error"]
        print(
            f"{'ok  ' if is_found else 'FAIL'} {name}: {DEFECTS[name].summary} · {(texts or [''])[0][:90]}", flush=True
        )
    alarms = 0
    for scenarios in sorted(set(SHOWN_BY.values())):
        for seed in SEEDS:
            for scenario, run in zip(scenarios, played_together(scenarios, "--seed", str(seed)), strict=True):
                beside = " beside another app" if len(scenarios) > 1 else ""
                alarms += not said(f"healthy {scenario[0]}{beside}, seed {seed}", run)
    print(f"found {found} of {len(SHOWN_BY)} planted defects, {alarms} false alarms", flush=True)
    return found == len(SHOWN_BY) and not alarms


def mutations() -> bool:
    """A finished run that is spoilt in one place, with all sums and hashes mended, is never green, read either way."""
    killed = made = 0
    with tempfile.TemporaryDirectory(prefix="proof-") as runs:
        run = _kept(SMALL_MONTH, Path(runs))
        is_right = _outcome(run, Path(runs) / "rewritten", lambda files, _: files.bill(), 0) == "passed"
        print(f"{'ok  ' if is_right else 'FAIL'} a rewritten run that was not spoilt passes", flush=True)
        for name, mutate in MUTATIONS.items():
            outcomes = [_outcome(run, Path(runs) / "spoilt", mutate, seed) for seed in SEEDS]
            made += len(outcomes)
            noticed = sum(outcome in ("failed", "invalid") for outcome in outcomes)
            killed += noticed
            print(f"{'FAIL' if noticed < len(outcomes) else 'ok  '} {name}: {', '.join(outcomes)}", flush=True)
    print(f"killed {killed} of {made} mutations of {len(MUTATIONS)} kinds, {killed / made:.0%}", flush=True)
    return is_right and killed == made


def killed() -> bool:
    """Processes killed at chance moments: nothing acknowledged is lost, and a run that missed something is invalid."""
    return all(
        [
            _said_of_kills("the embedded server", kills.of_server),
            _said_of_kills("Redis, appendfsync always", kills.of_redis),
            _said_of_kills("one of two server processes on Redis", kills.of_workers),
            _said_of_kills("a worker of Locust", kills.of_locust, told="runs invalid", missing="runs wrong"),
        ]
    )


def _said_of_kills(
    what: str, kill: kills.type_proof, *, told: str = "logins acknowledged", missing: str = "of them lost"
) -> bool:
    began = time.monotonic()
    found = kill(POINTS, lambda text: print(f"     {what}: {text}", end="\r", flush=True))
    text = f"{what} killed {found.points} times: {found.told:,} {told}, {found.missing} {missing}"
    print(f"{'FAIL' if found.missing else 'ok  '} {text}, {time.monotonic() - began:.0f} s", flush=True)
    return not found.missing


def soaked() -> bool:
    """Minutes of everything, by the same users, at one process and at two on Redis: memory stays flat."""
    return all([_said_of_soak("embedded", soak.of_server), _said_of_soak("two processes on Redis", soak.of_workers)])


def _said_of_soak(what: str, play: Callable[[kills.type_say], soak.Soaked]) -> bool:
    found = play(lambda text: print(f"     {what}: {text}", end="\r", flush=True))
    for kept in found.processes:
        sizes = f"{kept.half_bytes / 2**20:.1f} MiB at the half, {kept.end_bytes / 2**20:.1f} at the end"
        text = f"{what}, {kept.who}: {sizes} ({kept.growth:+.2%}), {kept.more_descriptors:+} descriptors"
        print(f"{'ok  ' if kept.is_flat else 'FAIL'} {text}", flush=True)
    text = f"{what}: {found.done.total():,} deeds, and {found.broken.total():,} that lost their connection"
    print(f"{'ok  ' if found.is_whole else 'FAIL'} {text}", flush=True)
    return found.is_whole and all(kept.is_flat for kept in found.processes)


def _command(scenario: type_scenario, runs: str, *options: str) -> list[str]:
    name, *given = scenario
    command = [sys.executable, "-m", "locust", "-f", f"locustfiles/{name}.py", "--headless", "--runs", runs]
    return [*command, *given, *options]


def _kept(scenario: type_scenario, runs: Path) -> Path:
    """Play a scenario, and leave its run where it is."""
    subprocess.run(_command(scenario, str(runs)), capture_output=True, timeout=RUN_SECONDS_MAX, check=False)
    return (runs / "latest").resolve()


def _outcome(run: Path, copy: Path, mutate: type_mutation, seed: int) -> str:
    files = Forgery.of(run)
    mutate(files, Random(seed))  # noqa: S311 -- chance that can be repeated, not secrets
    files.write(copy)
    read = big_runs.load(copy, rows_from=0)
    whole, in_parts = _judged(loading.load(copy)), _judged(read)
    shutil.rmtree(copy)
    if read.whole is None:
        return "not read in parts"
    return whole.outcome if as_json(whole) == as_json(in_parts) else "otherwise in parts"


def _judged(run: loading.Run) -> Verdict:
    audited = audit(run)
    return Verdict(audited, gates.evaluate(gates.read(gates.DEFAULT_FILE), audited))


PROOFS: Final[dict[str, Callable[[], bool]]] = {
    "caps": caps,
    "shared": shared,
    "overage": overage,
    "outage": outage,
    "defects": defects,
    "mutations": mutations,
    "kills": killed,
    "soak": soaked,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m proofs",
        description="Prove caps, kills and an outage at full size, that memory stays flat, and that the audit finds "
        "planted defects; two hours.",
        epilog="proofs: " + "; ".join(f"{name}: {proof.__doc__}" for name, proof in PROOFS.items()),
    )
    parser.add_argument("proofs", nargs="*", metavar="proof", help="only these (all)")
    chosen = parser.parse_args().proofs or list(PROOFS)
    if unknown := sorted(set(chosen) - set(PROOFS)):
        parser.exit(3, f"no such proof: {', '.join(unknown)}; there are {', '.join(PROOFS)}\n")
    return 0 if sum(not PROOFS[name]() for name in chosen) == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

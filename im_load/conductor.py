"""Conducts a run: makes the app, moves its clock, tells the workers when to play, and brings everything home.

Runs once, beside Locust's master or local runner. Whatever goes wrong becomes a problem in the manifest, and a run with
a problem is invalid: it is never reported as passed.
"""

import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
from gevent.event import Event

from analysis import run_files
from im_load import early, live_tab
from im_load.access import Access
from im_load.control import Control, Http, ServerError, nearest_points
from im_load.daily_dau import WrongInputError, month_dates
from im_load.options import RunOptions
from im_load.plans import Plan, plan_json, plan_of
from im_load.plans.arrivals import DAY_MS
from im_load.progress import INTERVAL_S, Moment, Progress
from im_load.run_directory import RunDirectory
from im_load.server_process import ServerProcess
from im_load.worker import INTERRUPTED, Assignment

INVALID: Final = 2
WRONG_USE: Final = 3

SERVER_FOLDER: Final = "server"
"""Where the embedded server keeps its data: stays with an unfinished run, so that it can be started again."""
WORKERS_TIMEOUT_S: Final = 60.0
"""For a worker to acknowledge, compute a day or hand over its ledger."""
SETTLED_S: Final = 5.0
"""Until then the time left is told by the planned pace."""
LEAD_US: Final = 5_000
"""Between the go and a day's first arrival, so that every worker has heard it."""

type_send = Callable[[str, dict[str, Any], str | None], None]


class RunBrokenError(Exception):
    """Raised when a run cannot go on; carries the code of the problem."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Conductor:
    """One run from its options to its verdict."""

    def __init__(
        self,
        options: RunOptions,
        scenario: str,
        send: type_send,
    ) -> None:
        self.exit_code = INVALID
        self.verdict_text = ""
        self._options = options
        self._scenario = scenario
        self._server: ServerProcess | None = None
        self._send = send
        self._progress = Progress()
        self._problems: list[dict[str, str]] = []
        self._ready: dict[str, list[int]] = defaultdict(list)
        """Drivers that wait for a share, by Locust's client id: their workers' indices."""
        self._workers: list[int] = []
        self._acknowledged: Counter[str] = Counter()
        self._counts: dict[int, dict[str, int]] = {}
        self._done: set[int] = set()
        self._totals: dict[int, dict[str, int]] = {}
        self._heard = Event()
        self._directory: RunDirectory | None = None
        self._control: Control | None = None
        self._access: Access | None = None
        self._sdkappid = 0
        self._journal: dict[str, Any] | None = None
        self._spike: dict[str, Any] | None = None
        self._status: dict[str, Any] = {}
        self._points: list[dict[str, Any]] = []
        self.shows_points = False
        """Whether somebody looks at the access points while the run goes on."""
        self.sources: list[str] = []
        """Addresses of this machine that its connections come from; none: the kernel's choice."""
        self._over = Event()
        self.has_begun = False
        self.is_interrupted = False
        self._is_finishing = False

    # --- what the workers say ---------------------------------------------------------------------

    def on_ready(self, client_id: str, data: Mapping[str, Any]) -> None:
        if not self._workers:  # Shares are given once: a driver that Locust spawns later, elsewhere, has none to play.
            self._ready[client_id].append(data["worker"])
            self._heard.set()

    def on_ack(self, data: Mapping[str, Any]) -> None:
        self._acknowledged[data["what"]] += 1
        self._heard.set()

    def on_progress(self, data: Mapping[str, Any]) -> None:
        self._counts[data["worker"]] = dict(data)

    def on_phase_done(self, data: Mapping[str, Any]) -> None:
        self.on_progress(data)
        self._done.add(data["worker"])
        self._heard.set()

    def on_failed(self, data: Mapping[str, Any]) -> None:
        if not self._is_finishing:
            self._problem(data["code"], data["text"])
            self._heard.set()

    def on_clients(self, alive: set[str], gone: set[str]) -> None:
        """Which of Locust's workers still send heartbeats, and which have stopped since the run began."""
        if not self._workers and gone - self._ready.keys():
            self._problem("worker_lost", "a worker is gone before its drivers were ready")
            self._heard.set()
        for client_id in self._ready.keys() - alive:
            worker = self._ready[client_id][0]
            if worker not in self._totals:
                self._problem("worker_lost", f"worker {worker} is gone, and its ledger with it")
                self._heard.set()

    def on_ledger(self, data: Mapping[str, Any]) -> None:
        if self._directory is not None:
            self._directory.ledger(data["worker"]).write(data["data"])

    def on_totals(self, data: Mapping[str, Any]) -> None:
        self._totals[data["worker"]] = dict(data)
        self._heard.set()

    def interrupt(self) -> None:
        """Ctrl-C, or Locust ended for a reason of its own: keep what there is, as an invalid run, and return then."""
        self.is_interrupted = True
        if not self._is_finishing:
            self._problem("interrupted", INTERRUPTED)
            self._heard.set()
        if not self.has_begun:
            self.has_begun = True
            self._leave_nothing()
            self._over.set()
        # The conducting greenlet sees the problem: to kill it would leave the clock's connection in mid-answer.
        self._over.wait()

    @property
    def is_finished(self) -> bool:
        return bool(self._over.is_set())

    # --- the run ----------------------------------------------------------------------------------

    def conduct(self, drivers: int) -> None:
        """Play the whole plan with this many drivers and audit it; sets `exit_code` and `verdict_text`."""
        started = datetime.now(UTC)
        began_s = time.monotonic()
        try:
            self._play(started, drivers)
        except RunBrokenError as error:
            self._problem(error.code, str(error))
        except ServerError as error:
            self._problem("server_lost", str(error))
        except Exception as error:  # noqa: BLE001 -- outermost: a run that broke in any way ends with a verdict, not with a hang
            self._problem("harness_error", f"{type(error).__name__}: {error}")
        try:
            self._finish(started, time.monotonic() - began_s)
        except OSError as error:  # A full disk, or a directory that somebody took away.
            self.exit_code, self.verdict_text = WRONG_USE, f"locust: the run cannot be written: {error}"
        finally:
            if self._access is not None and self._server is None:
                with suppress(ServerError):  # Then there is nothing left to restore.
                    self._access.restore()
            if self._control is not None:
                self._control.close()
            if self._server is not None:
                self._server.stop()
            if self._directory is not None:
                self._directory.release()
            self._over.set()

    def _play(self, started: datetime, drivers: int) -> None:
        options = self._options
        self._directory = RunDirectory(options.runs, self._scenario, options.plan.options.month, options.seed, started)
        app = self._app()
        self._sdkappid = app["sdkappid"]
        self._plan = self._plan_for(app["plan"])
        self._offset_ms = app["billing_offset_ms"]
        content = self._plan.as_json(self._scenario, options.given)
        self._arrivals = content["arrivals"]
        content["app"] = {key: app[key] for key in ("sdkappid", "plan", "price_book")}
        content["readings"] = {
            "billing_offset_ms": self._offset_ms,
            "dau": "login",
            "charge_day": app["charge_day"],
        }
        self._directory.write_json(run_files.PLAN, content)
        if self._plan.roams:
            self._access = Access(
                self._server_control, _address(self._url), self._sdkappid, self._plan, self._options.routing
            )
        self._assign(app["key"], drivers)
        self._say(
            f"{self._plan.summary()}, {drivers} driver{'s' if drivers > 1 else ''}{self._pace()} · "
            f"{self._directory.path}"
        )
        beside = [gevent.spawn(self._watch)]
        if options.gates is not None and early.may_abort(options.gates):
            beside.append(gevent.spawn(early.watch, self._directory.path, options.gates, self._on_gate_broken))
        try:
            for index in range(len(self._plan.phases)):
                self._play_phase(index)
        finally:
            gevent.killall(beside)
            self._progress.end()
        self._drain()
        self._close_month()

    def _plan_for(self, app_plan: str) -> Plan:
        """The plan, made anew where an app that exists already has another plan of the vendor's than was said."""
        planned = self._options.plan
        if planned.options.app_plan == app_plan:
            return planned
        try:
            return plan_of(replace(planned.options, app_plan=app_plan))
        except WrongInputError as error:
            raise RunBrokenError("wrong_plan", str(error)) from error

    def _pace(self) -> str:
        """How fast it will go, where that is planned."""
        if all(phase.is_at_once for phase in self._plan.phases):
            return ""
        rate = self._options.rate
        return f" at {rate:,.0f}/s, about {self._arrivals / rate:,.0f} s"

    def _app(self) -> dict[str, Any]:
        options = self._options
        start = options.plan.first_day.isoformat()
        if options.host is None:
            assert self._directory is not None, "the embedded server keeps its data in the run's directory"
            folder = self._directory.path / SERVER_FOLDER
            self._server = ServerProcess(
                folder, defect=options.defect, store=options.store, workers=options.server_workers
            )
            ready = self._server.ready
            self._url, self._gateway_url = ready["url"], ready["gateway_url"]
            self._control = Control(ready["control_url"], ready["control_token"])
        else:
            self._url = options.host
            self._gateway_url = options.host.replace("http", "ws", 1)
            self._control = Control(options.control_url, options.control_token)
        if options.sdkappid:
            return _usable_app(self._control, self._url, options)
        wish = {"plan": options.app_plan, "start": start}
        if options.price_book is not None:
            wish["price_book"] = options.price_book
        return self._control.make_app(wish)

    @property
    def _server_control(self) -> Control:
        assert self._control is not None, "the app is made before its clock is moved"
        return self._control

    def _assign(self, key: str, drivers: int) -> None:
        """Give every driver its share of the plan."""
        self._wait(
            lambda: sum(map(len, self._ready.values())) >= drivers,
            WORKERS_TIMEOUT_S,
            "the drivers",
        )
        self._workers = sorted({worker for workers in self._ready.values() for worker in workers})
        points: list[str] = []
        version: int | None = None
        if self._access is None:
            points, version = nearest_points(self._url, self._sdkappid, self._plan.world.countries)
        zero_ns = time.monotonic_ns()
        assert self._control is not None, "the app was made through it"
        common = {
            "plan": plan_json(self._plan),
            "sdkappid": self._sdkappid,
            "key": key,
            "gateway_url": self._gateway_url,
            "rest_address": _address(self._url),
            "control_address": _address(self._control.url),
            "control_prefix": urlsplit(self._control.url).path.rstrip("/"),
            "control_token": self._control.token,
            "access_points": points,
            "routing_version": version,
            "probes": [] if self._access is None else self._access.probes,
            "back_off_s": self._options.routing.back_off_s,
            "first_rows": self._plan.first_rows(),
            "month_start_ms": self._day_start_ms(0),
            "rate": self._options.rate,
            "connections": self._options.connections,
            "sources": self.sources,
            "zero_ns": zero_ns,
            "drivers": drivers,
        }
        first = 0
        for client_id in sorted(self._ready):
            count = len(self._ready[client_id])
            shares = list(range(first, first + count))
            first += count
            assignment = Assignment(**common, shares=shares)
            self._send("im_assign", asdict(assignment), client_id)
        self._zero_ns = zero_ns
        self._await_acknowledged("assign")

    def _play_phase(self, index: int) -> None:
        phase = self._plan.phases[index]
        day_start_ms = self._day_start_ms(phase.day)
        start_ms = day_start_ms + phase.from_ms
        self._done.clear()
        self._tell("im_phase", {"index": index})
        self._await_acknowledged("phase")
        self._server_control.move_clock(self._sdkappid, start_ms)
        zero_us = self._now_us() + LEAD_US
        began_us = zero_us
        self._tell("im_go", {"index": index, "zero_us": zero_us, "app_ms": start_ms})
        self._await_acknowledged("ceiling")
        self._change_access(phase.day, phase.from_ms)
        times = phase.make().times_ms
        for step, step_ms in enumerate(phase.steps_ms()[1:], start=1):
            if not phase.is_at_once:
                first = int(times.searchsorted(step_ms))
                self._sleep_until(zero_us + int(first * 1e6 / self._options.rate))
            app_ms = day_start_ms + step_ms
            # In this order, so that no worker can know less than the server's clock allows.
            self._tell("im_ceiling", {"app_ms": app_ms})
            self._await_acknowledged("ceiling")
            self._server_control.move_clock(self._sdkappid, app_ms)
            self._tell("im_floor", {"step": step, "app_ms": app_ms})
            self._change_access(phase.day, step_ms)
        # The barrier: all that is planned is answered before the clock moves on.
        self._wait(lambda: len(self._done) == len(self._workers), None, "a phase's answers")
        self._note_spike(index, (self._now_us() - began_us) / 1e6)

    def _change_access(self, day: int, at_ms: int) -> None:
        """What the plan does to access points at this moment."""
        if self._access is None:
            return
        for change in self._plan.trouble:
            if (change.day, change.at_ms) == (day, at_ms):
                version = self._access.change(change, self._day_start_ms(day) + at_ms, self._now_us)
                self._tell("im_routing", {"version": version})

    def _drain(self) -> None:
        self._tell("im_drain", {})
        self._wait(
            lambda: len(self._totals) == len(self._workers),
            WORKERS_TIMEOUT_S,
            "the workers' ledgers",
        )

    def _close_month(self) -> None:
        """Past the month's end to the charge, then fetch what the server has to say."""
        assert self._directory is not None, "a run that played has a directory"
        days = len(month_dates(self._plan.options.month))
        after_ms = max(self._day_start_ms(days), self._day_start_ms(self._plan.last_day + 1))
        self._server_control.move_clock(self._sdkappid, after_ms)
        charge_day = self._server_control.status(self._sdkappid)["charge_day"]
        charged_ms = self._day_start_ms(days + charge_day - 1)
        if charged_ms > after_ms:
            self._server_control.move_clock(self._sdkappid, charged_ms)
        statement = self._server_control.statement(self._sdkappid, self._plan.options.month)
        self._directory.write_json(run_files.STATEMENT, statement)
        folder = self._directory.path / run_files.JOURNAL_FOLDER
        self._journal = self._server_control.save_journal(self._sdkappid, folder)

    def _finish(self, started: datetime, duration_s: float) -> None:
        """Write the manifest, audit, and keep the verdict for the end of Locust's own output."""
        self._is_finishing = True
        self._progress.end()
        if self._problems:
            self._tell("im_abort", {})
            self._collect_after_abort()
        if self._directory is None or not self._workers:
            self._leave_nothing()
        else:
            self._keep(self._directory, started, duration_s)

    def _leave_nothing(self) -> None:
        """Nothing was played, and no directory is left: wrong use, unless it was interrupted or lost a worker."""
        if self._server is not None:
            self._server.stop()  # It writes into the directory.
        if self._directory is not None:
            self._directory.close_ledgers()
            shutil.rmtree(self._directory.path, ignore_errors=True)
        is_accident = self._problems[0]["code"] in {"interrupted", "worker_lost"}
        self.exit_code = INVALID if is_accident else WRONG_USE
        # The first is the cause; workers that are gone now are its consequence.
        self.verdict_text = f"locust: {self._problems[0]['text']}"

    def _keep(self, directory: RunDirectory, started: datetime, duration_s: float) -> None:
        directory.close_ledgers()
        if self._access is not None:
            directory.write_json(run_files.ACCESS, self._access.as_json())
        directory.write_json(run_files.MANIFEST, self._manifest(started, duration_s))
        if self._server is not None:
            self._server.stop()
        if not self._problems:
            shutil.rmtree(directory.path / SERVER_FOLDER, ignore_errors=True)
            directory.complete()
        self.exit_code, self.verdict_text = self._audit(directory.path)
        if (directory.path / run_files.VERDICT).is_file():
            directory.link_latest()

    def _collect_after_abort(self) -> None:
        """What the workers still have is worth keeping: an invalid run is looked into."""
        deadline_s = time.monotonic() + WORKERS_TIMEOUT_S / 6
        self._tell("im_drain", {})
        lost = sum(problem["code"] == "worker_lost" for problem in self._problems)
        while len(self._totals) < len(self._workers) - lost and time.monotonic() < deadline_s:
            self._heard.wait(0.1)
            self._heard.clear()
        if self._directory is not None and self._control is not None and self._workers:
            try:
                folder = self._directory.path / run_files.JOURNAL_FOLDER
                # Its own connection: the other may have been left in mid-answer.
                self._journal = self._control.another().save_journal(self._sdkappid, folder)
            except ServerError:
                pass  # The server is what was lost; the problem says so already.

    def _manifest(self, started: datetime, duration_s: float) -> dict[str, Any]:
        assert self._directory is not None, "a manifest is written into a directory"
        workers = []
        for worker in self._workers:
            ledger = self._directory.ledger(worker)
            workers.append(
                {
                    "index": worker,
                    "file": ledger.name,
                    **{
                        key: self._totals.get(worker, {}).get(key, 0)
                        for key in ("rows", "issued", "answered", "reconnects")
                    },
                    "bytes": ledger.bytes,
                    "blake2b": ledger.digest(),
                }
            )
        manifest = {
            "format": run_files.FORMAT,
            "id": self._directory.id,
            "complete": not self._problems,
            "started_at": started.isoformat(timespec="seconds"),
            "duration_s": round(duration_s, 3),
            "workers_expected": len(self._workers),
            "workers": workers,
            "locust": self.locust_totals() if self.locust_totals else None,
            "server": {"kind": "embedded" if self._server else "external"},
            "spike": self._spike,
            "problems": self._problems,
        }
        if self._journal is not None:
            files = [f"{run_files.JOURNAL_FOLDER}/{name}" for name in self._journal["files"]]
            manifest["journal"] = {**self._journal, "files": files}
        return manifest

    locust_totals: Callable[[], dict[str, int]] | None = None
    """Set by the scenario: requests and failures as Locust counts them."""

    def _audit(self, path: Path) -> tuple[int, str]:
        # A process of its own: pandas must not be imported under gevent's patches, and a crash there is not a verdict.
        command = [sys.executable, "-m", "analysis", "audit", str(path)]
        if self._options.gates is not None:
            command += ["--gates", str(self._options.gates)]
        self._say("auditing …")
        # A session of its own: Ctrl-C reaches the whole foreground group, and all that is left to do is to judge.
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)  # noqa: S603 -- our own interpreter and module
        text = "\n".join(said for said in (done.stdout.rstrip(), done.stderr.rstrip()) if said)
        if 0 <= done.returncode <= WRONG_USE:
            return done.returncode, text
        again = f"the audit broke off; repeat it: python -m analysis audit {path}"
        return WRONG_USE, f"{text}\nlocust: {again}".lstrip()

    # --- parts ------------------------------------------------------------------------------------

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        for client_id in list(self._ready):
            self._send(name, data, client_id)

    def _await_acknowledged(self, what: str) -> None:
        expected = len(self._ready)
        self._wait(lambda: self._acknowledged[what] >= expected, WORKERS_TIMEOUT_S, "the workers")
        self._acknowledged[what] = 0

    def _wait(self, is_done: Callable[[], bool], timeout_s: float | None, whom: str) -> None:
        began_s = time.monotonic()
        while not is_done():
            self._check_problems()
            if timeout_s is not None and time.monotonic() - began_s > timeout_s:
                raise RunBrokenError("no_answer", f"waited {timeout_s:.0f} s for {whom}")
            self._heard.wait(0.2)
            self._heard.clear()
        self._check_problems()

    def _check_problems(self) -> None:
        if self._problems:
            raise RunBrokenError(self._problems[0]["code"], self._problems[0]["text"])

    def _problem(self, code: str, text: str) -> None:
        problem = {"code": code, "text": text}
        if problem not in self._problems:
            self._problems.append(problem)

    def _sleep_until(self, at_us: int) -> None:
        while (left_us := at_us - self._now_us()) > 0:
            self._check_problems()
            gevent.sleep(min(left_us / 1e6, 0.2))

    def _now_us(self) -> int:
        return (time.monotonic_ns() - self._zero_ns) // 1_000

    def _day_start_ms(self, index: int) -> int:
        days = self._plan.first_day.toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
        start_ms: int = (days + index) * DAY_MS - self._offset_ms
        return start_ms

    def _note_spike(self, index: int, duration_s: float) -> None:
        """The busiest day of a plan of logins; of others there is none."""
        phase = self._plan.phases[index]
        logins = phase.size
        if self._plan.asks_for == "logins" and (self._spike is None or logins > self._spike["logins"]):
            self._spike = {
                "day": (self._plan.first_day + timedelta(days=phase.day)).isoformat(),
                "logins": logins,
                "duration_s": round(duration_s, 3),
            }

    def _watch(self) -> None:
        """Show progress; its own connection, so that a slow status never delays the clock."""
        began_s = time.monotonic()
        with closing(self._server_control.another()) as control:
            while True:
                gevent.sleep(INTERVAL_S)
                try:
                    status = control.status(self._sdkappid)
                except ServerError:
                    return  # The conductor notices by itself.
                self._status = status
                if self.shows_points:
                    self._points = control.access_points()["points"]
                answered = self._answered_so_far()
                now_s = time.monotonic()
                # As fast as so far: a race has no planned pace, and a planned one may not be reached. Not from the
                # start: short days take their time in clock moves, not in requests.
                is_settled = answered and now_s - began_s > SETTLED_S
                rate = answered / (now_s - began_s) if is_settled else self._options.rate
                self._progress.show(
                    Moment(
                        at_s=now_s,
                        day=status["day"],
                        answered=answered,
                        arrivals=self._arrivals,
                        asks_for=self._plan.asks_for,
                        watched=self._watched(status),
                        bill_cents=status["total_cents"],
                        currency=status["currency"],
                        left_s=(self._arrivals - answered) / rate,
                    )
                )

    def _answered_so_far(self) -> int:
        return sum(counts["answered"] for counts in self._counts.values())

    def live_figures(self) -> list[dict[str, str]]:
        """Rows of the web UI's table of figures; none before the run has begun."""
        if not self._status:
            return []
        return live_tab.figures_of(self._status, self._plan.quotas(), self._answered_so_far(), self._arrivals)

    def live_points(self) -> list[dict[str, str]]:
        """Rows of its table of access points."""
        return live_tab.points_of(self._points)

    def _on_gate_broken(self, text: str) -> None:
        self._problem("gate_broken", f"ended early: {text}")
        self._heard.set()

    def _watched(self, status: Mapping[str, Any]) -> str:
        if self._plan.watched is None:
            return ""
        name, words = self._plan.watched
        return f"{words} {status[name]:,}"

    def _say(self, text: str) -> None:
        self._progress.say(text)


def check_gates(path: Path) -> None:
    """That a gate file can be used: seen before the run is played, not after. Raises WrongInputError with one line."""
    command = [sys.executable, "-m", "analysis", "gates", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own interpreter and module
    if done.returncode:
        raise WrongInputError(f"--gates {done.stderr.strip().removeprefix('python -m analysis: ')}")


def check_host(options: RunOptions) -> dict[str, Any] | None:
    """That a given server answers and can be driven; returns the app that is to be used. Raises ServerError."""
    assert options.host is not None, "only a given host is checked"
    status, _ = Http(options.host).request("GET", "/v4/openim/none")
    if status != 200:  # noqa: PLR2004 -- the vendor's API answers 200 to everything
        raise ServerError(f"{options.host} is no IM server: /v4 answered HTTP {status}")
    if not options.control_token:
        message = (
            f"{options.host}: a month cannot be played on a server whose clock cannot be set; "
            "give the mock's token with --control-token (it stands in its ready line)"
        )
        raise ServerError(message)
    control = Control(options.control_url, options.control_token)
    control.version()
    if options.sdkappid:
        if not options.key:
            raise ServerError("--sdkappid needs --key, to sign in its users")
        return _usable_app(control, options.host, options)
    return None


def _usable_app(control: Control, url: str, options: RunOptions) -> dict[str, Any]:
    """An app that exists already: its key has to sign, and its clock must not be past the month's beginning."""
    status = control.status(options.sdkappid)
    check_key(url, options.sdkappid, options.key)
    month = options.plan.options.month
    if status["logins"] or status["month"] > month or status["statements"]:
        message = (
            f"app {options.sdkappid} has been used already (clock in {status['month']}, {status['logins']} logins); "
            "reset it, or leave --sdkappid out and get a fresh one"
        )
        raise ServerError(message)
    return {**status, "key": options.key}


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


def check_key(url: str, sdkappid: int, key: str) -> None:
    """Raises ServerError when the app does not take UserSigs of this key."""
    from mock_im_server.wire import usersig  # noqa: PLC0415 -- only a given app needs a signer here

    now_s = int(time.time())
    signature = usersig.sign(usersig.mac_of(key), sdkappid, "administrator", now_s - 60, 3_600)
    path = f"/v4/openim/none?sdkappid={sdkappid}&identifier=administrator&usersig={signature}"
    answer = Http(url).json("GET", path)
    code = answer.get("ErrorCode")
    if code != 60009:  # noqa: PLR2004 -- the key holds: what is refused is the made-up command
        raise ServerError(f"--key does not sign for SDKAppID {sdkappid}: {code} {answer.get('ErrorInfo')}")

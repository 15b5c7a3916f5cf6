"""Puts a scenario into Locust: options, events, messages, exit codes. With `driver`, all that knows Locust."""

import gc
import logging
import os
import signal
import socket
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import gevent
import psutil
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from im_load import dry_run, live_tab, machine
from im_load import options as checking
from im_load.conductor import INVALID, WRONG_USE, Conductor, check_gates, check_host
from im_load.control import ServerError
from im_load.daily_dau import WrongInputError
from im_load.sockets import sources_max
from im_load.worker import Worker, assignment_from

REPORT_INTERVAL_S: Final = 0.5
SPAWN_PER_SECOND: Final = 100
GC_YOUNG_OBJECTS: Final = 200_000
_NO_PATCHES: Final = "LOCUST_SKIP_MONKEY_PATCH"
ENDING_S: Final = 2.0
"""For an interrupted Locust to end by itself."""
EMBEDDED: Final = "//127.0.0.1"
"""Where the embedded server listens."""
DRAIN_TIMEOUT_S: Final = 15.0
"""How long a worker that was told to end waits for the conductor to drain it."""

type_add_options = Callable[[LocustArgumentParser], None]


class Scenario:
    """One scenario in one Locust process: the conductor, a worker, or both."""

    def __init__(
        self,
        name: str,
        add_options: type_add_options,
        planned: checking.type_planned,
        *,
        app_plans: Sequence[str] = ("pro", "trial", "ultimate"),
    ) -> None:
        """`app_plans` are the vendor's plans under which it can be played, the default first."""
        self._name = name
        self._add_options = add_options
        self._planned = planned
        self._app_plans = app_plans
        self._conductor: Conductor | None = None
        self._options: checking.RunOptions | None = None
        self._dry_run: dry_run.DryRun | None = None
        self._environment: Environment | None = None
        self.worker: Worker | None = None

    def register(self) -> "Scenario":
        events.init_command_line_parser.add_listener(self._on_parser)
        events.init.add_listener(self._on_init)
        events.test_start.add_listener(self._on_test_start)
        events.spawning_complete.add_listener(self._on_spawning_complete)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.quit.add_listener(self._on_quit)
        return self

    def _on_parser(self, parser: LocustArgumentParser, **_: Any) -> None:
        self._add_options(parser)
        add_common_options(parser, self._app_plans)
        # argparse exits with 2, which here means an invalid run.
        parser.error = lambda message: _exit_with(f"{message} (see --help)")  # type: ignore[method-assign]
        # A count that Locust cannot use ends it with 1, which here means a failed run.
        parser._option_string_actions["--processes"].type = _processes  # noqa: SLF001 -- argparse has no public way
        # Locust's table of every two seconds would run over the progress line; the summary at the end stays.
        parser.set_defaults(only_summary=True)
        if os.environ.get("LOCUST_PROCESSES") or any(word.startswith("--processes") for word in sys.argv):
            # Master and workers of one machine are forked with these: two runs side by side do not meet on port 5557.
            port = _free_port()
            parser.set_defaults(master_port=port, master_bind_port=port)
        sys.excepthook = _on_error

    def _on_init(self, environment: Environment, runner: Any, **_: Any) -> None:
        self._environment = environment
        environment.im_scenario = self  # type: ignore[attr-defined]  # how a driver finds its worker
        parsed = environment.parsed_options
        assert parsed is not None, "Locust has parsed its options by now"
        if isinstance(runner, WorkerRunner):
            # Locust lets every worker print its own, empty list where the master's JSON belongs.
            parsed.json, parsed.json_file = False, None
            if parsed.processes:
                gevent.spawn(_end_with_parent, os.getppid())
        else:
            if isinstance(runner, MasterRunner) and os.environ.get(_NO_PATCHES):
                # Locust would sleep where its workers could be heard, for ever and deaf to Ctrl-C.
                _exit_with(f"{_NO_PATCHES}: with workers of their own it has to be unset")
            self._prepare(parsed)
            self._listen_as_conductor(environment)
            if environment.web_ui is not None:
                live_tab.attach(
                    environment.web_ui, self._live(Conductor.live_figures), self._live(Conductor.live_points)
                )
        if not isinstance(runner, MasterRunner):
            self._listen_as_worker(environment)
        # Listeners of this event run last come first: a worker must not be signed off before it has left in order.
        environment.events.quitting.add_listener(self._on_quitting)
        gevent.signal_handler(signal.SIGINT, self._on_ctrl_c)

    def _on_ctrl_c(self) -> None:
        """Ctrl-C reaches every process of a run: the conductor brings home what there is, its workers wait for that."""
        environment = self._environment
        assert environment is not None, "signals are handled from init on"
        runner = environment.runner
        assert runner is not None, "signals are handled from init on"
        if isinstance(runner, WorkerRunner):
            self._leave()
            runner.quit()
            return
        # A second Ctrl-C ends the process the hard way.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._conductor is None and environment.web_ui is None:
            # A master that still waits for its workers does not look at its runner's state.
            _exit_with("stopped before the run began", INVALID)
        self._interrupt()
        runner.quit()
        if environment.web_ui is not None:
            environment.web_ui.stop()

    def _interrupt(self) -> None:
        """Whatever ends Locust ends the run first: while runners and workers still answer."""
        environment, conductor = self._environment, self._conductor
        if environment is None or isinstance(environment.runner, WorkerRunner):
            return
        if conductor is not None and not conductor.is_finished:
            conductor.interrupt()
            environment.process_exit_code = conductor.exit_code

    def _leave(self) -> None:
        if self.worker is not None:
            self.worker.leave(DRAIN_TIMEOUT_S)

    def _live(self, rows: Callable[[Conductor], list[live_tab.type_row]]) -> Callable[[], list[live_tab.type_row]]:
        """Rows of the run that is going on, or was last."""
        return lambda: [] if self._conductor is None else rows(self._conductor)

    def _prepare(self, parsed: Namespace) -> None:
        try:
            self._options = checking.checked(parsed, self._planned)
            if self._options.gates:
                check_gates(self._options.gates)
            app = check_host(self._options) if self._options.host else None
            parsed.num_users = max(parsed.num_users or 1, parsed.expect_workers or 1)
            parsed.spawn_rate = parsed.spawn_rate or SPAWN_PER_SECOND
            self._dry_run = self._looked_at(self._options, parsed, app)
            if parsed.dry_run:
                _show(self._dry_run)
            # In the web UI it may still become another run.
            if parsed.headless and not parsed.try_anyway:
                self._dry_run.check()
        except (WrongInputError, ServerError) as error:
            _exit_with(str(error))

    def _looked_at(
        self, options: checking.RunOptions, parsed: Namespace, app: Mapping[str, Any] | None = None
    ) -> dry_run.DryRun:
        """The run on this machine. Raises WrongInputError."""
        workers = parsed.expect_workers if parsed.master or parsed.processes else 1
        host = urlsplit(options.host or EMBEDDED).hostname or ""
        found = machine.here(options.runs, sources_max(host))
        return dry_run.of(self._name, options, found, workers=max(1, workers), drivers=parsed.num_users, app=app)

    def _listen_as_conductor(self, environment: Environment) -> None:
        runner = environment.runner
        assert runner is not None, "init comes after the runner"

        def heard(name: str, handle: Callable[[Conductor, Any], None]) -> None:
            def listener(environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ARG001 -- Locust's signature
                if self._conductor is not None:
                    handle(self._conductor, msg)

            runner.register_message(name, listener)

        heard("im_ready", lambda c, msg: c.on_ready(msg.node_id, msg.data))
        heard("im_ack", lambda c, msg: c.on_ack(msg.data))
        heard("im_progress", lambda c, msg: c.on_progress(msg.data))
        heard("im_phase_done", lambda c, msg: c.on_phase_done(msg.data))
        heard("im_failed", lambda c, msg: c.on_failed(msg.data))
        heard("im_ledger", lambda c, msg: c.on_ledger(msg.data))
        heard("im_totals", lambda c, msg: c.on_totals(msg.data))

    def _listen_as_worker(self, environment: Environment) -> None:
        runner = environment.runner
        assert runner is not None, "init comes after the runner"

        def heard(name: str, handle: Callable[[Worker, Any], None]) -> None:
            def listener(environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ARG001 -- Locust's signature
                if self.worker is not None:
                    handle(self.worker, msg.data)

            runner.register_message(name, listener)

        heard("im_assign", lambda w, data: w.assign(assignment_from(data)))
        heard("im_phase", lambda w, data: w.prepare_phase(data["index"]))
        heard("im_go", lambda w, data: w.begin_phase(data["index"], data["zero_us"], data["app_ms"]))
        heard("im_ceiling", lambda w, data: w.raise_ceiling(data["app_ms"]))
        heard("im_floor", lambda w, data: w.raise_floor(data["step"], data["app_ms"]))
        heard("im_routing", lambda w, data: w.know_routing(data["version"]))
        heard("im_drain", lambda w, _: _drain(w, runner))
        heard("im_abort", lambda w, _: w.abort())

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        runner = environment.runner
        if not isinstance(runner, WorkerRunner):
            self._start_conductor(environment)
        if not isinstance(runner, MasterRunner):
            self._start_worker(environment)

    def _start_conductor(self, environment: Environment) -> None:
        """Each start, also from the web UI, is a run of its own."""
        self._conductor = None
        try:
            if environment.web_ui is not None:
                self._prepare_again(environment.parsed_options)
        except WrongInputError as error:
            logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 -- one line, no traceback
            environment.process_exit_code = WRONG_USE
            gevent.spawn(_end, environment)
            return
        assert self._options is not None, "a run starts after it has been prepared"
        assert self._dry_run is not None, "as above"
        self._conductor = Conductor(self._options, self._name, _sender(environment))
        self._conductor.sources = self._dry_run.sources
        self._conductor.shows_points = environment.web_ui is not None
        total = environment.stats.total
        self._conductor.locust_totals = lambda: {
            "requests": total.num_requests,
            "failures": total.num_failures,
        }

    def _prepare_again(self, parsed: Any) -> None:
        """The web UI may have changed options since the command line. Raises WrongInputError."""
        self._options = checking.checked(parsed, self._planned)
        self._dry_run = self._looked_at(self._options, parsed)
        if not parsed.try_anyway:
            self._dry_run.check()

    def _start_worker(self, environment: Environment) -> None:
        runner = environment.runner
        assert isinstance(runner, LocalRunner | WorkerRunner), "a worker plays in a local or worker runner"
        # A driver makes many small objects that reference counts free; see the server's `__main__` for what this buys.
        gc.freeze()
        gc.set_threshold(GC_YOUNG_OBJECTS, 20, 20)
        fire = environment.events.request.fire

        def sample(door: str, name: str, service_ms: float, size: int, error: str | None) -> None:
            fire(
                request_type=door,
                name=name,
                response_time=service_ms,
                response_length=size,
                exception=None if error is None else ConnectionError(error),
                context={},
            )

        self.worker = worker = Worker(runner.worker_index, runner.send_message, sample)

        def report() -> None:
            while self.worker is worker:
                gevent.sleep(REPORT_INTERVAL_S)
                worker.report()

        gevent.spawn(report)

    def _on_spawning_complete(self, user_count: int, **_: Any) -> None:
        environment = self._environment
        if environment is None or isinstance(environment.runner, WorkerRunner):
            return
        if self._conductor is not None and not self._conductor.has_begun:
            self._conductor.has_begun = True
            gevent.spawn(self._conduct, self._conductor, user_count, environment)

    def _conduct(self, conductor: Conductor, drivers: int, environment: Environment) -> None:
        watcher = gevent.spawn(_watch_workers, environment, conductor)
        try:
            conductor.conduct(drivers)
        finally:
            watcher.kill()
            environment.process_exit_code = conductor.exit_code
            if environment.web_ui is not None:
                _tell_web_ui(conductor)
            # Tables of nothing would hide the one line that says why.
            logging.getLogger("locust.stats_logger").disabled = not environment.stats.total.num_requests
            if not conductor.is_interrupted:
                _end(environment)
            elif environment.web_ui is None:
                # Who interrupted it goes on ending Locust, unless it was Locust: when its last worker falls silent, it
                # stops the test, and waits for ever for nothing.
                gevent.spawn_later(ENDING_S, _end, environment)

    def _on_test_stopping(self, **_: Any) -> None:
        """Stop in the web UI, or --run-time."""
        self._interrupt()

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        if isinstance(environment.runner, WorkerRunner):
            self._leave()
            return
        self._interrupt()
        if environment.process_exit_code is None:
            environment.process_exit_code = INVALID if environment.web_ui is None else 0

    def _on_quit(self, **_: Any) -> None:
        """The very last word, after Locust's own summary."""
        environment = self._environment
        if environment is None or isinstance(environment.runner, WorkerRunner):
            return
        if self._conductor is not None and environment.web_ui is None:
            # With --json, standard output is Locust's JSON and nothing else.
            is_json = environment.parsed_options is not None and environment.parsed_options.json
            print(self._conductor.verdict_text, file=sys.stderr if is_json else sys.stdout, flush=True)


def add_month_option(parser: LocustArgumentParser) -> None:
    parser.add_argument("--month", default=checking.DEFAULT_MONTH, help=f"billing month ({checking.DEFAULT_MONTH})")


def add_connections_option(parser: LocustArgumentParser) -> None:
    parser.add_argument(
        "--connections",
        type=str,
        default="shared",
        choices=checking.CONNECTIONS,
        help="shared: one trunk to each access point carries many sessions; per-user: one for each login (shared)",
    )


def add_routing_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--policy",
        type=str,
        default=checking.POLICIES[0],
        choices=checking.POLICIES,
        help=f"how the app's users are routed ({checking.POLICIES[0]})",
    )
    add("--pin", type=str, default="", help="the only access points that may serve the app: sg,jp (all)")
    add("--back-off", type=str, default="1", help="a lost user reconnects within so many seconds, then twice these (1)")


def add_rate_option(parser: LocustArgumentParser, default: float, what: str) -> None:
    parser.add_argument(
        "--rate",
        type=str,
        default=str(int(default)),
        help=f"planned {what} a second, of all workers together ({int(default)})",
    )


def add_common_options(parser: LocustArgumentParser, app_plans: Sequence[str]) -> None:
    """What every scenario takes."""
    add = parser.add_argument
    add("--seed", type=str, default="7", help="the plan's seed; the same seed gives the same plan (7)")
    add("--plan", type=str, default=app_plans[0], choices=app_plans, help=f"the app's plan ({app_plans[0]})")
    add("--price-book", type=str, default="", help="the app's price list by name, like 2021-08 (the server's default)")
    add("--runs", type=str, default="runs", help="where run directories are made (runs)")
    add("--gates", type=str, default="", help="a gate file (TOML); default: the exact and validity gates")
    add("--defect", type=str, default="", help="start the embedded server with a planted defect")
    add(
        "--store",
        type=str,
        default="",
        metavar="URL",
        help="where the embedded server keeps its counts: redis://HOST:PORT/DB (its memory)",
    )
    add("--server-workers", type=str, default="1", help="processes of the embedded server; needs --store (1)")
    add("--control-url", type=str, default="", help="control API of --host (default: HOST/control/v1)")
    add(
        "--control-token",
        type=str,
        default="",
        is_secret=True,
        env_var="IM_CONTROL_TOKEN",
        help="token of the control API of --host",
    )
    add("--sdkappid", type=str, default="", help="an app of --host, not used yet (default: a fresh one)")
    add("--key", type=str, default="", is_secret=True, env_var="IM_APP_KEY", help="that app's key")
    add(
        "--dry-run",
        action="store_true",
        default=False,
        include_in_web_ui=False,
        help="tell what the run would do, cost and need, and whether this machine can carry it; start nothing",
    )
    add(
        "--try-anyway",
        action="store_true",
        default=False,
        include_in_web_ui=False,
        help="play what this machine, by all that is known of it, cannot carry",
    )
    add(
        "--real-host-costs-money",
        action="store_true",
        default=False,
        include_in_web_ui=False,
        help="allow a --host of the vendor's real service, where every login is billed",
    )


def _tell_web_ui(conductor: Conductor) -> None:
    """Locust shows its log on a tab of the page, and the terminal has it too."""
    level = logging.ERROR if conductor.exit_code else logging.INFO
    for line in conductor.verdict_text.splitlines():
        logging.getLogger(__name__).log(level, "%s", line)


def _sender(environment: Environment) -> Callable[[str, dict[str, Any], str | None], None]:
    runner = environment.runner
    assert runner is not None, "a test runs in a runner"
    return runner.send_message


def _drain(worker: Worker, runner: Any) -> None:
    """Samples first, totals last: on one channel, so that the conductor has all of Locust's samples with the totals.

    Locust itself sends samples every three seconds and drops the last ones when a run ends sooner.
    """
    worker.abort()
    if isinstance(runner, WorkerRunner):
        runner._send_stats()  # noqa: SLF001 -- Locust has no public way to report now
    worker.drain()


def _watch_workers(environment: Environment, conductor: Conductor) -> None:
    """Locust notes a worker that stopped sending heartbeats, and goes on without it; a run here does not."""
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    lost_before = {client.id for client in runner.clients.missing}
    while True:
        gevent.sleep(REPORT_INTERVAL_S)
        missing = {client.id for client in runner.clients.missing}
        conductor.on_clients({client.id for client in runner.clients.all} - missing, missing - lost_before)


def _end_with_parent(parent: int) -> None:
    """Workers that Locust forked end with their parent; Locust by itself lets them play on for a minute."""
    while os.getppid() == parent:
        gevent.sleep(REPORT_INTERVAL_S)
    os._exit(INVALID)


def _processes(text: str) -> int:
    count = int(text) if text.lstrip("-").isdecimal() else -2
    if count < -1:
        raise ArgumentTypeError(f"{text!r} is no number of workers; -1 takes one a core")
    return count


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Locust has no words for a port that is taken, nor for Ctrl-C while it starts."""
    if isinstance(error, KeyboardInterrupt):
        _exit_with("stopped before the run began", INVALID)
    if isinstance(error, RPCError):
        _exit_with(f"--master-bind-port: {error}")
    sys.__excepthook__(kind, error, trace)


def _end(environment: Environment) -> None:
    runner = environment.runner
    assert runner is not None, "a test runs in a runner"
    if environment.web_ui is None:
        runner.quit()
    else:
        runner.stop()


def _show(looked_at: dry_run.DryRun) -> NoReturn:
    print(looked_at.text(), flush=True)
    if looked_at.lacks:
        _exit_with("\n  ".join(["this machine cannot carry it", *looked_at.lacks]))
    print("this machine can carry it; nothing was started", flush=True)
    _exit(0)


def _exit_with(text: str, code: int = WRONG_USE) -> NoReturn:
    print(f"locust: {text}", file=sys.stderr, flush=True)
    _exit(code)


def _exit(code: int) -> NoReturn:
    # Workers of --processes still wait for a master that will never answer; Locust would wait a minute for them.
    for child in psutil.Process().children():
        child.kill()
    sys.exit(code)

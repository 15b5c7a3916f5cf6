"""What a server is started with: the command line, and the environment for what should not stand there."""

import argparse
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mock_im_server import VERSION
from mock_im_server.defects import DEFECTS, HEALTHY
from mock_im_server.domain.apps import BY_OPENING_DAY, INTL, AppSettings
from mock_im_server.domain.calendar import BillingCalendar, day_of

DEFAULT_PORT: Final = 18080
DEMO_APP: Final = AppSettings(
    sdkappid=1_400_000_001,
    plan="pro",
    key="demo-key-of-a-local-mock-server-and-of-nothing-else",
)
KEY_VARIABLE: Final = "IM_APP_KEY"
TOKEN_VARIABLE: Final = "IM_CONTROL_TOKEN"  # noqa: S105 -- the name of a variable
MEMORY: Final = "memory"
WORKERS_MAX: Final = 256
_PORT_MAX: Final = 65_535

_EPILOG: Final = f"""
When it is ready, the server prints one line of JSON: url (http), gateway_url (ws), control_url, control_token, apps.

Without --app there is one demo app: SDKAppID {DEMO_APP.sdkappid}, plan {DEMO_APP.plan}, key
{DEMO_APP.key}.

KEY in --app is the key's text; @FILE reads it from a file, and an empty KEY takes it from ${KEY_VARIABLE}.
${TOKEN_VARIABLE} sets the control token; otherwise one is made at start.

examples:
  python -m mock_im_server
  python -m mock_im_server --port 0 --app 1400000001:trial:secret --start 2026-10-01
  python -m mock_im_server --data-dir state --app 1400000001:pro:@app.key
  python -m mock_im_server --workers 4 --store redis://127.0.0.1:6379/0 --data-dir state
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """A server's settings, checked."""

    host: str
    port: int
    control_port: int | None
    apps: tuple[AppSettings, ...]
    start_ms: int | None
    data_dir: Path | None
    rate_limits: int | None
    """Calls a second of each REST API; None: the vendor's; 0: no limits."""
    defect: str | None
    control_token: str | None
    stop_with_stdin: bool
    tls_port: int | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    latency_table: Path | None = None
    """Measured round trips, in place of the model's."""
    round_trips: int | None = None
    """Seed of the jitter of simulated round trips; None: answers leave at once."""
    webhooks: tuple[tuple[int, str], ...] = ()
    """SDKAppIDs and the URLs of their backends."""
    fsync: bool = False
    """Whether journals are on the disk, and not only with the operating system, before anybody is answered."""
    checkpoints: bool = True
    """Whether a journal that is kept is folded beside from time to time."""
    store: str | None = None
    """URL of the Redis that keeps the counts; None: this process's memory."""
    workers: int = 1
    is_worker: bool = False
    """One of several server processes: ports and data directory are shared, and somebody else holds them."""


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Exits with 3 and one line when something is wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    sdkappids = [app.sdkappid for app in options.app or []]
    if len(set(sdkappids)) < len(sdkappids):
        parser.error("two --app have the same SDKAppID")
    if (options.tls_cert is None) is not (options.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    if options.tls_cert is not None and options.tls_port is None:
        parser.error("--tls-cert needs --tls-port")
    for sdkappid, _ in options.webhook or ():
        # An app that the data directory holds is not named again.
        if options.data_dir is None and sdkappid not in (sdkappids or [DEMO_APP.sdkappid]):
            parser.error(f"--webhook names app {sdkappid}, which no --app makes")
    _check_store(parser, options)
    return Settings(
        host=options.host,
        port=options.port,
        control_port=options.control_port,
        apps=tuple(replace(app, price_book=options.price_book, site=options.site) for app in options.app or [DEMO_APP]),
        start_ms=options.start,
        data_dir=options.data_dir,
        rate_limits=options.rate_limits,
        defect=options.defect,
        control_token=os.environ.get(TOKEN_VARIABLE),
        stop_with_stdin=options.stop_with_stdin,
        tls_port=options.tls_port,
        tls_certificate=options.tls_cert,
        tls_key=options.tls_key,
        latency_table=options.latency_table,
        round_trips=options.round_trips,
        webhooks=tuple(options.webhook or ()),
        fsync=options.fsync,
        checkpoints=options.checkpoints,
        store=None if options.store == MEMORY else options.store,
        workers=options.workers,
        is_worker=options.is_worker,
    )


def _check_store(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.store == MEMORY:
        if options.workers > 1:
            parser.error("--workers needs a store that processes can share: --store redis://127.0.0.1:6379/0")
        return
    if options.data_dir is None and options.workers > 1:
        parser.error("--workers needs --data-dir, for the journals that one of them writes")
    if options.defect is not None and DEFECTS[options.defect].new_store is not HEALTHY.new_store:
        parser.error(f"--defect {options.defect} is a defect of the store in memory: leave --store out")
    if options.tls_port is not None and options.workers > 1:
        parser.error("--tls-port is for one process: leave --workers out")


class _Help(argparse.RawDescriptionHelpFormatter):
    def _split_lines(self, text: str, width: int) -> list[str]:
        # A name that is broken at one of its hyphens cannot be copied from the help.
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse exits with 2, which here means an invalid run
        self.exit(3, f"{self.prog}: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m mock_im_server",
        description="A mock of an instant-messaging cloud (Tencent Cloud IM): it enforces quotas, counts and bills.",
        epilog=_EPILOG,
        formatter_class=_Help,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help="port of REST and gateway; 0 picks a free one (%(default)s)",
    )
    add(
        "--control-port",
        type=_port,
        metavar="PORT",
        help="a port of its own for the control API (default: the same port)",
    )
    add(
        "--tls-port",
        type=_port,
        metavar="PORT",
        help="a further port of REST and gateway with TLS, for clients that speak nothing else; 0 picks a free one",
    )
    add(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="its certificate (PEM); default: one made at start for localhost and the vendor's hosts, "
        "whose authority the ready line names as tls_authority",
    )
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's key (PEM)")
    add(
        "--app",
        type=_app,
        action="append",
        metavar="SDKAPPID:PLAN:KEY",
        help="an app; may be repeated; plans: trial, pro, ultimate",
    )
    add(
        "--start",
        type=_start,
        metavar="DATE",
        help="clocks of new apps stand at 00:00 (UTC+8) of this day until moved (default: real time)",
    )
    add(
        "--price-book",
        default=DEMO_APP.price_book,
        metavar="NAME",
        help=f"price list of the apps, or {BY_OPENING_DAY}: the one of their first day and site (%(default)s)",
    )
    add(
        "--site", default=INTL, help=f"with --price-book {BY_OPENING_DAY}: intl, cn-domestic, cn-overseas (%(default)s)"
    )
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="keep journals here and go on from them after a restart (default: a folder that goes with the server)",
    )
    add(
        "--fsync",
        action="store_true",
        help="answer only when the journal is on the disk: nothing acknowledged is lost with the power either "
        "(default: nothing is lost with the process)",
    )
    add(
        "--no-checkpoints",
        dest="checkpoints",
        action="store_false",
        help="do not fold journals of --data-dir beside, in another process: less work now, and after a restart the "
        "whole journal is read (default: a checkpoint every 128 MiB)",
    )
    add(
        "--store",
        type=_store,
        default=MEMORY,
        metavar="URL",
        help="where counts are kept: memory, or redis://HOST:PORT/DB of a Redis or Valkey that servers may share "
        "(%(default)s)",
    )
    add(
        "--workers",
        type=_workers,
        default=1,
        metavar="N",
        help="so many server processes on the same port; needs --store redis://… and --data-dir (%(default)s)",
    )
    add("--is-worker", action="store_true", help=argparse.SUPPRESS)
    add(
        "--rate-limits",
        type=_rate_limits,
        metavar="off|N",
        help="REST calls a second for each API (default: the vendor's, mostly 200); off also "
        "lets UserSigs fail without end (70050)",
    )
    add(
        "--latency-table",
        type=Path,
        metavar="FILE",
        help="round trips that were measured, in place of the model's: CSV with place (KR or KR/Busan), access_point "
        "and rtt_ms",
    )
    add(
        "--round-trips",
        type=int,
        nargs="?",
        const=1,
        metavar="SEED",
        help="answers at an access point take as long as the client's distance says, with a jitter from SEED (1)",
    )
    add(
        "--webhook",
        type=_webhook,
        action="append",
        metavar="SDKAPPID:URL",
        help="post what happens in an app to this URL of its backend; may be repeated",
    )
    add(
        "--defect",
        choices=sorted(DEFECTS),
        metavar="NAME",
        help="run with a planted defect, to see an audit find it: "
        + "; ".join(f"{name}: {defect.summary}" for name, defect in DEFECTS.items()),
    )
    add("--stop-with-stdin", action="store_true", help="stop when standard input closes")
    add("--version", action="version", version=VERSION)
    return parser


def _store(text: str) -> str:
    if text != MEMORY and not text.startswith(("redis://", "rediss://", "unix://")):
        message = f"a store is memory or a URL like redis://127.0.0.1:6379/0, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return text


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= WORKERS_MAX:
        message = f"write a number of processes from 1 to {WORKERS_MAX}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _PORT_MAX:
        message = f"a port is a number from 0 to {_PORT_MAX}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _app(text: str) -> AppSettings:
    sdkappid, _, rest = text.partition(":")
    plan, colon, key = rest.partition(":")
    if not colon or not sdkappid.isdecimal():
        message = f"an app is SDKAPPID:PLAN:KEY, like 1400000001:pro:secret, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return AppSettings(int(sdkappid), plan, _key(key))


def _webhook(text: str) -> tuple[int, str]:
    sdkappid, _, url = text.partition(":")
    if not sdkappid.isdecimal() or not url.startswith(("http://", "https://")):
        message = f"a webhook is SDKAPPID:URL, like 1400000001:http://127.0.0.1:8000/im, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(sdkappid), url


def _key(text: str) -> str:
    if not text:
        text = os.environ.get(KEY_VARIABLE, "")
        if not text:
            message = f"the app's key is missing: write it behind the plan or set ${KEY_VARIABLE}"
            raise argparse.ArgumentTypeError(message)
    elif text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"cannot read the key from {text[1:]}: {error.strerror}"
            raise argparse.ArgumentTypeError(message) from error
    return text


def _start(text: str) -> int:
    try:
        return BillingCalendar().start_ms(day_of(text))
    except ValueError as error:
        message = f"a day is written like 2026-10-01, not {text!r}"
        raise argparse.ArgumentTypeError(message) from error


def _rate_limits(text: str) -> int:
    if text == "off":
        return 0
    if not text.isdecimal() or not int(text):
        message = f"write off or a number of calls a second, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)

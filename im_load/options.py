"""Options of the scenarios: what Locust's parser gets, and what comes out of it, checked."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypedDict
from urllib.parse import SplitResult, urlsplit

from im_load.access import Routing
from im_load.daily_dau import WrongInputError, from_csv, month_dates, with_spike
from im_load.plans import Plan, PlanOptions, plan_of
from im_load.plans.account_cap import ATTEMPTS_MIN, AccountCapOptions
from im_load.plans.call_trial import PARTICIPANTS_MAX, CallTrialOptions
from im_load.plans.global_access import GlobalAccessOptions
from im_load.plans.group_overage import GroupOverageOptions
from im_load.plans.live_group_cap import LiveGroupCapOptions
from im_load.plans.month import MonthOptions
from im_load.plans.region_outage import HOURS_MAX, RegionOutageOptions
from im_load.plans.trouble import BUSIEST, from_toml

DEFAULT_MONTH: Final = "2026-10"
"""Fixed, so that the same command gives the same run tomorrow."""
DEFAULT_SPIKE_DAY: Final = 16
DEFAULT_RATE: Final = 25_000.0
OUTAGE_RATE: Final = 15_000.0
"""Below what one machine can do: the storm comes beside the logins that are planned."""
PLANS: Final = ("trial", "pro", "ultimate")
POLICIES: Final = ("great_circle", "latency_table", "client_probe")
BACK_OFF_S_MAX: Final = 60.0
ROAMING_MAX: Final = 5_000_000
"""Users who may be online at once: a driver keeps a ticket of each."""
CONNECTIONS: Final = ("shared", "per-user")
SEED_MAX: Final = 2**63 - 1
DAU_MAX: Final = 50_000_000
COUNT_MAX: Final = 100_000_000
"""Of whatever a scenario makes many of."""
OWNERS_MAX: Final = 10_000
DRIVERS_MAX: Final = 64
SERVER_WORKERS_MAX: Final = 64
"""Each plays any number of users; more of them than cores gain nothing."""

VENDOR_HOSTS: Final = (
    "tim.qq.com",
    "im.qcloud.com",
    "my-imcloud.com",
    "tencentcloudapi.com",
    "qq.com",
    "myqcloud.com",
    "qcloud.com",
)
"""Domains of the vendor's real service, where a login costs money (REST overview 1047/34620, firewall page 78627)."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run was asked for, checked; nothing has been started or written yet."""

    plan: Plan
    seed: int
    app_plan: str
    price_book: str | None
    """By name; None: the server's default."""
    connections: str
    rate: float
    host: str | None
    control_url: str
    control_token: str
    sdkappid: int
    key: str
    defect: str | None
    store: str
    """URL of the Redis on which the embedded server keeps its counts; empty: its memory."""
    server_workers: int
    runs: Path
    gates: Path | None
    routing: Routing
    given: Mapping[str, Any]
    """For `plan.json`."""


class Basics(TypedDict):
    """What every plan takes."""

    seed: int
    app_plan: str


type_planned = Callable[[Any, Basics], PlanOptions]
"""Makes a scenario's plan of argparse's namespace. Raises WrongInputError."""


def checked(parsed: Any, planned: type_planned) -> RunOptions:  # noqa: ANN401 -- argparse's namespace
    """Raises WrongInputError with one line that says what is wrong and what to do."""
    gates = Path(parsed.gates) if parsed.gates else None
    if gates is not None and not gates.is_file():
        raise WrongInputError(f"--gates {gates}: there is no such file")
    host = _host(parsed.host, allowed=parsed.real_host_costs_money)
    _check_server(parsed, host)
    _check_drivers(getattr(parsed, "num_users", None))
    basics = Basics(seed=_integer("--seed", parsed.seed, 0, SEED_MAX), app_plan=_one_of("--plan", parsed.plan, PLANS))
    return RunOptions(
        plan=plan_of(planned(parsed, basics)),
        **basics,
        price_book=_price_book(parsed),
        connections=_one_of("--connections", getattr(parsed, "connections", "shared"), CONNECTIONS),
        rate=_rate(getattr(parsed, "rate", DEFAULT_RATE)),
        host=host,
        control_url=_control_url(parsed.control_url) or f"{host}/control/v1",
        control_token=parsed.control_token or "",
        sdkappid=_integer("--sdkappid", parsed.sdkappid or 0, 0, 2**32),
        key=parsed.key or "",
        defect=parsed.defect or None,
        store=_store(parsed),
        server_workers=_server_workers(parsed),
        runs=_runs(parsed.runs, makes=not getattr(parsed, "dry_run", False)),
        gates=gates,
        routing=_routing(parsed),
        given=_given(parsed, host),
    )


def month_with_spike(parsed: Any, basics: Basics) -> MonthOptions:  # noqa: ANN401 -- argparse's namespace
    dates = month_dates(parsed.month)
    baseline = _integer("--baseline-dau", parsed.baseline_dau, 0, DAU_MAX)
    peak = _integer("--peak-dau", parsed.peak_dau, 1, DAU_MAX)
    if peak < baseline:
        message = f"--peak-dau {peak} is below --baseline-dau {baseline}: the spike must be the higher of the two"
        raise WrongInputError(message)
    days = with_spike(dates, baseline, peak, _spike_day(parsed.spike_day, dates))
    return MonthOptions(**basics, month=parsed.month, daily_dau=tuple(days.values()))


def month_of_file(parsed: Any, basics: Basics) -> MonthOptions:  # noqa: ANN401 -- argparse's namespace
    if not parsed.dau_csv:
        raise WrongInputError("--dau-csv: name a file with the columns date and dau")
    days = from_csv(Path(parsed.dau_csv), _scale(parsed.scale))
    top = max(days, key=days.__getitem__)
    if days[top] > DAU_MAX:
        message = f"--dau-csv {parsed.dau_csv}: {days[top]:,} users on {top} are more than {DAU_MAX:,}; lower --scale"
        raise WrongInputError(message)
    month = next(iter(days)).isoformat()[:7]
    return MonthOptions(**basics, month=month, daily_dau=tuple(days.values()))


def account_cap(parsed: Any, basics: Basics) -> AccountCapOptions:  # noqa: ANN401 -- argparse's namespace
    attempts = _integer("--attempts", parsed.attempts, ATTEMPTS_MIN, COUNT_MAX)
    return AccountCapOptions(**basics, month=_month(parsed), attempts=attempts)


def live_group_cap(parsed: Any, basics: Basics) -> LiveGroupCapOptions:  # noqa: ANN401 -- argparse's namespace
    return LiveGroupCapOptions(
        **basics,
        month=_month(parsed),
        attempts=_integer("--attempts", parsed.attempts, 1, COUNT_MAX),
        owners=_integer("--owners", parsed.owners, 1, OWNERS_MAX),
        rounds=_integer("--rounds", parsed.rounds, 1, 29),
    )


def group_overage(parsed: Any, basics: Basics) -> GroupOverageOptions:  # noqa: ANN401 -- argparse's namespace
    return GroupOverageOptions(
        **basics,
        month=_month(parsed),
        groups=_integer("--groups", parsed.groups, 1, COUNT_MAX),
        destroy=_integer("--destroy", parsed.destroy, 0, COUNT_MAX),
    )


def call_trial(parsed: Any, basics: Basics) -> CallTrialOptions:  # noqa: ANN401 -- argparse's namespace
    return CallTrialOptions(
        **basics,
        month=_month(parsed),
        calls=_integer("--calls", parsed.calls, 1, COUNT_MAX),
        callers=_integer("--callers", parsed.callers, PARTICIPANTS_MAX, COUNT_MAX),
    )


def global_access(parsed: Any, basics: Basics) -> GlobalAccessOptions:  # noqa: ANN401 -- argparse's namespace
    dates = month_dates(_month(parsed))
    days = _integer("--days", parsed.days, 1, len(dates))
    dau = _integer("--dau", parsed.dau, 1, ROAMING_MAX)
    trouble = from_toml(Path(parsed.trouble), dates[0], days) if parsed.trouble else ()
    return GlobalAccessOptions(**basics, month=parsed.month, daily_dau=(dau,) * days, trouble=trouble)


def region_outage(parsed: Any, basics: Basics) -> RegionOutageOptions:  # noqa: ANN401 -- argparse's namespace
    outage, pin = parsed.outage or BUSIEST, _pin(parsed)
    if len(pin) == 1 and outage in {BUSIEST, *pin}:
        raise WrongInputError(f"--pin {pin[0]}: without this access point there is none to go to; pin another one too")
    return RegionOutageOptions(
        **basics,
        month=_month(parsed),
        daily_dau=(_integer("--dau", parsed.dau, 1, ROAMING_MAX),),
        outage=outage,
        outage_hours=_integer("--outage-hours", parsed.outage_hours, 1, HOURS_MAX),
    )


def _price_book(parsed: Any) -> str | None:  # noqa: ANN401 -- argparse's namespace
    name = getattr(parsed, "price_book", "") or None
    if name is not None and parsed.sdkappid:
        raise WrongInputError("--price-book: an app that exists has its price list already")
    return name


def _routing(parsed: Any) -> Routing:  # noqa: ANN401 -- argparse's namespace
    text = getattr(parsed, "back_off", "1")
    try:
        back_off_s = float(text)
    except ValueError:
        back_off_s = 0.0
    if not 0 < back_off_s <= BACK_OFF_S_MAX:
        raise WrongInputError(f"--back-off {text!r}: seconds above 0, at most {BACK_OFF_S_MAX:.0f}, are needed")
    policy = _one_of("--policy", getattr(parsed, "policy", POLICIES[0]), POLICIES)
    return Routing(policy, _pin(parsed), back_off_s)


def _pin(parsed: Any) -> tuple[str, ...]:  # noqa: ANN401 -- argparse's namespace
    codes = {code.strip() for code in getattr(parsed, "pin", "").split(",")}
    return tuple(sorted(codes - {""}))


def _month(parsed: Any) -> str:  # noqa: ANN401 -- argparse's namespace
    month_dates(parsed.month)
    return str(parsed.month)


def _check_server(parsed: Any, host: str | None) -> None:  # noqa: ANN401 -- argparse's namespace
    """An option of the other kind of server would be ignored, and the run would not be what was asked for."""
    if host is None:
        given = [f"--{name.replace('_', '-')}" for name in ("control_url", "sdkappid") if getattr(parsed, name)]
        if given:
            raise WrongInputError(f"{given[0]}: it speaks of a server that is running; name that with --host")
        if _server_workers(parsed) > 1 and not _store(parsed):
            raise WrongInputError("--server-workers: processes need a store to share: --store redis://127.0.0.1:6379/0")
    elif _store(parsed) or _server_workers(parsed) > 1:
        raise WrongInputError("--store and --server-workers: the embedded server has them; start that of --host so")
    elif parsed.defect:
        raise WrongInputError("--defect: the embedded server has them; start that of --host with its own --defect")


def _store(parsed: Any) -> str:  # noqa: ANN401 -- argparse's namespace
    return str(getattr(parsed, "store", ""))


def _server_workers(parsed: Any) -> int:  # noqa: ANN401 -- argparse's namespace
    return _integer("--server-workers", getattr(parsed, "server_workers", 1), 1, SERVER_WORKERS_MAX)


def _check_drivers(count: int | None) -> None:
    if count is not None and count > DRIVERS_MAX:
        message = (
            f"--users {count}: these are drivers, each of which plays any number of users; 1 is meant, "
            f"{DRIVERS_MAX} is the most"
        )
        raise WrongInputError(message)


def _runs(name: str, *, makes: bool) -> Path:
    if not name:
        raise WrongInputError("--runs: name a folder")
    path = Path(name)
    if not makes:
        return path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"--runs {path}: cannot be made: {error.strerror}"
        raise WrongInputError(message) from error
    if not os.access(path, os.W_OK):
        raise WrongInputError(f"--runs {path}: is not writable")
    return path


def _spike_day(text: str | None, dates: list[date]) -> date:
    if not text:
        return dates[DEFAULT_SPIKE_DAY - 1]
    try:
        day = dates[int(text) - 1] if text.isdecimal() and int(text) else date.fromisoformat(text)
    except (ValueError, IndexError):
        day = None
    if day not in dates:
        message = f"--spike-day {text!r}: a day of {dates[0]:%Y-%m} is written like {dates[-1]} or {dates[-1].day}"
        raise WrongInputError(message)
    return day


def _scale(text: Any) -> Decimal:  # noqa: ANN401 -- from the command line or a form
    try:
        scale = Decimal(str(text))
    except InvalidOperation:
        scale = Decimal(0)
    if not scale.is_finite() or scale <= 0:
        raise WrongInputError(f"--scale {text!r}: a number above 0 is needed, like 0.1")
    return scale


def _rate(text: Any) -> float:  # noqa: ANN401 -- from the command line or a form
    try:
        rate = float(text)
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise WrongInputError(f"--rate {text!r}: a number of requests a second is needed, like 20000")
    return rate


def _integer(name: str, value: Any, least: int, most: int) -> int:  # noqa: ANN401 -- from the command line or a form
    try:
        number = int(str(value).replace("_", ""))
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise WrongInputError(f"{name} {value!r}: a whole number from {least} to {most} is needed")
    return number


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise WrongInputError(f"{name} {value!r}: choose one of {', '.join(known)}")
    return value


def _host(text: str | None, *, allowed: bool) -> str | None:
    if not text:
        return None
    parts = _address("--host", text)
    # With a dot at its end it is the same name.
    name = (parts.hostname or "").rstrip(".")
    is_vendors = any(name == domain or name.endswith(f".{domain}") for domain in VENDOR_HOSTS)
    if is_vendors and not allowed:
        message = (
            f"--host {name} is the vendor's real service: this run would be billed for real; "
            "add --real-host-costs-money if that is what you want"
        )
        raise WrongInputError(message)
    if parts.scheme == "https":
        raise WrongInputError(f"--host {text}: TLS is not supported yet, use http://")
    return f"http://{parts.netloc}"


def _control_url(text: str | None) -> str | None:
    if not text:
        return None
    parts = _address("--control-url", text)
    return f"http://{parts.netloc}{parts.path}"


def _address(option: str, text: str) -> SplitResult:
    message = f"{option} {text!r}: an address like http://127.0.0.1:18080 is needed"
    try:
        parts = urlsplit(text if "//" in text else f"http://{text}")
        _ = parts.port  # Raises ValueError for what is none.
    except ValueError as error:
        raise WrongInputError(message) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongInputError(message)
    return parts


def _given(parsed: Any, host: str | None) -> dict[str, Any]:  # noqa: ANN401 -- argparse's namespace
    names = (
        "peak_dau",
        "baseline_dau",
        "spike_day",
        "dau_csv",
        "scale",
        "month",
        "seed",
        "plan",
        "price_book",
        "connections",
        "rate",
        "attempts",
        "owners",
        "rounds",
        "groups",
        "destroy",
        "calls",
        "callers",
        "dau",
        "days",
        "trouble",
        "outage",
        "outage_hours",
        "policy",
        "pin",
        "back_off",
    )
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name, None) is not None}
    return {**given, "server": "external" if host else "embedded"}

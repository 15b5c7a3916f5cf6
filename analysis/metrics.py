"""The metrics on which gates may be set: each a name, what it means, and how it is read off a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis import latencies
from analysis.access import AccessAudit
from analysis.billing_days import iso
from analysis.bills import Line
from analysis.cap_table import Cap
from analysis.completeness import PeakInterval
from analysis.headroom import Headroom
from analysis.latencies import Latencies, Sorted, quantile
from analysis.loading import Run
from analysis.outages import Outage
from analysis.quotas import QUOTAS
from analysis.regrets import Regret
from analysis.samples import Requests, Samples
from analysis.selections import EVERYTHING, Selection

Value = int | float | str

_SHARES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_TIMES: Final[Mapping[str, tuple[str, Callable[[Latencies], Sorted]]]] = {
    "latency.service": ("time from send to answer", lambda times: times.service_ms),
    "latency.response": ("time from planned instant to answer", lambda times: times.response_ms),
    "arrivals.late": ("lateness of a send", lambda times: times.late_ms),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric means, and its value; None where the run has no samples of it."""

    meaning: str
    value: Callable[[Samples, Selection], Value | None]
    taken_of: Literal["requests", "answers"] | None = None
    """What its samples are; None for what cannot be taken of a selection."""
    grows: bool = False
    """It never falls while a run goes on: above its bound once, above it for good."""
    is_early: bool = False
    """It can be read off a run that still grows."""
    better: Literal["lower", "higher"] | None = None
    """For comparing runs; None for what is exact."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric's value in a run, and of how many requests it was taken; None for what is not of requests."""

    value: Value | None
    samples: int | None


def measure(name: str, samples: Samples, selection: Selection = EVERYTHING) -> Measured:
    """Read a metric. Raises KeyError for an unknown name, SelectionError for what the run does not have."""
    metric = METRICS[name]
    value = metric.value(samples, selection)
    if metric.taken_of is None:
        return Measured(value, None)
    requests = samples.requests(_narrowed(name, samples, selection))
    return Measured(value, requests.count if metric.taken_of == "requests" else len(requests.answered))


def _narrowed(name: str, samples: Samples, selection: Selection) -> Selection:
    """Take logins per second of the peak day when no window is named: other days of a spike run are too short."""
    if name != "logins.per_second" or selection.needs("day", "hour", "from_s", "to_s"):
        return selection
    day = samples.on_peak_day
    return Selection({**selection.where, **day.where}) if day else selection


def _of_audit(meaning: str, value: Callable[[Samples], Value | None]) -> Metric:
    return Metric(meaning, lambda samples, _: value(samples))


def _of_caps(meaning: str, value: Callable[[Cap], int]) -> Metric:
    return _of_audit(meaning, lambda samples: sum(value(cap) for cap in samples.audit.caps) if samples.audit else None)


def _growing(meaning: str, value: Callable[[Samples], Value | None]) -> Metric:
    return Metric(meaning, lambda samples, _: value(samples), grows=True, is_early=True)


def _counted(meaning: str, value: Callable[[Requests], int | None]) -> Metric:
    def of(samples: Samples, selection: Selection) -> int | None:
        return value(samples.requests(selection))

    return Metric(meaning, of, taken_of="requests", grows=True, is_early=True)


def _ratio(meaning: str, value: Callable[[Requests], int]) -> Metric:
    def of(samples: Samples, selection: Selection) -> float | None:
        requests = samples.requests(selection)
        return value(requests) / requests.count if requests.count else None

    return Metric(meaning, of, taken_of="requests", is_early=True, better="lower")


def _time(meaning: str, value: Callable[[Requests], float | None]) -> Metric:
    def of(samples: Samples, selection: Selection) -> float | None:
        return value(samples.requests(selection))

    return Metric(meaning, of, taken_of="answers", is_early=True, better="lower")


def _rate(meaning: str, value: Callable[[Samples, Selection], float | None]) -> Metric:
    return Metric(meaning, value, taken_of="answers", is_early=True, better="higher")


def _quantile(times: Callable[[Latencies], Sorted], share: float) -> Callable[[Requests], float | None]:
    return lambda requests: quantile(times(requests.latencies), share)


def _mean(times: Callable[[Latencies], Sorted]) -> Callable[[Requests], float | None]:
    return lambda requests: float(np.mean(np.asarray(times(requests.latencies)))) if len(requests.answered) else None


def _logins_per_second(samples: Samples, selection: Selection) -> float | None:
    return latencies.logins_per_second(samples.requests(_narrowed("logins.per_second", samples, selection)).answered)


def _if_any(part: Callable[[Requests], int]) -> Callable[[Requests], int | None]:
    """No refusal among no request is no good news."""
    return lambda requests: part(requests) if requests.count else None


def _peak_day(samples: Samples) -> str | None:
    top = samples.peak
    return iso(top.day) if top and top.day is not None else None


def _rows_missing(samples: Samples) -> int | None:
    run = samples.run
    if run.plan is None:
        return None
    return run.plan.arrivals - (run.whole.of_plan if run.whole else _of_plan(run).num_rows)


def _workers_missing(samples: Samples) -> int | None:
    manifest = samples.run.manifest
    return manifest.workers_expected - len(manifest.workers) if manifest else None


def _started_ratio(samples: Samples) -> float | None:
    run = samples.run
    if run.plan is None:
        return None
    if run.whole:
        sent = run.whole.sent_of_plan
    else:
        asked = _of_plan(run)
        sent = asked.num_rows - asked["sent_us"].null_count
    return sent / run.plan.arrivals if run.plan.arrivals else 1.0


def _of_plan(run: Run) -> pa.Table:
    """The ledger without what a lost or drained access point made necessary."""
    assert run.plan is not None, "its caller has looked"
    return run.ledger.table.filter(pc.less(run.ledger.table["row"], run.plan.arrivals))


def _of_access(meaning: str, value: Callable[[AccessAudit], Value | None]) -> Metric:
    """None for a run that is not about access points."""

    def of(samples: Samples) -> Value | None:
        access = samples.audit.access if samples.audit else None
        return value(access) if access else None

    return _of_audit(meaning, of)


def _of_outages(meaning: str, value: Callable[[Outage], Value | None]) -> Metric:
    """The most of any outage that met somebody; None where one of them has no value."""

    def of(access: AccessAudit) -> Value | None:
        found = [value(outage) for outage in access.outages if outage.sessions]
        return max((one for one in found if one is not None), default=None) if None not in found else None

    return _of_access(meaning, of)


def _played(pick: Callable[[Regret], float]) -> Callable[[AccessAudit], float | None]:
    return lambda access: next((pick(regret) for regret in access.regrets if regret.is_played), None)


def _bound(pick: Callable[[PeakInterval], int]) -> Callable[[Samples], int | None]:
    return lambda samples: pick(samples.interval) if samples.interval else None


def _line(item: str, pick: Callable[[Headroom], Value]) -> Callable[[Samples], Value | None]:
    return lambda samples: pick(samples.headroom[item]) if item in samples.headroom else None


def _charged(is_wanted: Callable[[Line], bool]) -> Callable[[Samples], int | None]:
    def of(samples: Samples) -> int | None:
        return sum(line.amount_cents for line in samples.bill.lines if is_wanted(line)) if samples.bill else None

    return of


def _filled(quota: str) -> Callable[[Samples], float | None]:
    """By what was certainly taken; None where the plan has no such cap, or the run did not come near the subject."""

    def of(samples: Samples) -> float | None:
        if samples.audit is None:
            return None
        taken = [(one.limit, one.least) for one in samples.audit.bounds if one.quota.name == quota]
        for tally in samples.audit.tallies:
            taken += [(limit, tally.reached) for limit in tally.limits[-1:] if limit and tally.quota.name == quota]
        return max((reached / limit for limit, reached in taken), default=None)

    return of


def _percentiles() -> dict[str, Metric]:
    found = {}
    for name, (what, times) in _TIMES.items():
        for tag, share in _SHARES.items():
            meaning = f"longest {what}" if tag == "max" else f"{tag[1:]}th percentile of the {what}"
            meaning = f"median {what}" if tag == "p50" else meaning
            found[f"{name}_{tag}_ms"] = _time(meaning, _quantile(times, share))
        found[f"{name}_mean_ms"] = _time(f"mean {what}", _mean(times))
    return found


METRICS: Final[Mapping[str, Metric]] = {
    "witnesses.differences": _of_audit(
        "comparisons that failed", lambda samples: samples.audit.differences if samples.audit else None
    ),
    "dau.peak": _growing("the month's peak DAU", lambda samples: samples.peak.dau if samples.peak else None),
    "dau.peak_day": _of_audit("the first day with the peak", _peak_day),
    "dau.peak_low": _of_audit("the peak if no unknown outcome was a login", _bound(lambda interval: interval.low)),
    "dau.peak_high": _of_audit("the peak if every unknown outcome was a login", _bound(lambda interval: interval.high)),
    "bill.dau_units": _growing(
        "started units above the free quota", lambda samples: samples.bill.dau_units if samples.bill else None
    ),
    "bill.amount_cents": _growing(
        "what users cost beyond the fee", lambda samples: samples.bill.users_cents if samples.bill else None
    ),
    "bill.total_cents": _growing(
        "the whole statement", lambda samples: samples.bill.total_cents if samples.bill else None
    ),
    "bill.groups_cents": _of_audit("what groups cost", _charged(lambda line: line.item == "groups")),
    "bill.calls_cents": _of_audit("what calls cost", _charged(lambda line: line.item.startswith("call_"))),
    "headroom.dau_left": _of_audit("users a day until the next unit", _line("dau", lambda room: room.left)),
    "headroom.dau_filled": _of_audit(
        "used part of the DAU's last unit, or of the free quota", _line("dau", lambda room: room.filled)
    ),
    "headroom.dau_next_unit_cents": _of_audit(
        "what the next unit of DAU costs", _line("dau", lambda room: room.next_unit_cents)
    ),
    "headroom.groups_left": _of_audit("groups until the next unit", _line("groups", lambda room: room.left)),
    "headroom.groups_filled": _of_audit(
        "used part of the groups' last unit, or of the free quota", _line("groups", lambda room: room.filled)
    ),
    "groups.peak": _of_audit(
        "the month's peak of groups", lambda samples: samples.audit.counts.peak_groups if samples.audit else None
    ),
    "caps.over": _of_caps("requests admitted over a cap", lambda cap: cap.over),
    "caps.refused_below": _of_caps("requests refused although a place was free", lambda cap: cap.below),
    "caps.refused": _of_caps("requests refused by a cap", lambda cap: cap.refused),
    "caps.wrong_code": _of_caps("refusals with a wrong code", lambda cap: cap.wrong_code),
    **{
        f"caps.{quota.name}_filled": _of_audit(f"most {quota.words} by the plan's cap", _filled(quota.name))
        for quota in QUOTAS.values()
    },
    "routing.wrong_point": _of_access(
        "logins and resumes at another access point than the one that was due", lambda access: access.wrong
    ),
    "routing.judged": _of_access("logins and resumes that were routed again", lambda access: access.routed),
    "routing.stale": _of_access(
        "logins and resumes that a newer answer would have sent elsewhere", lambda access: access.stale
    ),
    "routing.spilled_ratio": _of_access(
        "users who came in elsewhere than at their first choice, at least once, by users",
        lambda access: access.spilled_users / access.users if access.users else None,
    ),
    "routing.regret_mean_ms": _of_access(
        "mean round trip beyond the fastest one to be had", _played(lambda regret: regret.mean_ms)
    ),
    "routing.regret_p99_ms": _of_access(
        "99th percentile of the round trip beyond the fastest one to be had", _played(lambda regret: regret.p99_ms)
    ),
    "routing.regret_users_ratio": _of_access(
        "users with a round trip beyond the fastest one to be had, by users",
        _played(lambda regret: regret.users_ratio),
    ),
    "routing.recovery_s": _of_outages(
        "longest time until 99 % of the sessions at a lost access point were online elsewhere",
        lambda outage: outage.recovery_s,
    ),
    "routing.storm_per_second": _of_outages(
        "most reconnects within a second of an outage", lambda outage: outage.storm_per_second
    ),
    "routing.resumes_refused": _of_access(
        "resumes that were refused", lambda access: int((access.visits.is_resume & (access.visits.code > 0)).sum())
    ),
    "ledger.rows": _growing("requests in the ledgers", lambda samples: samples.run.rows),
    "ledger.rows_missing": _of_audit("planned requests without a row", _rows_missing),
    "ledger.unknown_outcomes": _growing("requests without an answer", lambda samples: len(samples.run.ledger.open)),
    "workers.missing": _of_audit("workers that handed over no ledger", _workers_missing),
    "arrivals.started_ratio": _of_audit("sent requests by planned ones", _started_ratio),
    "requests.count": _counted("requests, answered or not", lambda requests: requests.count),
    "requests.answered": _counted("answered requests", lambda requests: len(requests.answered)),
    "requests.unanswered": _counted("requests without an answer", _if_any(lambda requests: len(requests.unanswered))),
    "requests.refused": _counted("answers with another code than 0", _if_any(lambda requests: requests.refused)),
    "requests.refused_ratio": _ratio("answers with another code than 0 by requests", lambda requests: requests.refused),
    "requests.error_ratio": _ratio(
        "refused and unanswered requests by requests", lambda requests: requests.refused + len(requests.unanswered)
    ),
    "requests.per_second": _rate(
        "answers by the time from the first send to the last answer",
        lambda samples, selection: latencies.per_second(samples.requests(selection).answered),
    ),
    "users.distinct": _counted("different users with a successful login", lambda requests: requests.users),
    "logins.per_second": _rate(
        "successful logins per second, on the peak day unless a window is named", _logins_per_second
    ),
    **_percentiles(),
}

"""The metrics on which gates may be set: each a name, what it means, and how it is read off an audit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from analysis import latencies
from analysis.audit import Audit
from analysis.billing_days import day_of, iso
from analysis.completeness import PeakInterval, peak_interval
from analysis.latencies import Latencies, quantile

Value = int | float | str


class Reading:
    """An audit with what several metrics share, computed once."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.answered = audit.run.ledger.answered

    @cached_property
    def latencies(self) -> Latencies:
        """Of all answered requests."""
        return latencies.of(self.answered)

    @cached_property
    def interval(self) -> PeakInterval | None:
        """The bounds of the peak; None without terms."""
        run = self.audit.run
        return peak_interval(run, run.terms) if run.terms else None

    @cached_property
    def logins_per_second(self) -> float | None:
        """On the peak day; the other days of a spike run are too short to mean much."""
        top = self.audit.peak
        if top is None or top.day is None:
            return None
        on_day = day_of(self.answered["app_before_ms"], self.audit.run.offset_ms) == top.day
        return latencies.logins_per_second(self.answered[on_day])


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric means, and its value; None where the run has no samples of it."""

    meaning: str
    value: Callable[[Reading], Value | None]


def _peak_day(reading: Reading) -> str | None:
    top = reading.audit.peak
    return iso(top.day) if top and top.day is not None else None


def _rows_missing(reading: Reading) -> int | None:
    run = reading.audit.run
    return run.plan.arrivals - run.ledger.table.num_rows if run.plan else None


def _workers_missing(reading: Reading) -> int | None:
    manifest = reading.audit.run.manifest
    return manifest.workers_expected - len(manifest.workers) if manifest else None


def _started_ratio(reading: Reading) -> float | None:
    run = reading.audit.run
    if run.plan is None or not run.plan.arrivals:
        return None
    sent: int = run.ledger.table.num_rows - run.ledger.table["sent_us"].null_count
    return sent / run.plan.arrivals


def _late(share: float) -> Callable[[Reading], float | None]:
    return lambda reading: quantile(reading.latencies.late_ms, share)


def _service(share: float) -> Callable[[Reading], float | None]:
    return lambda reading: quantile(reading.latencies.service_ms, share)


def _response(share: float) -> Callable[[Reading], float | None]:
    return lambda reading: quantile(reading.latencies.response_ms, share)


METRICS: Final[Mapping[str, Metric]] = {
    "witnesses.differences": Metric("comparisons that failed", lambda reading: reading.audit.differences),
    "dau.peak": Metric("the month's peak DAU", lambda reading: reading.audit.peak.dau if reading.audit.peak else None),
    "dau.peak_day": Metric("the first day with the peak", _peak_day),
    "dau.peak_low": Metric(
        "the peak if no unknown outcome was a login", lambda reading: reading.interval.low if reading.interval else None
    ),
    "dau.peak_high": Metric(
        "the peak if every unknown outcome was a login",
        lambda reading: reading.interval.high if reading.interval else None,
    ),
    "bill.dau_units": Metric(
        "started units above the free quota",
        lambda reading: reading.audit.bill.dau_units if reading.audit.bill else None,
    ),
    "bill.amount_cents": Metric(
        "the DAU overage", lambda reading: reading.audit.bill.dau_cents if reading.audit.bill else None
    ),
    "bill.total_cents": Metric(
        "the whole statement", lambda reading: reading.audit.bill.total_cents if reading.audit.bill else None
    ),
    "ledger.rows": Metric("requests in the ledgers", lambda reading: reading.audit.run.ledger.table.num_rows),
    "ledger.rows_missing": Metric("planned requests without a row", _rows_missing),
    "ledger.unknown_outcomes": Metric("requests without an answer", lambda reading: len(reading.audit.run.ledger.open)),
    "workers.missing": Metric("workers that handed over no ledger", _workers_missing),
    "arrivals.started_ratio": Metric("sent requests by planned ones", _started_ratio),
    "arrivals.late_p50_ms": Metric("median lateness of a send", _late(0.5)),
    "arrivals.late_p99_ms": Metric("99th percentile of the lateness of a send", _late(0.99)),
    "latency.service_p50_ms": Metric("median time from send to answer", _service(0.5)),
    "latency.service_p99_ms": Metric("99th percentile from send to answer", _service(0.99)),
    "latency.response_p50_ms": Metric("median time from planned instant to answer", _response(0.5)),
    "latency.response_p99_ms": Metric("99th percentile from planned instant to answer", _response(0.99)),
    "logins.per_second": Metric(
        "successful logins per second on the peak day", lambda reading: reading.logins_per_second
    ),
}

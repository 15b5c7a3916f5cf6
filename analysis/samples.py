"""Samples: what metrics are taken of; a run's requests under a selection, and its month, each computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis import latencies, ledgers, recount, witnesses
from analysis.audit import Audit
from analysis.billing_days import day_number, iso
from analysis.bills import Bill
from analysis.completeness import PeakInterval, peak_interval
from analysis.counts import Count, Peak, peak
from analysis.headroom import Headroom, headroom
from analysis.latencies import Latencies
from analysis.ledgers import Ledger
from analysis.loading import Run
from analysis.selections import EVERYTHING, LABELS, PEAK, SPIKE, Selection


class SelectionError(Exception):
    """Raised with one sentence when a run has nothing that a selection names."""


@dataclass(frozen=True)
class Requests:
    """The requests of a selection: answered ones and the others."""

    answered: pd.DataFrame
    unanswered: pd.DataFrame

    @property
    def count(self) -> int:
        return len(self.answered) + len(self.unanswered)

    @cached_property
    def refused(self) -> int:
        """How many were answered with another code than 0."""
        return int((self.answered["code"] != 0).sum())

    @cached_property
    def latencies(self) -> Latencies:
        """Of the answered ones."""
        return latencies.of(self.answered)

    @property
    def users(self) -> int:
        """Count the different users with a successful login."""
        logins = (self.answered["code"] == 0) & (self.answered["verb"] == "login")
        return int(self.answered.loc[logins, "user"].nunique())


class Samples:
    """A run for metrics to look at; without an audit it may be one that still grows."""

    def __init__(self, run: Run, audit: Audit | None = None) -> None:
        self.run = run
        self.audit = audit
        self._requests: dict[str, Requests] = {}
        self._known: dict[str, set[str | int | float]] = {}

    def requests(self, selection: Selection = EVERYTHING) -> Requests:
        """Return the chosen requests. Raises SelectionError for a label or day that nothing of the run has."""
        if selection.text not in self._requests:
            self._refuse_unknown(selection)
            chosen = (self._chosen(frame, selection) for frame in (self._ledger.answered, self._ledger.open))
            self._requests[selection.text] = Requests(*chosen)
        return self._requests[selection.text]

    @cached_property
    def _ledger(self) -> Ledger:
        """All rows; of a big run they are read only where a gate asks for single requests, with the memory it takes."""
        return ledgers.read(self.run.folder) if self.run.whole else self.run.ledger

    @cached_property
    def count(self) -> Count:
        """What the ledger counts."""
        if self.audit:
            return self.audit.counts.ledger
        return recount.of_ledger(self.run.ledger.answered, self.run.offset_ms)

    @cached_property
    def peak(self) -> Peak | None:
        """The month's peak; None without terms."""
        terms = self.run.terms
        return peak(self.count.dau, terms.days) if terms else None

    @cached_property
    def bill(self) -> Bill | None:
        """The month's bill; None without terms."""
        if self.audit:
            return self.audit.bill
        terms = self.run.terms
        return terms.bill(witnesses.usage(self.count, terms)) if terms else None

    @cached_property
    def headroom(self) -> Mapping[str, Headroom]:
        """How far the next unit is, by line of the bill."""
        return {room.item: room for room in headroom(self.bill)} if self.bill else {}

    @cached_property
    def interval(self) -> PeakInterval | None:
        """The bounds of the peak; None without terms."""
        return peak_interval(self.run, self.run.terms) if self.run.terms else None

    @cached_property
    def days(self) -> Mapping[str, int]:
        """The billing days that have a name of their own."""
        named = {}
        if self.peak and self.peak.day is not None:
            named[PEAK] = named[SPIKE] = self.peak.day
        if self.run.plan and self.run.plan.days:
            busiest = max(self.run.plan.days, key=lambda day: day.arrivals)
            named[SPIKE] = day_number(busiest.day)
        return named

    @property
    def on_peak_day(self) -> Selection | None:
        """Choose the peak day; None when nobody logged in."""
        day = self.days.get(PEAK)
        return Selection({"day": (iso(day),)}) if day is not None else None

    def _chosen(self, frame: pd.DataFrame, selection: Selection) -> pd.DataFrame:
        if not selection.where:
            return frame
        return frame[selection.rows(frame, self.days, self.run.offset_ms)]

    def _refuse_unknown(self, selection: Selection) -> None:
        """A misspelt country would have no refusals for ever; a code may well be absent, and that be the point."""
        for key, values in selection.where.items():
            if key == "day":
                known = {value for value in values if value not in (SPIKE, PEAK)} | set(self.days)
            elif key in LABELS:
                known = self._values(key)
            else:
                continue
            missing = [value for value in values if value not in known]
            if missing:
                raise SelectionError(f"no request of this run has {key} {', '.join(map(repr, missing))}")

    def _values(self, label: str) -> set[str | int | float]:
        if label not in self._known:
            frames = (self._ledger.answered, self._ledger.open)
            self._known[label] = {value for frame in frames for value in frame[label].unique()}
        return self._known[label]

"""What lies around a verdict: how near the next unit is, what set the peak, other readings, what remains unproven."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from analysis.audit import Audit
from analysis.billing_days import iso
from analysis.bills import ABSENT, money
from analysis.headroom import Headroom, PeakOrigin, headroom, peak_origin
from analysis.other_readings import Alternative, alternatives

BillIs = Literal["compared", "predicted"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything but the verdict itself; empty without terms."""

    headroom: Sequence[Headroom]
    origin: PeakOrigin | None
    alternatives: Sequence[Alternative]
    unproven: Sequence[str]
    total_cents: int
    currency: str

    def document(self) -> dict[str, Any]:
        """Return the keys that it adds to `verdict.json`."""
        return {
            "headroom": [{**asdict(room), "left": room.left} for room in self.headroom],
            "peak_set_by": asdict(self.origin) if self.origin else None,
            "readings": [
                {
                    "reading": other.reading,
                    "peak_dau": other.peak.dau,
                    "peak_day": iso(other.peak.day) if other.peak.day is not None else None,
                    "amount_cents": other.bill.users_cents,
                    "total_cents": other.bill.total_cents,
                    "currency": other.bill.currency,
                    "difference_cents": self.difference_cents(other),
                }
                for other in self.alternatives
            ],
            "unproven": list(self.unproven),
        }

    def difference_cents(self, other: Alternative) -> int | None:
        """Return by how much a reading changes the total; None in another currency."""
        return other.bill.total_cents - self.total_cents if other.bill.currency == self.currency else None

    def markdown(self) -> list[str]:
        """Return the lines that it adds to `summary.md`."""
        lines = [f"- {sentence}" for sentence in self.sentences()]
        if self.alternatives:
            lines += ["", "| if | peak DAU | total | difference |", "|---|--:|--:|--:|"]
            for other in self.alternatives:
                total = f"{money(other.bill.total_cents)} {other.bill.currency}"
                lines.append(f"| {other.reading} | {other.peak.dau:,} | {total} | {self.difference(other)} |")
        if self.unproven:
            lines += ["", "What remains unproven:", "", *(f"- {text}" for text in self.unproven)]
        return lines

    def difference(self, other: Alternative) -> str:
        """Write the difference for people."""
        cents = self.difference_cents(other)
        return ABSENT if cents is None else f"{'+' * (cents > 0)}{money(cents)}"

    def sentences(self) -> list[str]:
        """Say how near the next unit is and what set the peak."""
        counted = [room for room in self.headroom if room.quantity]
        origin = [_origin(self.origin, self.currency)] if self.origin else []
        return [*origin, *(_room(room, self.currency) for room in counted)]


def of(audit: Audit) -> Outlook:
    """Look around an audit."""
    terms, bill = audit.terms, audit.bill
    if terms is None or bill is None:
        return Outlook([], None, [], _unproven(audit), 0, "")
    return Outlook(
        headroom=headroom(bill),
        origin=peak_origin(audit.run, audit.counts.ledger, terms, bill),
        alternatives=alternatives(audit.run, terms, audit.counts),
        unproven=_unproven(audit),
        total_cents=bill.total_cents,
        currency=bill.currency,
    )


def bill_is(audit: Audit) -> BillIs | None:
    """Tell whether the bill was held against a server's, or is the ledger's prediction; None without a bill."""
    if audit.bill is None:
        return None
    return "compared" if audit.run.statement else "predicted"


def _unproven(audit: Audit) -> list[str]:
    """Say what no witness of this run can show."""
    run, texts = audit.run, []
    if run.statement is None:
        book = f" by price book {audit.terms.book.name} and the plan's readings" if audit.terms else ""
        texts.append(f"what the server bills: the amounts are what the ledger predicts{book}")
    if run.journal is None:
        texts += [
            "that the server counted nobody whom the ledger does not know, and each login on the day of its own clock",
            "the order in which the server took requests that overlap",
        ]
        bounded = [cap.quota.words for cap in audit.caps if not cap.is_proven]
        if bounded:
            texts.append(f"that the caps held ({', '.join(bounded)}): a ledger can disprove it and cannot prove it")
    return [*texts, *(audit.access.unproven if audit.access else ())]


def _room(room: Headroom, currency: str) -> str:
    what = {"dau": "users on the peak day", "groups": "groups at the peak"}[room.item]
    step = "last unit is" if room.units else "free quota is"
    following = (
        f"{room.left:,} more {what} cost nothing, one more than that {money(room.next_unit_cents)} {currency} "
        f"(the {step} used to {100 * room.filled:.0f} %)"
    )
    if room.last_unit_from is None:
        return following
    last = f"the last unit cost {money(room.last_unit_cents)} {currency}, for number {room.last_unit_from:,}"
    return f"{following}; {last} to {room.quantity:,}"


def _origin(origin: PeakOrigin, currency: str) -> str:
    text = f"{origin.day} set the peak, most of all from {origin.hour:02}:00 on with {origin.new_in_hour:,} new users"
    if origin.unit_hour is not None:
        text += f"; the last unit was begun in the hour from {origin.unit_hour:02}:00"
    return (
        f"{text}; the next highest day had {origin.next_highest_dau:,}: "
        f"this day alone costs {money(origin.day_cents)} {currency}"
    )

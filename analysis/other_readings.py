"""What the same ledger would cost under other readings of what the vendor leaves open."""

from dataclasses import dataclass, replace
from typing import Final

from analysis import recount
from analysis.bills import Bill, bill
from analysis.counts import Count, Peak, peak
from analysis.loading import Run, Terms
from analysis.prices import price_books
from analysis.witnesses import Counts, ledger_usage, usage

_SNAPSHOT: Final = "groups are counted at 00:00 on the 1st of the next month"


@dataclass(frozen=True, slots=True)
class Alternative:
    """A reading, and the peak and bill that follow from it."""

    reading: str
    peak: Peak
    bill: Bill


def alternatives(run: Run, terms: Terms, counts: Counts) -> list[Alternative]:
    """Price the month again under each other reading, one change at a time."""
    counted = counts.ledger
    used, top = ledger_usage(counts, terms), peak(counted.dau, terms.days)
    answered, offset_ms = run.ledger.answered, run.offset_ms
    daily: dict[str, Count] = {}
    if (answered["verb"] == "resume").any():
        resumed = recount.of_ledger(answered, offset_ms, resumes_count=True)
        daily["a resumed session counts as a login"] = resumed
    if offset_ms:
        daily["billing days begin at midnight UTC"] = recount.of_ledger(answered, 0)
    found = []
    for reading, count in daily.items():
        other = peak(count.dau, terms.days)
        found.append(Alternative(reading, other, terms.bill(usage(count, terms, used.peak_groups, used.call_seconds))))
    if used.peak_groups:
        volume = counts.journal_volume or counts.ledger_volume
        left = [day.left for number, day in sorted(volume.groups_by_day.items()) if number in terms.days][-1:]
        found.append(Alternative(_SNAPSHOT, top, terms.bill(replace(used, peak_groups=sum(left)))))
    for name, book in price_books().items():
        if name != terms.book.name and terms.plan in book.plan_fee:
            found.append(Alternative(f"price book {name}", top, bill(book, terms.plan, used)))
    return found

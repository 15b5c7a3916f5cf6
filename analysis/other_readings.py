"""What the same ledger would cost under other readings of what the vendor leaves open."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from analysis import recount
from analysis.bills import TRIAL, Bill, Usage, bill
from analysis.counts import Count, Peak, peak
from analysis.loading import Run, Terms
from analysis.prices import price_books
from analysis.witnesses import Counts, ledger_usage, usage

_SNAPSHOT: Final = "groups are counted at 00:00 on the 1st of the next month"
_WHOLE: Final = "all groups are charged once there are more than the free ones"
_NO_FEE: Final = "the app was opened in this month, which is free of the plan's fee"


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
    daily: dict[str, Count] = {}
    if resumed := _resumed(run):
        daily["a resumed session counts as a login"] = resumed
    if run.offset_ms:
        daily["billing days begin at midnight UTC"] = (
            run.whole.utc if run.whole else recount.of_ledger(run.ledger.answered, 0)
        )
    found = []
    for reading, count in daily.items():
        other = peak(count.dau, terms.days)
        found.append(Alternative(reading, other, terms.bill(usage(count, terms, used.peak_groups, used.call_seconds))))
    if used.peak_groups:
        volume = counts.journal_volume or counts.ledger_volume
        left = [day.left for number, day in sorted(volume.groups_by_day.items()) if number in terms.days][-1:]
        found.append(Alternative(_SNAPSHOT, top, terms.bill(replace(used, peak_groups=sum(left)))))
    found += [Alternative(reading, top, other) for reading, other in _other_prices(terms, used)]
    for name, book in price_books().items():
        if name != terms.book.name and terms.plan in book.plan_fee:
            found.append(Alternative(f"price book {name}", top, bill(book, terms.plan, used)))
    return found


def _resumed(run: Run) -> Count | None:
    """Count resumes as logins; None where there was none."""
    if run.whole:
        return run.whole.resumed
    answered = run.ledger.answered
    has_resumes = (answered["verb"] == "resume").any()
    return recount.of_ledger(answered, run.offset_ms, resumes_count=True) if has_resumes else None


def _other_prices(terms: Terms, used: Usage) -> Iterator[tuple[str, Bill]]:
    """Price the same usage by other readings of the same price book."""
    book, groups = terms.book, terms.book.groups
    if groups and terms.plan != TRIAL and used.peak_groups > groups.free:
        yield _WHOLE, bill(replace(book, groups=replace(groups, free=0)), terms.plan, used)
    if book.plan_fee[terms.plan]:
        own = terms.bill(used)
        yield _NO_FEE, replace(own, lines=tuple(line for line in own.lines if line.item != "plan"))

"""A run before it is played: what it asks for, what it costs, how long it takes here, and whether it can be carried."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import chain, repeat
from typing import Any, Final

from analysis.bills import TIMES, Bill, Usage, bill, money, price
from analysis.prices import DEFAULT_BOOK, PriceBook, book_of_app_opened, price_books
from im_load.daily_dau import WrongInputError, month_dates
from im_load.estimates import Load, Pace
from im_load.machine import MEMORY_SHARE, Machine, size
from im_load.options import CONNECTIONS, RunOptions
from im_load.plans import plan_of
from im_load.plans.arrivals import CONTROL, GATEWAY, REST
from im_load.plans.plan import Plan
from im_load.plans.trouble import Change
from im_load.sockets import sources

DOORS: Final = {GATEWAY: "gateway", REST: "REST API", CONTROL: "control API"}
BY_OPENING_DAY: Final = "by-opening-day"
"""In place of a price list's name: the server takes the one under which an app of its site opened."""
SITE: Final = "intl"
PER_USER: Final = CONNECTIONS[1]


@dataclass(frozen=True)
class DryRun:
    """A run that was asked for, and this machine."""

    scenario: str
    options: RunOptions
    plan: Plan
    """That of the options, or made anew for an app that has another plan of the vendor's."""
    book: PriceBook | None
    """None: the server has a list of this name, and we do not."""
    load: Load
    machine: Machine

    @cached_property
    def lacks(self) -> list[str]:
        """Why this machine cannot carry it; empty when it can."""
        return self.machine.lacks(self.load.needs())

    @property
    def sources(self) -> list[str]:
        """Addresses that its connections have to come from; none where the kernel's choice has ports enough."""
        wanted = self.load.needs().connections
        return sources(self.machine.addresses, wanted, self.machine.ports)

    def check(self) -> None:
        """Raises WrongInputError with one line that says what this machine cannot carry."""
        if self.lacks:
            message = (
                f"this machine cannot carry it: {'; '.join(self.lacks)} (--dry-run tells more, --try-anyway tries it)"
            )
            raise WrongInputError(message)

    def text(self) -> str:
        """Say it in words and numbers, a subject a line."""
        return "\n".join(f"{name:9} {words}".rstrip() for name, words in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        options, app_plan = self.options, self.plan.options.app_plan
        yield "run", f"{self.scenario}, {self.plan.options.month}, plan {app_plan}, seed {options.seed}"
        if self._can_be_made:
            content = self.plan.as_json(self.scenario, options.given)
            yield "asks for", self.plan.summary()
            yield "", self._requests(content)
            yield from zip(chain(["expects"], repeat("")), self._expected(content), strict=False)
        else:
            yield "asks for", f"some {self.load.rows:,} {self.plan.asks_for}: too many for this machine to count them"
        yield "bill", self._bill()
        yield "time", f"about {duration(self.load.seconds(self.machine))} here, {self._pace()}"
        yield "creates", self._created()
        yield from zip(chain(["needs"], repeat("")), self._needed(), strict=False)

    @property
    def _can_be_made(self) -> bool:
        """Whether the plan itself fits into memory."""
        return self.load.needs().memory_bytes <= self.machine.memory_bytes * MEMORY_SHARE

    def _requests(self, content: Mapping[str, Any]) -> str:
        days = [day for day in content["days"] if day["arrivals"]]
        busiest = max(days, key=lambda day: day["arrivals"], default=None)
        if busiest is None:
            return "nothing at all"
        doors = " and ".join(DOORS[door] for door in sorted(self.load.doors))
        span = f"{len(days)} day{'' if len(days) == 1 else 's'}"
        busy = f", {busiest['arrivals']:,} of them on {busiest['day']}" if len(days) > 1 else ""
        return f"{content['arrivals']:,} requests over the {doors} on {span}{busy}"

    def _expected(self, content: Mapping[str, Any]) -> Iterator[str]:
        month = content["days"][: len(month_dates(content["month"]))]
        top = max(month, key=lambda day: (day["dau_max"], day["dau_min"]))
        if top["dau_max"]:
            least = "" if top["dau_min"] == top["dau_max"] else f"{top['dau_min']:,} to "
            yield f"a peak of {least}{top['dau_max']:,} DAU on {top['day']}"
        codes = [day["codes"] for day in content["days"] if day["arrivals"]]
        if codes and None not in codes:
            refused = sum(count for day in codes for code, count in day.items() if code != "0")
            yield f"{content['arrivals'] - refused:,} admitted, {refused:,} refused"
        elif codes:
            yield "races, in which it is open how many are refused"
        for quota in content.get("quotas", ()):
            yield f"a cap of {quota['limit']:,}, {quota['name'].replace('_', ' ')}, and code {quota['refusal']} beyond"
        for change in self.plan.trouble:
            yield f"trouble: access point {change.code} {_changed(change)}"

    def _bill(self) -> str:
        if self.book is None:
            return f"unknown: what the price list {self.options.price_book} says, only {self.options.host} knows"
        if self.book.mau and not self._can_be_made:
            return f"unknown: price book {self.book.name} charges the month's different users, too many to count here"
        priced = self._priced(self.book)
        parts = [f"{line.units:,} {TIMES} {price(line.unit_price)}" for line in priced.overages if line.units]
        overage = f", of that {' and '.join(parts)} beyond the plan's fee" if parts else ""
        return f"{money(priced.total_cents)} {priced.currency}{overage} (price book {self.book.name})"

    def _priced(self, book: PriceBook) -> Bill:
        totals = self.plan.totals()
        usage = Usage(
            peak_dau=max(self.plan.dau(day)[1] for day in range(len(month_dates(self.plan.options.month)))),
            monthly_users=self.plan.monthly_users() if book.mau else 0,
            peak_groups=totals.get("peak_groups", (0, 0))[1],
            call_seconds=totals.get("call_seconds", {}),
        )
        return bill(book, self.plan.options.app_plan, usage)

    def _pace(self) -> str:
        load, reached = self.load, self.load.reached(self.machine)
        if all(pace.is_at_once for pace in load.paces):
            return f"as fast as it goes, some {reached:,.0f}/s"
        if reached < load.rate:
            return f"at {reached:,.0f}/s: this machine hardly reaches the planned {load.rate:,.0f}/s"
        return f"at {reached:,.0f}/s as planned"

    def _created(self) -> str:
        options = self.options
        app = f"nothing new: app {options.sdkappid} is there" if options.sdkappid else "an app"
        where = "on a server of its own, which ends with the run" if options.host is None else f"on {options.host}"
        return f"{app} {where}; {options.runs}/{self.scenario}-… of some {size(self.load.run_bytes)}"

    def _needed(self) -> Iterator[str]:
        needs, machine = self.load.needs(), self.machine
        yield f"{size(needs.memory_bytes)} of memory, {size(machine.memory_bytes)} are free"
        yield f"{size(needs.disk_bytes)} of disk, {size(machine.disk_bytes)} are free"
        yield f"{needs.descriptors:,} descriptors in one process, {machine.descriptors:,} are allowed"
        where = f"each of {len(self.sources)} addresses" if self.sources else "its address"
        yield f"{needs.connections:,} ports at once, {where} has {machine.ports:,}"
        if not self.load.is_embedded:
            yield f"{self.options.host} has needs of its own, which are not looked at"


def of(  # noqa: PLR0913 -- a run, and where it is to be played
    scenario: str,
    options: RunOptions,
    machine: Machine,
    *,
    workers: int,
    drivers: int,
    app: Mapping[str, Any] | None = None,
) -> DryRun:
    """Look at a run that was asked for; nothing is started or written. `app` is the status of one that exists.

    Raises WrongInputError for a price list that there is not.
    """
    plan, name = options.plan, options.price_book or DEFAULT_BOOK
    if app is not None:
        name = str(app["price_book"])
        if app["plan"] != plan.options.app_plan:
            plan = plan_of(replace(plan.options, app_plan=app["plan"]))
    sizes = plan.rough_sizes()
    load = Load(
        paces=_paces(plan, sizes),
        busiest_rows=max(sizes.values(), default=0),
        users=max((plan.dau(day)[1] for day in sizes), default=0),
        rate=options.rate,
        doors=plan.doors,
        has_own_connections=options.connections == PER_USER,
        roams=plan.roams,
        groups=plan.totals().get("peak_groups", (0, 0))[1],
        is_embedded=options.host is None,
        workers=workers,
        drivers=drivers,
    )
    return DryRun(
        scenario, options, plan, _book(name, plan.first_day, plan.options.app_plan, options.host), load, machine
    )


def _paces(plan: Plan, sizes: Mapping[int, int]) -> list[Pace]:
    """One for each phase; where a day's phases do not say how many they are, the first has all."""
    left = dict(sizes)
    return [
        Pace(
            rows=left.pop(phase.day, 0) if phase.count is None else phase.count,
            steps=len(phase.steps_ms()),
            is_at_once=phase.is_at_once,
        )
        for phase in plan.phases
    ]


def _book(name: str, opened: date, app_plan: str, host: str | None) -> PriceBook | None:
    book = book_of_app_opened(SITE, opened) if name == BY_OPENING_DAY else price_books().get(name)
    if book is None and host is None:
        known = (
            f"no list is known of {opened}" if name == BY_OPENING_DAY else f"choose one of {', '.join(price_books())}"
        )
        raise WrongInputError(f"--price-book {name!r}: {known}")
    if book is not None and app_plan not in book.plan_fee:
        raise WrongInputError(f"--price-book {name}: it has no plan {app_plan}, only {', '.join(book.plan_fee)}")
    return book


def _changed(change: Change) -> str:
    room = "" if change.capacity is None else f"at {change.capacity:.0%}"
    hour, minute = divmod(change.at_ms // 60_000, 60)
    return f"{' '.join(filter(None, (change.state, room)))} at {hour:02}:{minute:02} of day {change.day + 1}"


def duration(seconds: float) -> str:
    """Write a length of time for people.

    >>> duration(8.2), duration(75), duration(4_050)
    ('8 s', '1 min 15 s', '1 h 7 min')
    """
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 -- a minute
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    return f"{minutes} min {left} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004 -- an hour

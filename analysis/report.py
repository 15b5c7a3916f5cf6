"""The report: one self-contained page, verdict first, the same bytes for the same run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from analysis import access_plots, access_words, cap_series, figures, latencies, pages, regrets, run_files
from analysis.access import POLICY_WORDS
from analysis.audit import ACCESS, CAPS, COMPLETENESS, DIFFERENCES, Audit
from analysis.billing_days import iso
from analysis.bills import ABSENT, Bill, Line, money, price
from analysis.headlines import headlines
from analysis.latencies import Latencies, quantile
from analysis.plans import plans
from analysis.verdict import Verdict
from analysis.volumes import DayOfGroups
from analysis.witnesses import WITNESSES, Summary

CAP_PLOTS_MAX: Final = 3
SLICES: Final = 120
"""Of the run's time in the plot of latency over time."""

_TITLES: Final = {"passed": "Passed", "failed": "Failed", "invalid": "Invalid"}
_MARKS: Final = {"passed": "✓", "failed": "✕", "invalid": "!"}
_SHARES: Final = (("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999), ("most", 1.0))


@dataclass(frozen=True, slots=True)
class Step:
    """A step from the log to the bill; `share` (0 to 1) is the width of its bar, None without one."""

    label: str
    figure: str
    note: str
    share: float | None


def write(verdict: Verdict, folder: Path) -> None:
    """Write the page; raises OSError."""
    pages.write(page(verdict), folder / run_files.REPORT)


def page(verdict: Verdict) -> str:
    """Return the page as HTML."""
    audit = verdict.audit
    whole = audit.run.whole
    times = whole.latencies if whole else latencies.of(audit.run.ledger.answered)
    return pages.render(
        "report_page.html",
        verdict=verdict,
        audit=audit,
        run=audit.run,
        terms=audit.terms,
        bill=audit.bill,
        mark=_MARKS[verdict.outcome],
        title=_TITLES[verdict.outcome],
        headlines=headlines(audit),
        item=item,
        witnesses=_witnesses(audit),
        has_users=_has_users(audit),
        steps=waterfall(audit),
        outlook=verdict.outlook,
        latency=_table(times),
        plots=_plots(audit, times),
        cap_plots=_cap_plots(audit),
        cap_sources=plans().sources if audit.caps else (),
        group_days=_group_days(audit),
        group_plots=_group_plots(audit),
        access=audit.access,
        access_words=access_words,
        access_plots=_access_plots(audit),
        policy_words=POLICY_WORDS,
        least_ms=regrets.LEAST_MS,
        groups=[
            (title, checks)
            for title, group in (
                ("Is everything there?", COMPLETENESS),
                ("Do the witnesses agree?", DIFFERENCES),
                ("Did users reach the right access point?", ACCESS),
                ("Did the caps hold, both ways?", CAPS),
            )
            if (checks := [check for check in audit.checks if check.group == group])
        ],
        settings=_settings(audit),
    )


def waterfall(audit: Audit) -> list[Step]:
    """Lead from the rows of the ledger to the cents of the bill, one reduction a step."""
    if not (audit.terms and audit.peak and audit.bill):
        return []
    if not _has_users(audit):
        return _volume_steps(audit, audit.bill)
    days = audit.terms.days
    in_month = [(key, n) for key, n in audit.counts.ledger.codes.items() if key[0] in days]
    rows = audit.run.rows
    valid = sum(n for _, n in in_month)
    admitted = sum(n for (_, code), n in in_month if code == 0)
    distinct = sum(n for day, n in audit.counts.ledger.dau.items() if day in days)
    top = audit.peak
    answered = "logins answered in the month" if audit.counts.ledger.others else "answered in the month"
    counts = [
        ("requests in the ledgers", rows, "every planned request, answered or not"),
        (answered, valid, "the outcome is known, the day is one of the month's"),
        ("successful", admitted, f"{valid - admitted:,} refused"),
        ("distinct users a day, all days", distinct, "a user counts once a day, however often and on how many devices"),
        ("on the peak day", top.dau, iso(top.day) if top.day is not None else "nobody logged in"),
    ]
    line = audit.bill.dau or audit.bill.line("mau")
    if line and line.item == "mau":
        counts.append(("in the month", line.quantity, "a user counts once a month, on however many days"))
    if line:
        counts.append(("above the free quota", max(0, line.quantity - line.free), f"{line.free:,} are free"))
    steps = [Step(what, f"{n:,}", note, n / max(1, rows)) for what, n, note in counts]
    if line is None:
        return [*steps, Step("charged", money(0), f"{audit.terms.plan} refuses instead of charging", None)]
    unit = f"started {line.per:,} at {price(line.unit_price)} {audit.bill.currency}"
    return [
        *steps,
        Step("units", f"{line.units:,}", unit, None),
        Step(f"{line.item.upper()} overage", f"{money(line.amount_cents)}", audit.bill.currency, None),
    ]


def _volume_steps(audit: Audit, bill: Bill) -> list[Step]:
    """Lead to the lines of groups and calls, where nobody logged in."""
    rows = max(1, audit.run.rows)
    counts = [("requests in the ledgers", rows, "every planned request, answered or not")]
    if days := dict(_group_days(audit)):
        counts.append(("groups made", sum(day.made for day in days.values()), "refused creations are none"))
        counts.append(("destroyed", sum(day.destroyed for day in days.values()), "they count no more"))
    steps = [Step(what, f"{n:,}", note, n / rows) for what, n, note in counts]
    if (groups := bill.line("groups")) and groups.quantity:
        excess = max(0, groups.quantity - groups.free)
        steps += [
            Step("groups at the peak", f"{groups.quantity:,}", "net, at any instant of the month", None),
            Step("above the free ones", f"{excess:,}", f"{groups.free:,} are free", None),
        ]
    lines = [line for line in bill.lines if line.quantity and line.item != "plan"]
    return steps + [
        Step(
            item(line, ""),
            money(line.amount_cents),
            f"{line.units:,} at {price(line.unit_price)} {bill.currency}",
            None,
        )
        for line in lines
    ]


def item(line: Line, plan: str) -> str:
    """Name a line for people."""
    names = {"plan": f"plan fee, {plan}", "dau": "DAU overage", "mau": "MAU overage", "groups": "groups overage"}
    return names.get(line.item, line.item.replace("call_", "call minutes, ").replace("full_hd", "Full HD"))


def _witnesses(audit: Audit) -> list[tuple[str, str, Summary | None]]:
    """Each with the sign that stands between it and the one before, of those that are there."""
    rows: list[tuple[str, str, Summary | None]] = []
    before = None
    for name in WITNESSES:
        stated, sign = audit.summaries[name], ""
        if before and stated:
            # A plan may leave a range: what lies in it is no difference, and may not be equal either.
            sign = "=" if stated.agrees_with(before) else "≠" if audit.differences else ""
        rows.append((name, sign, stated))
        before = stated or before
    return rows


def _has_users(audit: Audit) -> bool:
    """Whether a run is about users: somebody logged in, or nothing else was asked for."""
    return any(audit.counts.ledger.dau.values()) or not audit.counts.ledger.others


def _plots(audit: Audit, times: Latencies) -> dict[str, Markup | None]:
    plots: dict[str, Markup | None]
    plots = dict.fromkeys(("wide", "narrow", "percentiles", "over_time"))
    if audit.terms and audit.bill and _has_users(audit):
        for width in ("wide", "narrow"):
            svg = figures.dau_by_day(audit.counts.ledger.dau, audit.terms, audit.bill, narrow=width == "narrow")
            plots[width] = pages.inline(svg)
    if len(times.service_ms):
        plots["percentiles"] = pages.inline(figures.percentiles(times))
        if not audit.run.whole:
            line = latencies.timeline(audit.run.ledger.answered, SLICES)
            plots["over_time"] = pages.inline(figures.over_time(line))
    return plots


def _cap_plots(audit: Audit) -> list[tuple[Markup, Markup]]:
    """Each wide and narrow."""
    return [
        (pages.inline(figures.cap_over_time(one, narrow=False)), pages.inline(figures.cap_over_time(one, narrow=True)))
        for one in cap_series.of_audit(audit)[:CAP_PLOTS_MAX]
    ]


def _access_plots(audit: Audit) -> dict[str, tuple[Markup, Markup]]:
    """Each wide and narrow; none where nobody came in."""
    access = audit.access
    if access is None or not access.users:
        return {}
    offset_ms = audit.run.offset_ms
    both = (False, True)
    drawn = {
        "world": [access_plots.world(access, narrow=narrow) for narrow in both],
        "load": [access_plots.load_over_time(access, narrow=narrow) for narrow in both],
        "hours": [access_plots.by_hour(access, offset_ms=offset_ms, narrow=narrow) for narrow in both],
    }
    return {name: (pages.inline(wide), pages.inline(narrow)) for name, (wide, narrow) in drawn.items()}


def _group_plots(audit: Audit) -> list[Markup]:
    """Wide and narrow; none where there is but one day."""
    days = dict(_group_days(audit))
    if audit.terms is None or len(days) <= 1:
        return []
    month = audit.terms.days
    return [pages.inline(figures.groups_by_day(days, month, narrow=narrow)) for narrow in (False, True)]


def _group_days(audit: Audit) -> list[tuple[int, DayOfGroups]]:
    volume = audit.counts.journal_volume or audit.counts.ledger_volume
    return sorted(volume.groups_by_day.items())


def _table(times: Latencies) -> list[tuple[str, list[str]]]:
    return [
        (name, [_ms(quantile(values, share)) for values in (times.service_ms, times.response_ms, times.late_ms)])
        for name, share in _SHARES
    ]


def _ms(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.2f}"


def _settings(audit: Audit) -> list[tuple[str, str]]:
    run = audit.run
    rows: list[tuple[str, Any]] = []
    if run.plan:
        plan = run.plan
        rows += [
            ("scenario", plan.scenario),
            ("seed", plan.seed),
            ("app", f"{plan.app.sdkappid}, plan {plan.app.plan}, price book {plan.app.price_book}"),
            ("billing days begin at", f"UTC{plan.readings.billing_offset_ms / 3_600_000:+g}"),
            ("who counts", f"{plan.readings.dau}: a user with a successful login that day"),
            ("day of the charge", plan.readings.charge_day),
            *(
                (f"option {name}", value if isinstance(value, str) else json.dumps(value))
                for name, value in sorted(plan.options.items())
            ),
        ]
    if run.manifest:
        rows += [
            ("started at", run.manifest.started_at),
            ("duration", f"{run.manifest.duration_s:,.1f} s"),
            ("server", ", ".join(str(value) for value in run.manifest.server.values())),
        ]
    return [(name, str(value) or ABSENT) for name, value in rows]

"""What a run's access points did, for people in a line or two, and for scripts as a part of `verdict.json`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from analysis.access import POLICY_WORDS, AccessAudit
from analysis.audit import Audit
from analysis.billing_days import DAY_MS, iso
from analysis.documents import PlannedDay
from analysis.outages import DOWN, RECOVERED_SHARE, Outage

RECOVERED: Final = f"{RECOVERED_SHARE:.0%}".replace("%", " %")
_MINUTE_MS: Final = 60_000


def headlines(access: AccessAudit) -> Iterator[str]:
    """Say whether everybody came in where they belong, and what the largest outage did."""
    words = POLICY_WORDS[access.access.policy]
    if access.routed:
        right = f"all {access.routed:,}" if not access.wrong else f"{access.wrong:,} of {access.routed:,}"
        place = "at the access point that is due" if not access.wrong else "at a wrong access point"
        spilled = f"; {access.spilled_users:,} of {access.users:,} users not at their first choice all the time"
        yield f"{right} logins and resumes {place}, by {words}{spilled if access.spilled_users else ''}"
    if access.outages:
        largest = max(access.outages, key=lambda outage: outage.sessions)
        rest = len(access.outages) - 1
        others = f"; {rest} more outage{'' if rest == 1 else 's'}" if rest else ""
        yield f"{access.name_of(largest.code)} {sentence(largest)}{others}"


def sentence(outage: Outage) -> str:
    """Say how an outage went."""
    verb = "lost" if outage.state == DOWN else "drained"
    with_users = f"{verb} with {outage.sessions:,} sessions online"
    if not outage.sessions:
        return with_users
    again = f"{outage.online_again:,} of them online again"
    if outage.recovery_s is not None:
        again = f"{RECOVERED} online elsewhere after {outage.recovery_s:.2f} s"
    refused = f"{outage.resumes_refused:,} refused" if outage.resumes_refused else "none refused"
    return f"{with_users}: {again}, at most {outage.storm_per_second:,} reconnects/s, {refused}"


def document(audit: Audit) -> dict[str, Any] | None:
    """Return the key `access` of `verdict.json`; None in a run that is not about access points."""
    access = audit.access
    if access is None:
        return None
    asked = access.access
    return {
        "policy": asked.policy,
        "pin": sorted(asked.pin),
        "routed": access.routed,
        "not_asked": access.not_asked,
        "wrong": access.wrong,
        "stale": access.stale,
        "wrong_logins": [asdict(wrong) for wrong in access.wrong_logins],
        "users": access.users,
        "spilled_users": access.spilled_users,
        "points": [asdict(load) for load in access.loads],
        "regret": [asdict(regret) for regret in access.regrets],
        "outages": [_outage(audit, outage) for outage in access.outages],
    }


def at_app_time(audit: Audit, app_ms: int) -> str:
    """Write the app's time as date and time of the billing day."""
    day, rest_ms = divmod(app_ms + audit.run.offset_ms, DAY_MS)
    hours, minutes = divmod(rest_ms // _MINUTE_MS, 60)
    return f"{iso(day)} {hours:02}:{minutes:02}"


def counted(audit: Audit, day: int) -> tuple[int, int | None]:
    """Return a day's DAU by the ledger, and as it was planned without any outage; None where it is a race."""
    days = audit.run.plan.days if audit.run.plan else []
    planned = next((one for one in days if one.day == iso(day)), None)
    return audit.counts.ledger.dau.get(day, 0), _certain(planned)


def _certain(planned: PlannedDay | None) -> int | None:
    return planned.dau_max if planned and planned.dau_min == planned.dau_max else None


def _outage(audit: Audit, outage: Outage) -> dict[str, Any]:
    dau, dau_planned = counted(audit, outage.day)
    return {
        "access_point": outage.code,
        "state": outage.state,
        "at": at_app_time(audit, outage.app_ms),
        "lost_s": outage.lost_us / 1e6,
        "until_s": None if outage.until_us is None else outage.until_us / 1e6,
        "sessions": outage.sessions,
        "users": outage.users,
        "online_again": outage.online_again,
        "recovery_s": outage.recovery_s,
        "reconnects": outage.reconnects,
        "storm_per_second": outage.storm_per_second,
        "resumes_refused": outage.resumes_refused,
        "dau": dau,
        "dau_planned": dau_planned,
    }

"""Visits: the logins and resumes of a run in columns, with the place that each came from and the point it came in at.

Knows how a ledger and `access.json` name places, points and versions of the routing table. Judges nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.billing_days import day_of
from analysis.documents import Access, AccessChange
from analysis.ledgers import REPEATED_KINDS, Ledger
from analysis.places import AccessPoint, AccessPoints, Places, access_points
from analysis.recount import SESSION_VERBS
from analysis.routing_oracle import Health

UNKNOWN: Final = -1
"""The number of a point or a state that is not known, the version of what did not ask dispatch, and no answer."""
UP: Final = "up"
PERCENT: Final = 100

_COLUMNS: Final = (
    "row", "user", "verb", "kind", "platform", "country", "city", "access_point", "connection", "routing_version",
    "planned_app_ms", "sent_us", "answered_us", "app_before_ms", "code",
)  # fmt: skip

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Visits:
    """A row for each login or resume that was sent, all columns of the same length.

    `place` is a number of `places()`, `point` of the table of access points, `state` of a list of states, by the
    version of the routing table; `session` names a user on a device.
    """

    row: Ints
    user: Ints
    session: Ints
    day: Ints
    planned_app_ms: Ints
    place: Ints
    point: Ints
    version: Ints
    state: Ints
    connection: Ints
    sent_us: Ints
    answered_us: Ints
    code: Ints
    """UNKNOWN where nothing was answered; codes of refusals are positive."""
    is_resume: Bools
    is_beside: Bools
    """Not of the plan: a reconnect, or a repeated login."""

    @property
    def is_admitted(self) -> Bools:
        return np.asarray(self.code == 0)


def points_of(access: Access) -> AccessPoints:
    """Return our table of access points, with those of the run's that it does not know."""
    stated = [AccessPoint(point.code, point.name, point.latitude, point.longitude) for point in access.points]
    return access_points().with_added(stated)


def versions_of(access: Access) -> Ints:
    """Return the version from which each state holds, the start first."""
    return np.array([access.start_version, *(change.version for change in access.changes)], np.int64)


def states_of(access: Access, points: AccessPoints) -> list[Health]:
    """Return how all points were at the start, and after each change."""
    is_up, capacity = np.ones(len(points.points), bool), np.full(len(points.points), PERCENT, np.int64)
    states = [Health(is_up, capacity)]
    for change in access.changes:
        is_up, capacity = is_up.copy(), capacity.copy()
        if (number := points.number_of.get(change.code)) is not None:
            is_up[number], capacity[number] = change.state == UP, round(change.capacity * PERCENT)
        states.append(Health(is_up, capacity))
    return states


def known_states(changes: Sequence[AccessChange], sent_us: Ints) -> Ints:
    """Return the state that certainly held when something was sent: the calls before it had been answered."""
    return np.searchsorted(np.array([change.after_us for change in changes], np.int64), sent_us)


def of(ledger: Ledger, access: Access, points: AccessPoints, places: Places, offset_ms: int) -> Visits:
    """Take what was sent of the ledger, answered or not."""
    frames = [ledger.answered, *(rest for rest in (ledger.settled, ledger.open) if len(rest))]
    frame = pd.concat([one[list(_COLUMNS)] for one in frames]) if len(frames) > 1 else ledger.answered
    wanted = frame["verb"].isin(SESSION_VERBS) & frame["sent_us"].notna()
    if not wanted.all():
        frame = frame[wanted]
    numbers = {
        name: frame[name].fillna(UNKNOWN).to_numpy(np.int64)
        for name in ("row", "user", "connection", "routing_version", "sent_us", "answered_us", "code")
    }
    platforms = len(frame["platform"].cat.categories)
    version = numbers["routing_version"]
    app_ms = frame["app_before_ms"].fillna(frame["planned_app_ms"]).astype("int64")
    return Visits(
        row=numbers["row"],
        user=numbers["user"],
        session=numbers["user"] * platforms + _codes(frame["platform"]),
        day=np.asarray(day_of(app_ms, offset_ms), np.int64),
        planned_app_ms=frame["planned_app_ms"].to_numpy(np.int64),
        place=_places(frame, places),
        point=_points(frame["access_point"], points),
        version=version,
        state=np.where(version == UNKNOWN, UNKNOWN, np.searchsorted(versions_of(access), version, side="right") - 1),
        connection=numbers["connection"],
        sent_us=numbers["sent_us"],
        answered_us=numbers["answered_us"],
        code=numbers["code"],
        is_resume=_is_one_of(frame["verb"], ("resume",)),
        is_beside=_is_one_of(frame["kind"], REPEATED_KINDS),
    )


def _codes(column: pd.Series) -> Ints:
    codes: Ints = np.asarray(column.cat.codes, np.int64)
    return codes


def _is_one_of(column: pd.Series, names: Sequence[str]) -> Bools:
    found: Bools = np.asarray(column.cat.categories.isin(names))[_codes(column)]
    return found


def _points(column: pd.Series, points: AccessPoints) -> Ints:
    numbers = np.array([points.number_of.get(code, UNKNOWN) for code in column.cat.categories] or [UNKNOWN], np.int64)
    found: Ints = numbers[_codes(column)]
    return found


def _places(frame: pd.DataFrame, places: Places) -> Ints:
    """Look each pair of country and city up once."""
    countries, cities = frame["country"].cat.categories, frame["city"].cat.categories
    pair = _codes(frame["country"]) * len(cities) + _codes(frame["city"])
    is_there = np.zeros(len(countries) * len(cities), bool)
    is_there[pair] = True
    numbers = np.full(len(is_there), UNKNOWN, np.int64)
    for at in np.flatnonzero(is_there).tolist():
        country, city = divmod(at, len(cities))
        numbers[at] = places.number_of(str(countries[country]), str(cities[city]))
    found: Ints = numbers[pair]
    return found

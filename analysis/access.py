"""How the users of a run reached the cloud: every login and resume routed again, and what the app's policy cost them.

Where a login belongs is the oracle's word, under the states that held at the version of the routing table by which the
client chose. What became of lost access points stands in `outages`, what the server wrote down in `access_journal`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from analysis import access_journal, outages, places, regrets, spread, visits
from analysis.documents import Access
from analysis.findings import EXAMPLES_MAX, Finding, error, listed, rows, warning
from analysis.loading import Run
from analysis.outages import Online, Outage
from analysis.places import AccessPoints, Places, access_points
from analysis.regrets import Regret
from analysis.routing_oracle import (
    CLIENT_PROBE,
    GREAT_CIRCLE,
    LATENCY_TABLE,
    NOWHERE,
    Choice,
    Health,
    Measured,
    Oracle,
    Questions,
)
from analysis.spread import Load
from analysis.visits import UNKNOWN, Bools, Ints, Visits

WRONG_LISTED_MAX: Final = 20
"""The verdict lists so many wrong logins and counts the others."""
EMBEDDED: Final = "embedded"


@dataclass(frozen=True, slots=True)
class WrongLogin:
    """A login or resume that came in elsewhere than it belonged."""

    row: int
    user_id: str
    country: str
    city: str
    routing_version: int
    access_point: str
    belongs_to: str
    """Empty where no point might serve the user."""
    extra_ms: float | None
    """By the latency table; None where there is nothing to compare with."""


@dataclass(frozen=True)
class AccessAudit:
    """Everything that is known of a run's access points."""

    access: Access
    points: AccessPoints
    visits: Visits
    routed: int
    """Logins and resumes that the oracle has judged."""
    not_asked: int
    """Those without a version: dispatch was not asked."""
    wrong: int
    wrong_logins: tuple[WrongLogin, ...]
    """The first of them."""
    stale: int
    """Those that a newer answer would have sent elsewhere, though the change had been made before they were sent."""
    users: int
    spilled_users: int
    """Who came in elsewhere than at their first choice, at least once."""
    loads: tuple[Load, ...]
    """The busiest first, without those that nobody used or would have preferred."""
    regrets: tuple[Regret, ...]
    outages: tuple[Outage, ...]
    online: Online
    findings: tuple[Finding, ...]
    unproven: tuple[str, ...]
    """What no witness of this run can show."""

    def name_of(self, code: str) -> str:
        """Return a point's name for people; its code where it has none."""
        number = self.points.number_of.get(code)
        return code if number is None else self.points.points[number].name


def audit(run: Run, access: Access) -> AccessAudit:
    """Route the whole ledger again."""
    points, world = visits.points_of(access), places.places()
    states = visits.states_of(access, points)
    come = visits.of(run.ledger, access, points, world, run.offset_ms)
    judge = _Judge(run, access, points, world, states, come)
    is_wrong, belongs = judge.wrong()
    lost, online = outages.of(access, come, points, run.offset_ms)
    first = judge.oracle.first_choices()
    users = len(pd.unique(come.user[come.is_admitted]))
    return AccessAudit(
        access=access,
        points=points,
        visits=come,
        routed=int(judge.is_judged.sum()),
        not_asked=int((come.version == UNKNOWN).sum()),
        wrong=int(is_wrong.sum()),
        wrong_logins=tuple(judge.listed(is_wrong, belongs)),
        stale=judge.stale(),
        users=users,
        spilled_users=spread.spilled(come, first),
        loads=tuple(spread.loads(come, points, first)),
        regrets=tuple(regrets.of(access, come, judge.oracle_of, states, judge.user_ids)),
        outages=tuple(lost),
        online=online,
        findings=(*_points_differ(access), *judge.findings(is_wrong, belongs), *outages.findings(lost, come)),
        unproven=(*judge.unproven(), *access_journal.unproven(run.journal, access)),
    )


class _Judge:
    """A run's visits before the oracle."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a run is judged by
        self, run: Run, access: Access, points: AccessPoints, world: Places, states: Sequence[Health], come: Visits
    ) -> None:
        self._run, self._access, self._points, self._states, self._come = run, access, points, states, come
        self._names = [f"{country}/{city}" if city else country for country, city in world.names]
        self._places = list(zip(self._names, world.latitudes, world.longitudes, strict=True))
        self._choice = Choice(access.policy, frozenset(access.pin))
        self._measured = Measured(access.latency_table or {}, access.probes)
        is_short = any((state.capacity_percent < visits.PERCENT).any() for state in states)
        # UserIDs decide only where some point has not room for all.
        self.user_ids = run.ledger.user_ids.to_pylist() if is_short else []
        self.oracle = self.oracle_of(access.policy)
        self._is_known = (come.state != UNKNOWN) & (come.place != places.UNKNOWN) & (come.point != UNKNOWN)
        self.is_judged: Bools = self._is_known if self._unprovable() is None else np.zeros_like(self._is_known)

    def oracle_of(self, policy: str) -> Oracle:
        return Oracle(self._points, self._places, Choice(policy, self._choice.pin), self._measured)

    def _unprovable(self) -> str | None:
        """Say why nobody can know where logins of this run belong."""
        policy, server = self._access.policy, self._run.manifest.server if self._run.manifest else {}
        if policy == CLIENT_PROBE and not self._access.probes:
            return "at which access point each login belonged: what clients measured is not in access.json"
        if policy == LATENCY_TABLE and self._access.latency_table is None and server.get("kind") != EMBEDDED:
            return "at which access point each login belonged: the server may know measured round trips of its own"
        return None

    # --- right and wrong --------------------------------------------------------------------------

    def wrong(self) -> tuple[Bools, Ints]:
        """Tell the wrong visits, and the point to which each judged one belongs."""
        belongs = np.full(len(self._come.row), NOWHERE, np.int64)
        judged = np.flatnonzero(self.is_judged)
        belongs[judged] = self._routed(self.oracle, judged, self._come.state[judged])
        return self.is_judged & (belongs != self._come.point), belongs

    def stale(self) -> int:
        """Count who followed an old answer to another point than the state that was certain would have given."""
        known = visits.known_states(self._access.changes, self._come.sent_us)
        late = np.flatnonzero(self.is_judged & (self._come.state < known))
        return int((self._routed(self.oracle, late, known[late]) != self._come.point[late]).sum())

    def _routed(self, oracle: Oracle, at: Ints, state: Ints) -> Ints:
        asked = Questions(self._come.place[at], state, self._come.user[at])
        return oracle.routed(asked, self._states, self.user_ids)

    def listed(self, is_wrong: Bools, belongs: Ints) -> list[WrongLogin]:
        """Describe the first wrong visits by their row."""
        come, codes = self._come, self._points.codes
        at = np.flatnonzero(is_wrong)
        first = at[np.argsort(come.row[at], kind="stable")][:WRONG_LISTED_MAX]
        found = []
        for number in first.tolist():
            place, point, right = come.place[number], come.point[number], belongs[number]
            country, _, city = self._names[place].partition("/")
            ms = self.oracle.latency_ms[place]
            found.append(
                WrongLogin(
                    int(come.row[number]),
                    self._run.ledger.user_ids[int(come.user[number])].as_py(),
                    country,
                    city,
                    int(come.version[number]),
                    codes[point],
                    codes[right] if right != NOWHERE else "",
                    round(float(ms[point] - ms[right]), 1) if right != NOWHERE else None,
                )
            )
        return found

    def findings(self, is_wrong: Bools, belongs: Ints) -> list[Finding]:
        found = []
        if is_wrong.any():
            first = "; ".join(_case(wrong) for wrong in self.listed(is_wrong, belongs)[:EXAMPLES_MAX])
            text = (
                f"{rows(int(is_wrong.sum()))} of the ledger came in at another access point than by "
                f"{POLICY_WORDS[self._access.policy]} at their version of the routing table, the first are {first}"
            )
            found.append(error("wrong_access_point", text))
        come = self._come
        offered = np.array([state.is_up for state in self._states]) & [
            self._choice.pin == frozenset() or code in self._choice.pin for code in self._points.codes
        ]
        at = np.flatnonzero(self._is_known & ~self.is_judged)
        if refused := int((~offered[come.state[at], come.point[at]]).sum()):
            text = f"{rows(refused)} of the ledger came in at an access point that was not up, or not in the app's pin"
            found.append(error("access_point_not_offered", text))
        return found

    def unproven(self) -> list[str]:
        texts = [] if (why := self._unprovable()) is None else [why]
        unknown = int((~self._is_known & (self._come.version != UNKNOWN)).sum())
        if unknown:
            texts.append(
                f"where {rows(unknown)} of the ledger belonged: their place, their access point or their version of "
                "the routing table is unknown here"
            )
        return texts


def _points_differ(access: Access) -> list[Finding]:
    """Hold the run's copy of the access points against ours."""
    ours = {point.code: point for point in access_points().points}
    stated = {point.code: point for point in access.points}
    moved = [
        f"{code} lies at {stated[code].latitude:g}, {stated[code].longitude:g} instead of "
        f"{ours[code].latitude:g}, {ours[code].longitude:g}"
        for code in sorted(ours.keys() & stated.keys())
        if (stated[code].latitude, stated[code].longitude) != (ours[code].latitude, ours[code].longitude)
    ]
    missing = [f"{code} is missing" for code in sorted(ours.keys() - stated.keys())]
    found = []
    if moved or missing:
        found.append(error("access_points_differ", f"the run's access points are not ours: {listed(moved + missing)}"))
    if added := sorted(stated.keys() - ours.keys()):
        text = f"access points of the run that are not in our table are taken as it says: {listed(added)}"
        found.append(warning("access_points_added", text))
    return found


def _case(wrong: WrongLogin) -> str:
    place = f"{wrong.country}/{wrong.city}" if wrong.city else wrong.country
    belongs = wrong.belongs_to or "nowhere"
    return f"row {wrong.row:,} from {place} at version {wrong.routing_version} at {wrong.access_point}, not {belongs}"


POLICY_WORDS: Final[Mapping[str, str]] = {
    GREAT_CIRCLE: "the great circle",
    LATENCY_TABLE: "the latency table",
    CLIENT_PROBE: "what clients measured",
}

"""How the users of a run spread over the access points, and who did not come in where they would prefer to."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import places
from analysis.places import AccessPoints
from analysis.visits import UNKNOWN, Ints, Visits


@dataclass(frozen=True, slots=True)
class Load:
    """What an access point had to do: different users, and successful logins and resumes."""

    code: str
    name: str
    users: int
    logins: int
    resumes: int
    first_choice_users: int
    """For how many users it would be the best if every point were up and whole."""


def spilled(come: Visits, first: Ints) -> int:
    """Count the users who came in elsewhere than at the point that they would prefer to all others."""
    elsewhere = come.is_admitted & (come.place != places.UNKNOWN) & (come.point != first[come.place])
    return len(pd.unique(come.user[elsewhere]))


def loads(come: Visits, points: AccessPoints, first: Ints) -> list[Load]:
    count = len(points.points)
    admitted = come.is_admitted & (come.point != UNKNOWN)
    logins, resumes = (
        np.bincount(come.point[admitted & verb], minlength=count) for verb in (~come.is_resume, come.is_resume)
    )
    users = _users_by_point(come.user[admitted], come.point[admitted], count)
    preferred = np.where(come.place == places.UNKNOWN, UNKNOWN, first[come.place])
    known = come.is_admitted & (preferred != UNKNOWN)
    wanted = _users_by_point(come.user[known], preferred[known], count)
    found = [
        Load(point.code, point.name, *(int(column[number]) for column in (users, logins, resumes, wanted)))
        for number, point in enumerate(points.points)
        if users[number] or wanted[number]
    ]
    return sorted(found, key=lambda load: (-load.users, load.code))


def _users_by_point(user: Ints, point: Ints, count: int) -> Ints:
    return np.bincount(pd.unique(user * count + point) % count, minlength=count)

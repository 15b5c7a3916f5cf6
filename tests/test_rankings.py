"""Places ranked by the thousand are ranked as one by one."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server import catalogue
from mock_im_server.domain.geography import AccessPoint, Ranking
from mock_im_server.rankings import PLACES_AT_ONCE, BatchRanking

RANKING = Ranking(catalogue.load().access_points.values())
BATCH = BatchRanking(RANKING)

type_places = list[tuple[float, float]]


def batch_answers(places: type_places, batch: BatchRanking = BATCH, ranking: Ranking = RANKING) -> list[object]:
    order, metres = batch.nearest(*np.array(places, dtype=np.float64).reshape(-1, 2).T)
    return [
        [(ranking.points[index], metre / 1_000) for index, metre in zip(indices, distances, strict=True)]
        for indices, distances in zip(order.tolist(), metres.tolist(), strict=True)
    ]


def scalar_answers(places: type_places) -> list[object]:
    return [RANKING.nearest(*place) for place in places]


def test_places_all_over_the_earth() -> None:
    random = Random(7)
    places = [(random.uniform(-90, 90), random.uniform(-180, 180)) for _ in range(2 * PLACES_AT_ONCE + 17)]
    assert batch_answers(places) == scalar_answers(places)


def test_places_beside_the_points_and_beside_their_antipodes() -> None:
    random = Random(8)
    places = []
    for point in RANKING.points:
        for spread in (0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1):
            latitude = point.latitude + random.uniform(-spread, spread)
            longitude = point.longitude + random.uniform(-spread, spread)
            places += [(latitude, longitude), (-latitude, longitude - 180 if longitude > 0 else longitude + 180)]
    assert batch_answers(places) == scalar_answers(places)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=20))
def test_any_places(places: type_places) -> None:
    assert batch_answers(places) == scalar_answers(places)


def test_distances_about_half_metres_are_ranked_as_one_by_one() -> None:
    # One metre is 9e-6 degrees: steps of a hundredth of a millimetre over two metres meet every doubtful distance.
    places = [(37.0 + step * 9e-11, 127.0) for step in range(20_000)]
    assert batch_answers(places) == scalar_answers(places)


def test_more_points_than_fit_into_a_small_key() -> None:
    random = Random(9)
    ranking = Ranking(
        AccessPoint(f"{number:03d}", "", "XX", random.uniform(-90, 90), random.uniform(-180, 180))
        for number in range(200)
    )
    places = [(random.uniform(-90, 90), random.uniform(-180, 180)) for _ in range(100)]
    found = batch_answers(places, BatchRanking(ranking), ranking)
    assert found == [ranking.nearest(*place) for place in places]


@pytest.mark.parametrize("place", [(90.1, 0.0), (0.0, -180.1), (float("nan"), 0.0)])
def test_what_is_no_place_on_earth_is_refused(place: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="not places on earth"):
        batch_answers([(0.0, 0.0), place])


def test_without_access_points_there_is_nothing_to_rank() -> None:
    nothing = Ranking([])
    assert batch_answers([(0.0, 0.0), (1.0, 1.0)], BatchRanking(nothing), nothing) == [[], []]

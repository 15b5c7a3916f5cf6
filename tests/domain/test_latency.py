"""Round trips by distance, and the rows that replace them."""

from math import log
from statistics import fmean, median, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain.latency import JITTERS, LatencyModel, LatencyTable

MODEL = LatencyModel(base_ms=10.0, fibre_km_per_ms=200.0, detour=2.2, jitter_sigma=0.1)


def test_light_goes_there_and_back_on_a_longer_way() -> None:
    assert [MODEL.round_trip_ms(km) for km in (0.0, 100.0, 5_000.0)] == pytest.approx([10.0, 12.2, 120.0])


@given(st.floats(0, 20_016), st.floats(0, 20_016))
def test_what_is_further_takes_no_less_time(km: float, other: float) -> None:
    assert (km <= other) == (MODEL.round_trip_ms(km) <= MODEL.round_trip_ms(other)) or abs(km - other) < 1e-9


def test_measured_rows_stand_in_for_the_model_and_a_citys_for_its_countrys() -> None:
    table = LatencyTable(MODEL, {"KR": {"kr": 5.0, "jp": 33.0}, "KR/Busan": {"jp": 21.0}})
    asked = [("KR", "kr"), ("KR", "jp"), ("KR/Busan", "kr"), ("KR/Busan", "jp"), ("KR", "sg"), ("", "kr"), ("JP", "kr")]
    assert [table.round_trip_ms(place, code, 0.0) for place, code in asked] == [5.0, 33.0, 5.0, 21.0, 10.0, 10.0, 10.0]


def test_without_measured_rows_the_model_speaks() -> None:
    assert LatencyTable(MODEL).round_trip_ms("KR", "kr", 100.0) == MODEL.round_trip_ms(100.0)


def test_jitter_is_lognormal_with_median_one_and_the_same_for_the_same_seed() -> None:
    factors = MODEL.jitters(7)
    assert (len(factors), factors == MODEL.jitters(7), factors == MODEL.jitters(8)) == (JITTERS, True, False)
    assert median(factors) == pytest.approx(1.0, abs=0.01)
    logs = [log(factor) for factor in factors]
    assert (fmean(logs), stdev(logs)) == (pytest.approx(0.0, abs=0.01), pytest.approx(0.1, abs=0.01))

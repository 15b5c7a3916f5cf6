"""No planted defect is forgotten by the proofs, and what grows is told from what passes."""

import pytest

from mock_im_server.defects import DEFECTS
from proofs.__main__ import SHOWN_BY
from proofs.soak import kept_by

MIB = 1 << 20


def test_each_defect_is_met_by_a_scenario() -> None:
    assert SHOWN_BY.keys() == DEFECTS.keys()


@pytest.mark.parametrize(
    ("mib", "left", "is_flat"),
    [
        ([50, 90, 100, 100], 20, True),
        ([50, 90, 200, 205.9], 20, True),
        ([50, 90, 200, 206.5], 20, False),
        ([1, 2, 10, 10.9], 20, True),
        ([50, 90, 100, 90], 29, False),
    ],
    ids=["flat", "within three hundredths", "growing", "small", "descriptors left open"],
)
def test_memory_is_flat_or_it_is_not(mib: list[float], left: int, *, is_flat: bool) -> None:
    samples = [(int(size * MIB), 20) for size in mib for _ in range(5)]
    assert kept_by("server", samples, left).is_flat is is_flat


def test_what_only_passes_through_does_not_count() -> None:
    samples = [(100 * MIB, 20)] * 20
    samples[18] = 500 * MIB, 900
    assert kept_by("server", samples, 20).is_flat

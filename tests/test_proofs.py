"""No planted defect is forgotten by the proofs."""

from mock_im_server.defects import DEFECTS
from proofs.__main__ import SHOWN_BY


def test_each_defect_is_met_by_a_scenario() -> None:
    assert SHOWN_BY.keys() == DEFECTS.keys()

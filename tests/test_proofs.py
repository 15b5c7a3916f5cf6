"""No planted defect is forgotten by the proofs."""

from mock_im_server.defects import DEFECTS
from proofs.__main__ import MET_BY_NO_SCENARIO, SHOWN_BY


def test_each_defect_has_a_scenario_or_a_reason() -> None:
    assert SHOWN_BY.keys() | MET_BY_NO_SCENARIO.keys() == DEFECTS.keys()
    assert not SHOWN_BY.keys() & MET_BY_NO_SCENARIO.keys()

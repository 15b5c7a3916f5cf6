"""Which calls meet a fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.domain.faults import RULES_MAX, Fault, FaultRule, Faults, FaultsRefusedError

CREATE = "group_open_http_svc/create_group"


def met(faults: Faults, calls: int, *, api: str = CREATE, now_ms: int = 0) -> list[bool]:
    return [faults.meet(api, now_ms) is not None for _ in range(calls)]


def test_a_rule_says_how_late_and_with_which_code() -> None:
    assert Faults([FaultRule(api=CREATE, latency_ms=20, code=10002)]).meet(CREATE, 0) == Fault(20, 10002)


@pytest.mark.parametrize(
    ("pattern", "is_met"), [(CREATE, True), ("group_open_http_svc/*", True), ("*", True), ("openim/*", False)]
)
def test_a_rule_is_about_the_apis_that_it_names(pattern: str, *, is_met: bool) -> None:
    assert met(Faults([FaultRule(api=pattern, code=1)]), 1) == [is_met]


@pytest.mark.parametrize(("now_ms", "is_met"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_rule_holds_from_its_beginning_until_before_its_end(now_ms: int, *, is_met: bool) -> None:
    rule = FaultRule(api="*", code=1, from_ms=100, until_ms=200)
    assert met(Faults([rule]), 1, now_ms=now_ms) == [is_met]


def test_the_first_rule_that_is_met_decides() -> None:
    faults = Faults([FaultRule(api=CREATE, code=1), FaultRule(api="*", code=2)])
    assert [faults.meet(CREATE, 0), faults.meet("openim/sendmsg", 0)] == [Fault(0, 1), Fault(0, 2)]


@given(seed=st.integers(0, 2**32), share=st.floats(0.01, 1))
def test_the_same_seed_meets_the_same_calls(seed: int, share: float) -> None:
    rule = FaultRule(api="*", code=1, share=share, seed=seed)
    assert met(Faults([rule]), 30) == met(Faults([rule]), 30)


def test_a_share_is_met_by_about_so_many() -> None:
    assert 2_400 < sum(met(Faults([FaultRule(api="*", code=1, share=0.25)]), 10_000)) < 2_600


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (FaultRule(api="", code=1), "name an api"),
        (FaultRule(api="*"), "does nothing"),
        (FaultRule(api="*", code=1, share=0), "share 0"),
        (FaultRule(api="*", code=1, share=float("nan")), "share nan"),
        (FaultRule(api="*", latency_ms=-1), "latency_ms -1"),
        (FaultRule(api="*", latency_ms=60_001), "latency_ms 60001"),
        (FaultRule(api="*", code=1, from_ms=5, until_ms=5), "until_ms must be after"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_number(rule: FaultRule, said: str) -> None:
    with pytest.raises(FaultsRefusedError, match=rf"fault rule 2 .*{said}"):
        Faults([FaultRule(api="*", code=1), rule])


def test_there_is_a_most_of_rules() -> None:
    with pytest.raises(FaultsRefusedError, match="100 are the most"):
        Faults([FaultRule(api="*", code=1)] * (RULES_MAX + 1))

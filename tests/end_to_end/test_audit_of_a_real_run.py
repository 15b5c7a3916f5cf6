"""A run that the harness really played, spoilt in one place by a forger who mends sums and hashes, is red.

`tests/analysis/` spoils made-up runs in many more ways, `python -m proofs mutations` all of these at many places.
"""

from pathlib import Path
from random import Random

import pytest

from proofs.forging import Forgery
from proofs.mutations import MUTATIONS
from tests.analysis.judging import codes, judged
from tests.end_to_end.commands import Played

pytestmark = pytest.mark.slow


def test_a_rewritten_run_that_was_not_spoilt_passes(healthy: Played, tmp_path: Path) -> None:
    files = Forgery.of(healthy.run)
    files.bill()
    files.write(tmp_path / "run")
    verdict = judged(tmp_path / "run")
    assert (verdict.outcome, codes(verdict)) == ("passed", set())


@pytest.mark.parametrize(
    ("mutation", "outcome", "finding"),
    [
        ("ledger row dropped", "invalid", "ledger_rows_missing"),
        ("journal row dropped", "failed", "journal_row_missing"),
        ("days in utc", "failed", "counted_day_wrong"),
        ("every login counted", "failed", "dau_differs"),
        ("one unit more charged", "failed", "bill_differs"),
        ("last second counted on the next day", "failed", "counted_day_wrong"),
    ],
)
def test_a_spoilt_run_is_red(healthy: Played, tmp_path: Path, mutation: str, outcome: str, finding: str) -> None:
    files = Forgery.of(healthy.run)
    MUTATIONS[mutation](files, Random(7))
    files.write(tmp_path / "run")
    verdict = judged(tmp_path / "run")
    assert verdict.outcome == outcome
    assert finding in codes(verdict)

"""Early abort: what ledgers that still grow can say of a gate."""

import shutil
from pathlib import Path

import pytest

from analysis import early, gates, run_files
from analysis.loading import NotARunError
from tests.analysis.runs import a_recording


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 50 users a day as it stands in its middle: a plan, and a ledger that is cut inside a batch."""
    recording = a_recording()
    recording.batch_rows = 10
    run = recording.written(tmp_path_factory.mktemp("runs"), f"a_run{run_files.PARTIAL_SUFFIX}")
    for name in (run_files.MANIFEST, run_files.STATEMENT):
        (run / name).unlink()
    shutil.rmtree(run / run_files.JOURNAL_FOLDER)
    (path,) = (run / run_files.LEDGER_FOLDER).iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    return run


def _broken(run: Path, folder: Path, text: str) -> list[str]:
    path = folder / "gates.toml"
    path.write_text(f'[[gate]]\n{text}\nkind = "performance"\n')
    return [result.gate.metric for result in early.broken(gates.read(path), run)]


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ('metric = "dau.peak"\nat_most = 5\nabort = true', True),
        ('metric = "dau.peak"\nat_most = 5', False),
        ('metric = "dau.peak"\nat_most = 100\nabort = true', False),
        ('metric = "dau.peak"\nequals = 50\nabort = true', False),
        ('metric = "dau.peak"\nequals = 5\nabort = true', True),
        ('metric = "requests.refused"\nat_most = 0\nabort = true', True),
        ('metric = "bill.amount_cents"\nat_most = 0\nabort = true', False),
        ('metric = "latency.service_p95_ms"\nat_most = 0.001\nsamples_min = 20\nabort = true', True),
        ('metric = "latency.service_p95_ms"\nat_most = 0.001\nsamples_min = 20000\nabort = true', False),
        ('metric = "latency.service_p95_ms"\nat_most = 1000\nsamples_min = 20\nabort = true', False),
        ('metric = "requests.refused"\nwhere = { country = "XX" }\nat_most = 0\nabort = true', False),
        ('metric = "requests.refused"\nwhere = { hour = 0, code = 0 }\nat_most = 0\nabort = true', False),
    ],
)
def test_a_gate_is_broken_early_only_when_it_is_sure(
    growing: Path, tmp_path: Path, text: str, *, is_broken: bool
) -> None:
    assert bool(_broken(growing, tmp_path, text)) is is_broken


def test_a_run_that_has_not_begun_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(NotARunError):
        _broken(tmp_path, tmp_path, 'metric = "dau.peak"\nat_most = 5\nabort = true')

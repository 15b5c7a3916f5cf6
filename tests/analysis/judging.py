"""Judges recorded runs for tests, without a process of its own."""

from pathlib import Path

from analysis import gates, loading
from analysis.audit import audit
from analysis.verdict import Verdict


def judged(run: Path, gate_file: Path = gates.DEFAULT_FILE) -> Verdict:
    audited = audit(loading.load(run))
    return Verdict(audited, gates.evaluate(gates.read(gate_file), audited))


def codes(verdict: Verdict) -> set[str]:
    """Return the codes of the audit's findings; gates only repeat them."""
    return {finding.code for finding in verdict.audit.findings}

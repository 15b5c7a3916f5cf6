"""Early abort: which gates a run that still goes on has broken already, told from the ledgers so far.

A gate with `abort = true` on what only grows (refusals, DAU, cents) is broken for good once its bound is passed. On
what may still come right, a percentile or a rate, it needs `samples_min`, and is judged from that many samples on.
"""

from collections.abc import Iterable
from pathlib import Path

from analysis import gates, loading
from analysis.gates import Gate, Result
from analysis.metrics import METRICS, measure
from analysis.samples import Samples, SelectionError


def broken(chosen: Iterable[Gate], folder: Path) -> list[Result]:
    """Judge a run's directory as it is now; gates that may not abort, or have too few samples, are left out.

    Raises NotARunError while there is nothing to read.
    """
    samples = Samples(loading.load(folder))
    results = (_judged(gate, samples) for gate in chosen if gate.may_abort)
    return [result for result in results if result is not None and not result.passed]


def _judged(gate: Gate, samples: Samples) -> Result | None:
    try:
        measured = measure(gate.metric, samples, gate.selection)
    except SelectionError:
        return None  # Its label or day has not come yet.
    if measured.value is None or (measured.samples is not None and measured.samples < gate.samples_min):
        return None
    is_final = METRICS[gate.metric].grows
    if is_final and gate.rule == "equals" and not isinstance(gate.bound, str) and not isinstance(measured.value, str):
        # What only grows is on its way to its value: it is wrong when it is past it.
        passed = measured.value <= gate.bound
    else:
        passed = gates.holds(gate, measured.value)
    return Result(gate, measured.value, passed, measured.samples)

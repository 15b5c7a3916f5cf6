"""Measures the figures and writes them as a table and as JSON."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import big_audit
from benchmarks.durability import FIGURES as DURABILITY_FIGURES
from benchmarks.figures import FIGURES as FIRST_FIGURES
from benchmarks.figures import Result
from benchmarks.pages import FIGURES as PAGE_FIGURES
from benchmarks.quotas import FIGURES as QUOTA_FIGURES
from benchmarks.routing import FIGURES as ROUTING_FIGURES
from benchmarks.shared import FIGURES as SHARED_FIGURES
from benchmarks.shared import LONG_FIGURES

FIGURES = FIRST_FIGURES | ROUTING_FIGURES | QUOTA_FIGURES | DURABILITY_FIGURES | PAGE_FIGURES | SHARED_FIGURES
ON_DEMAND = big_audit.FIGURES | LONG_FIGURES
"""Only where they are named: they take 20 GB of disk, or twenty minutes."""
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the figures of the README; all of them take about nine minutes.",
        epilog="figures: " + "; ".join(f"{name}: {measure.__doc__}" for name, measure in (FIGURES | ON_DEMAND).items()),
    )
    parser.add_argument("figures", nargs="*", help=f"only these (all but {', '.join(ON_DEMAND)})")
    parser.add_argument("--rows", type=int, default=big_audit.ROWS, help="of big_audit's ledger (%(default)s)")
    given = parser.parse_args()
    chosen = given.figures or list(FIGURES)
    known = FIGURES | ON_DEMAND
    if unknown := set(chosen) - set(known):
        parser.exit(3, f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(known)}\n")
    if given.rows < big_audit.ROWS_MIN:
        parser.exit(3, f"--rows must be at least {big_audit.ROWS_MIN:,}\n")
    results: list[Result] = []
    for name in chosen:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        results += big_audit.FIGURES[name](given.rows) if name in big_audit.FIGURES else known[name]()
    table = _table(results)
    print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "figures.md").write_text(table + "\n")
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    content = {"machine": machine, "figures": [asdict(result) for result in results]}
    (RESULTS / "figures.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return 0 if all(result.is_reached for result in results) else 1


def _table(results: list[Result]) -> str:
    rows = ["| figure | measured | reach | | how |", "|---|---|---|---|---|"]
    rows += [f"| {_cells(result)} |" for result in results]
    return "\n".join(rows)


def _cells(result: Result) -> str:
    digits = 0 if result.value >= 100 else 2
    value = f"{result.value:,.{digits}f} {result.unit}"
    return " | ".join((result.name, value, result.reach, "yes" if result.is_reached else "**no**", result.detail))


if __name__ == "__main__":
    sys.exit(main())

"""Audits a run and writes its report; prints how many seconds the report took. A process of its own, as after a run."""

import sys
import time
from pathlib import Path

from analysis import gates, loading, report
from analysis.audit import audit
from analysis.verdict import Verdict


def main() -> None:
    run = loading.load(Path(sys.argv[1]))
    audited = audit(run)
    verdict = Verdict(audited, gates.evaluate(gates.read(gates.DEFAULT_FILE), audited))
    began = time.perf_counter()
    report.write(verdict, run.folder)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()

"""Completeness: nothing may be concluded from a run before all of it is there.

Every finding here is `invalid`: a run that lost something is never green, whatever its sums say.
"""

from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from analysis import journals, recount, run_files
from analysis.billing_days import day_of
from analysis.bills import Usage
from analysis.counts import peak
from analysis.documents import Manifest, Worker
from analysis.findings import Finding, invalid, listed, rows, warning
from analysis.loading import Run, Terms
from analysis.wholes import RowNumbers, SeqNumbers

_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PeakInterval:
    """The peak if no unknown outcome was a successful login, and if all were."""

    low: int
    high: int


def of_manifest(run: Run) -> list[Finding]:
    """Check what the harness says of itself: a finished run with all its workers and no problem."""
    findings = [finding for finding in run.findings if finding.code.startswith(("manifest", "plan"))]
    if run.folder.name.endswith(run_files.PARTIAL_SUFFIX):
        findings.append(invalid("run_partial", f"{run.folder.name} was not finished"))
    manifest = run.manifest
    if manifest is None:
        return findings
    if not manifest.complete:
        findings.append(invalid("manifest_incomplete", "manifest.json says that the run is not complete"))
    missing = manifest.workers_expected - len({worker.index for worker in manifest.workers})
    if missing:
        text = f"{len(manifest.workers)} of {manifest.workers_expected} workers handed over their ledgers"
        findings.append(invalid("worker_missing", text))
    findings += [invalid(problem.code, problem.text) for problem in manifest.problems]
    return findings


def of_ledger_files(run: Run) -> list[Finding]:
    """Check each worker's file against its rows, size and hash in the manifest."""
    findings = [finding for finding in run.findings if finding.code.startswith("ledger")]
    if run.manifest is None:
        return findings
    for worker in run.manifest.workers:
        findings += _worker(run, worker)
    listed_files = {Path(worker.file).name for worker in run.manifest.workers}
    unlisted = sorted(set(run.ledger.rows_of) - listed_files)
    if unlisted:
        findings.append(invalid("ledger_unlisted", f"not in the manifest: {listed(unlisted)}"))
    findings += _locust_totals(run, run.manifest)
    return findings


def of_rows(run: Run) -> list[Finding]:
    """Check that the ledgers hold each arrival of the plan exactly once, and beside them what the workers name."""
    if run.plan is None:
        return []
    planned = run.plan.arrivals
    numbers = run.whole.numbers if run.whole else _numbers(run.ledger.table["row"].to_numpy(), planned)
    findings = []
    reconnects = sum(worker.reconnects for worker in run.manifest.workers) if run.manifest else 0
    if (unplanned := numbers.rows - numbers.inside) != reconnects:
        named = f", the workers name {reconnects:,}" if reconnects else ""
        findings.append(invalid("ledger_rows_unplanned", f"{rows(unplanned)} of the ledger are not in the plan{named}"))
    if missing := planned - numbers.found:
        text = f"{rows(missing)} of {planned:,} planned are missing, the first is row {numbers.first_missing:,}"
        findings.append(invalid("ledger_rows_missing", text))
    if repeated := numbers.inside - numbers.found + numbers.repeated_beside:
        text = f"{rows(repeated)} of the ledger are there more than once"
        findings.append(invalid("ledger_rows_repeated", text))
    return findings


def _numbers(numbers: NDArray[np.int64], planned: int) -> RowNumbers:
    inside = numbers[(numbers >= 0) & (numbers < planned)]
    ordered = np.sort(inside)  # np.unique hashes, which takes ten times as long here
    found = ordered[np.diff(ordered, prepend=-1) != 0]
    gaps = np.flatnonzero(found != np.arange(len(found)))
    beside = numbers[numbers >= planned]
    return RowNumbers(
        rows=len(numbers),
        inside=len(inside),
        found=len(found),
        first_missing=int(gaps[0]) if len(gaps) else len(found),
        repeated_beside=len(beside) - len(np.unique(beside)),
    )


def of_outcomes(run: Run) -> list[Finding]:
    """Check that every request was sent and answered; say what the rest could mean for the bill."""
    unknown = run.ledger.open
    if unknown.empty:
        return []
    unsent = int(unknown["sent_us"].isna().sum())
    findings = []
    if unsent:
        findings.append(invalid("request_unsent", f"{rows(unsent)} of the plan were never sent"))
    if unsent < len(unknown):
        text = f"the outcome of {rows(len(unknown) - unsent)} is unknown"
        findings.append(invalid("outcome_unknown", text + _meaning(run)))
    return findings


def peak_interval(run: Run, terms: Terms) -> PeakInterval:
    """Bound the month's peak: each unknown outcome either was a successful login or was not."""
    maybe = run.ledger.open
    maybe = maybe[maybe["sent_us"].notna() & (maybe["verb"] == "login")]
    # A login whose clock reading was lost is taken for the day for which it was planned.
    asked = maybe.assign(app_before_ms=maybe["app_before_ms"].fillna(maybe["planned_app_ms"]))
    asked = _user_days(asked, "app_before_ms", run.offset_ms)
    if run.whole:
        user_ids = run.ledger.user_ids.take(pa.array(asked["user"]))
        dau = run.whole.possible_dau(asked["day"].to_numpy(), user_ids)
        return PeakInterval(*(peak(one, terms.days).dau for one in (run.whole.ledger.dau, dau)))
    sure = run.ledger.answered
    sure = sure[(sure["code"] == 0) & (sure["verb"] == "login")]
    known = _user_days(sure, "app_before_ms", run.offset_ms)
    possible = pd.concat([known, asked])
    low, high = (peak(recount.distinct(pairs["day"], pairs["user"]), terms.days).dau for pairs in (known, possible))
    return PeakInterval(low, high)


def of_journal(run: Run) -> list[Finding]:
    """Check that the journal is whole: its chain, its numbers without a gap, its end where the manifest says."""
    findings = [finding for finding in run.findings if finding.code.startswith("journal")]
    part = run.manifest.journal if run.manifest else None
    if run.journal is None:
        if part is not None:
            return [*findings, invalid("journal_missing", "the manifest lists a journal; there is none")]
        text = (
            "the run has no journal: the server's own order of events and day of each login remain unproven, and "
            "so does that it counted nobody whom the ledger does not know"
        )
        return [*findings, warning("journal_absent", text)]
    seq = run.whole.sequence if run.whole else _sequence(run.journal.frame["seq"].to_numpy())
    if seq.gaps:
        text = f"after row {seq.before:,} comes row {seq.after:,}; {seq.gaps:,} such places"
        findings.append(invalid("journal_gap", text))
    unanswered = int((run.journal.frame["kind"] == journals.UNANSWERED).sum())
    if unanswered:
        text = (
            f"{rows(unanswered)} of the journal say what a server process did and died before it told anybody: who "
            "asked cannot be laid beside it"
        )
        findings.append(invalid("journal_unanswered", text))
    if part is None:
        return [*findings, invalid("journal_unlisted", "the manifest does not list the journal")]
    for name, found, expected in (
        ("rows", seq.rows, part.rows),
        ("last sequence number", seq.last, part.last_seq),
        ("head", run.journal.head, part.head),
    ):
        if found != expected:
            text = f"the journal's {name} is {_shown(found)}, the manifest says {_shown(expected)}"
            findings.append(invalid("journal_differs_from_manifest", text))
    return findings


def _sequence(seq: NDArray[np.int64]) -> SeqNumbers:
    gaps = np.flatnonzero(np.diff(seq, prepend=0) != 1)
    at = int(gaps[0]) if len(gaps) else 0
    return SeqNumbers(
        rows=len(seq),
        last=int(seq[-1]) if len(seq) else 0,
        gaps=len(gaps),
        before=int(seq[at - 1]) if at else 0,
        after=int(seq[at]) if len(gaps) else 0,
    )


def of_statement(run: Run) -> list[Finding]:
    """Check that there is a statement where there must be one."""
    findings = [finding for finding in run.findings if finding.code.startswith(("statement", "price_book"))]
    if run.statement is None and not findings:
        if run.manifest and run.manifest.journal:
            text = "the run has a journal but no statement.json"
            return [invalid("statement_missing", text)]
        text = "the run has no statement: what the server bills remains unproven"
        return [warning("statement_absent", text)]
    return findings


def of_access(run: Run) -> list[Finding]:
    """Check that a run about access points says what became of them."""
    findings = [finding for finding in run.findings if finding.code.startswith("access")]
    if run.plan and run.plan.trouble is not None and run.access is None and not findings:
        return [invalid("access_missing", "the plan is about access points and there is no access.json")]
    return findings


def _worker(run: Run, worker: Worker) -> list[Finding]:
    path = run.folder / worker.file
    if not path.is_file():
        return [invalid("ledger_missing", f"{worker.file} is missing")]
    findings = []
    found = run.ledger.rows_of.get(path.name, 0)
    if not found == worker.rows == worker.issued:
        text = f"{worker.file} has {rows(found)}, the manifest says {worker.rows:,} of {worker.issued:,} issued"
        findings.append(invalid("ledger_rows_differ", text))
    digest = run.whole.digests.get(path.name) if run.whole else None
    if (digest or digest_of(path)) != worker.blake2b:
        text = f"{worker.file} is not the file that the worker handed over (its BLAKE2b differs)"
        findings.append(invalid("ledger_changed", text))
    return findings


def digest_of(path: Path) -> str:
    """Return a file's BLAKE2b-256 in hex."""
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=_DIGEST_BYTES)).hexdigest()


def _locust_totals(run: Run, manifest: Manifest) -> list[Finding]:
    answered = sum(worker.answered for worker in manifest.workers)
    table = run.ledger.table
    total = run.rows
    found = run.whole.answers if run.whole else total - table["code"].null_count
    findings = []
    if answered != found:
        text = f"the workers count {answered:,} answers, their ledgers {found:,}"
        findings.append(invalid("ledger_answers_differ", text))
    requests = manifest.locust.requests
    if requests is not None and requests != total:
        text = f"Locust counts {requests:,} requests, the ledgers have {rows(total)}"
        findings.append(warning("locust_totals_differ", text))
    return findings


def _meaning(run: Run) -> str:
    if run.terms is None:
        return ""
    interval = peak_interval(run, run.terms)
    low, high = (run.terms.bill(Usage(dau)).dau_units for dau in (interval.low, interval.high))
    between = f": the peak lies between {interval.low:,} and {interval.high:,} DAU, "
    if low == high:
        return between + f"{low} unit{'' if low == 1 else 's'} either way"
    return between + f"which crosses a tier edge ({low} to {high} units)"


def _user_days(frame: pd.DataFrame, time: str, offset_ms: int) -> pd.DataFrame:
    days = day_of(frame[time].astype("int64"), offset_ms)
    return pd.DataFrame({"day": days, "user": frame["user"]})


def _shown(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value[:16]}…"

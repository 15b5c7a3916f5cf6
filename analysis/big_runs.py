"""Reading a big run in parts: for more rows than fit in memory, with the same findings as the ordinary way.

The journal is read first, and of each plain row only numbers stay. Then every row of the ledger is compared with the
journal's row of its request, found by connection and number. What is not plain, or has no partner, is kept and goes
through the ordinary checks. Only runs of logins and resumes can be read so; `Whole` has what is known of all rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa

from analysis import big_second_opinion, caps, chain, completeness, ledgers, loading, matching
from analysis.big_journal import PART_ROWS, BigJournal, NotPlainError, parts
from analysis.big_ledger import BigLedger, Part
from analysis.counts import Count
from analysis.findings import Finding, invalid
from analysis.journals import APP_OPENED, Journal
from analysis.ledgers import Ledger
from analysis.loading import Papers, Run
from analysis.plans import plans
from analysis.quotas import ACCOUNTS, DAU
from analysis.run_files import JOURNAL_FOLDER, JOURNAL_SCHEMA, LEDGER_FOLDER, LEDGER_SCHEMA
from analysis.wholes import Whole

Item = TypeVar("Item")

ROWS_FROM: Final = 20_000_000
"""Runs of at least so many rows are read in parts unless another number is asked for."""
HELD: Final = 2
"""Parts that wait for each of the steps."""
_ROW_BYTES: Final = 110
"""Of a row of the ledger on disk, at least."""


def load(
    folder: Path,
    rows_from: int = ROWS_FROM,
    progress: Callable[[str], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    part_rows: int = PART_ROWS,
) -> Run:
    """Read a run, in parts if it has so many rows; `say` hears why one cannot be. Raises NotARunError."""
    if _bytes(folder, LEDGER_FOLDER) < rows_from * _ROW_BYTES:
        return loading.load(folder)
    try:
        return loading.load(folder, partial(_read, folder, progress, part_rows))
    except NotPlainError as reason:
        say(f"this big run is read the ordinary way, with the memory that it takes: {reason}")
        return loading.load(folder)


def _read(
    folder: Path, progress: Callable[[str], None], part_rows: int, papers: Papers
) -> tuple[Ledger, Journal, Whole]:
    _refuse_others(papers)
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(2) as working, ThreadPoolExecutor(1) as counting:
        digests = {path.name: reading.submit(completeness.digest_of, path) for path in _files(folder, LEDGER_FOLDER)}
        journal, second_journal = _journal(folder, papers, progress, part_rows, (working, counting))
        ledger = BigLedger(journal, papers.plan.arrivals if papers.plan else 0, papers.offset_ms)
        rest, second_ledger = _ledger(folder, ledger, papers, progress, (reading, working, counting))
        hashes = {name: future.result() for name, future in digests.items()}
    numbers = ledger.numbers
    progress("comparing")
    wrong, said, right = journal.miscounts()
    whole = Whole(
        numbers=numbers,
        answers=ledger.answers,
        of_plan=ledger.of_plan,
        sent_of_plan=ledger.sent_of_plan,
        arrivals=ledger.arrivals,
        ledger=ledger.count(),
        journal=journal.count,
        resumed=ledger.resumed(),
        utc=ledger.utc(),
        second_ledger=second_ledger.result(),
        second_journal=second_journal.result(),
        possible_dau=ledger.possible_dau,
        clock=ledger.cases,
        new_users=ledger.new_users(),
        latencies=ledger.latencies(),
        digests=hashes,
        sequence=journal.sequence,
        compared={
            **{
                name: ledger.compared[name]
                for name in (
                    "each answer has one journal row",
                    "both sides say the same of it",
                    "the journal keeps real-time order",
                )
            },
            "one number a user": matching.registration_said(journal.registrations, journal.nameless),
            "a user counts once a day": matching.counted_days_said(wrong, said, right),
        },
        registered=caps.registrations_said(journal.misregistered),
    )
    return rest, journal.journal, whole


def _refuse_others(papers: Papers) -> None:
    """Only logins and resumes of apps whose plan refuses nobody can be read in parts."""
    if not papers.has_journal:
        raise NotPlainError("it has no journal")
    if papers.is_about_access:
        raise NotPlainError("it is about access points")
    if papers.plan and (papers.plan.quotas or any(day.admitted for day in papers.plan.days)):
        raise NotPlainError("it asks for more than logins and resumes")
    if papers.terms:
        _refuse_limits(papers.terms.plan)


def _refuse_limits(plan: str) -> None:
    if any(plans().limit(plan, quota) is not None for quota in (ACCOUNTS, DAU)):
        raise NotPlainError(f"the plan {plan} has limits of users, whose places are counted one by one")


def _journal(
    folder: Path,
    papers: Papers,
    progress: Callable[[str], None],
    part_rows: int,
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
) -> tuple[BigJournal, "Future[Count]"]:
    reading, counting = pools
    paths = _files(folder, JOURNAL_FOLDER)
    found = BigJournal(_bytes(folder, JOURNAL_FOLDER), papers.offset_ms, part_rows)
    segments = chain.Segments(paths, pa.OSFile)
    second = big_second_opinion.of_journal(papers.offset_ms, lambda: _journal_again(paths, part_rows))
    counted: list[Future[None]] = []
    for table in _ahead(reading, parts(segments, JOURNAL_SCHEMA, part_rows)):
        added = found.add(table)
        _queue(counted, counting.submit(second.add, added.select(big_second_opinion.JOURNAL_COLUMNS)))
        progress(f"reading the journal, {found.rows:,} rows")
    findings = [invalid("journal_chain_broken", segments.damage)] if segments.damage else []
    journal = found.close(segments.head, findings)
    for note in journal.documents(APP_OPENED)[:1]:
        _refuse_limits(str(note.get("plan")))
    return found, counting.submit(_finished, counted, second)


def _ledger(
    folder: Path,
    ledger: BigLedger,
    papers: Papers,
    progress: Callable[[str], None],
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor, ThreadPoolExecutor],
) -> tuple[Ledger, "Future[Count]"]:
    reading, working, counting = pools
    paths, part_rows = _files(folder, LEDGER_FOLDER), ledger.part_rows
    findings: list[Finding] = []
    rows_of = dict.fromkeys([path.name for path in paths], 0)
    second = big_second_opinion.of_ledger(papers.offset_ms, lambda: _ledger_again(paths, ledger, rest, part_rows))
    counted: list[Future[None]] = []
    pending: list[Future[Any]] = []
    # Two parts are compared at a time, and go into the sums in their order.
    for table in _ahead(reading, _in_time(paths, findings, rows_of, part_rows)):
        pending.append(working.submit(ledger.part, table))
        if len(pending) > HELD:
            _take(ledger, pending.pop(0).result(), counted, counting, second)
            progress(f"comparing the ledger, {ledger.rows:,} rows")
    for future in pending:
        _take(ledger, future.result(), counted, counting, second)
    rest = ledger.close(findings, rows_of)
    counted.append(counting.submit(second.add, rest.table.select(big_second_opinion.LEDGER_COLUMNS)))
    return rest, counting.submit(_finished, counted, second)


def _take(
    ledger: BigLedger,
    part: Part,
    counted: list["Future[None]"],
    counting: ThreadPoolExecutor,
    second: big_second_opinion.SecondOpinion,
) -> None:
    _queue(counted, counting.submit(second.add, part.table.select(big_second_opinion.LEDGER_COLUMNS)))
    ledger.add(part)


def _queue(waiting: list["Future[None]"], future: "Future[None]") -> None:
    """Wait while more than two parts are held."""
    waiting.append(future)
    if len(waiting) > HELD:
        waiting.pop(0).result()


def _finished(waiting: Sequence["Future[None]"], second: big_second_opinion.SecondOpinion) -> Count:
    for future in waiting:
        future.result()
    return second.count()


def _in_time(
    paths: Sequence[Path], findings: list[Finding], rows_of: dict[str, int], part_rows: int
) -> Iterator[pa.Table]:
    """Read all workers' files at once, that part first whose first request was planned first."""
    found: list[list[Finding]] = [[] for _ in paths]
    streams = [
        parts(ledgers.batches(path, own, pa.OSFile), LEDGER_SCHEMA, part_rows)
        for path, own in zip(paths, found, strict=True)
    ]
    heads = {at: table for at, stream in enumerate(streams) if (table := next(stream, None)) is not None}
    while heads:
        at = min(heads, key=lambda one: heads[one]["planned_app_ms"][0].as_py() or 0)
        table = heads.pop(at)
        rows_of[paths[at].name] += table.num_rows
        yield table
        if (following := next(streams[at], None)) is not None:
            heads[at] = following
    findings += [finding for own in found for finding in own]


def _journal_again(paths: Sequence[Path], part_rows: int) -> Iterator[pa.Table]:
    return parts(chain.Segments(paths, pa.OSFile), JOURNAL_SCHEMA, part_rows)


def _ledger_again(paths: Sequence[Path], ledger: BigLedger, rest: Ledger, part_rows: int) -> Iterator[pa.Table]:
    for table in _in_time(paths, [], dict.fromkeys([path.name for path in paths], 0), part_rows):
        yield ledger.plain(table)
    yield rest.table


def _ahead(pool: ThreadPoolExecutor, items: Iterable[Item]) -> Iterator[Item]:
    """Make the next item while the last one is worked on."""
    found = iter(items)
    future = pool.submit(next, found, None)
    while (item := future.result()) is not None:
        future = pool.submit(next, found, None)
        yield item


def _files(folder: Path, name: str) -> list[Path]:
    return sorted((folder / name).glob("*.arrow"))


def _bytes(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in _files(folder, name))

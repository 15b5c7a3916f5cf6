"""A run's directory, read as far as it can be read: what is broken becomes a finding, never an exception."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from analysis import documents, journals, ledgers, run_files
from analysis.billing_days import month_days, start_ms
from analysis.bills import Bill, Usage, bill
from analysis.documents import Access, Document, DocumentError, Manifest, Plan, Readings, Statement
from analysis.findings import Finding, error, invalid, listed
from analysis.journals import APP_OPENED, PLAN_CHANGED, Journal
from analysis.ledgers import Ledger
from analysis.plans import plans
from analysis.prices import PriceBook, price_books
from analysis.wholes import Whole

FORMATS = (run_files.FORMAT,)


class NotARunError(Exception):
    """Raised when a directory holds nothing of a run."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what the month is billed: from the plan, or from the statement when the plan is lost."""

    month: str
    plan: str
    book: PriceBook
    readings: Readings

    @property
    def days(self) -> range:
        """The billing days of the month."""
        return month_days(self.month)

    @property
    def charge_day(self) -> int:
        """The billing day of the charge, in the month after."""
        return self.days.stop + self.readings.charge_day - 1

    def bill(self, usage: Usage) -> Bill:
        """Price a month's usage under these terms."""
        return bill(self.book, self.plan, usage)


@dataclass(frozen=True, slots=True)
class Run:
    """The witnesses of a run; what is absent or unreadable is None."""

    folder: Path
    plan: Plan | None
    manifest: Manifest | None
    statement: Statement | None
    statement_json: dict[str, Any]
    ledger: Ledger
    journal: Journal | None
    terms: Terms | None
    findings: tuple[Finding, ...]
    access: Access | None = None
    """Of a scenario about access points only."""
    whole: Whole | None = None
    """Of a big run, of which ledger and journal hold only what is not plain (`big_runs`)."""

    @property
    def rows(self) -> int:
        """How many requests the ledgers hold."""
        return self.whole.numbers.rows if self.whole else int(self.ledger.table.num_rows)

    @property
    def journal_rows(self) -> int:
        """How many rows the journal has."""
        if self.whole:
            return self.whole.sequence.rows
        return int(self.journal.table.num_rows) if self.journal else 0

    @property
    def offset_ms(self) -> int:
        """Where the billing day begins; the default reading when the run does not say."""
        return self.terms.readings.billing_offset_ms if self.terms else Readings().billing_offset_ms


@dataclass(frozen=True, slots=True)
class Papers:
    """What is known of a run before its logs are read."""

    plan: Plan | None
    terms: Terms | None
    has_journal: bool
    is_about_access: bool

    @property
    def offset_ms(self) -> int:
        """Where the billing day begins; the default reading when the run does not say."""
        return (self.terms.readings if self.terms else Readings()).billing_offset_ms


Reader = Callable[[Papers], tuple[Ledger, Journal | None, Whole | None]]


def load(folder: Path, read: Reader | None = None) -> Run:
    """Read a run, its logs whole unless another way is given. Raises NotARunError when there is none."""
    _refuse_other_folders(folder)
    findings: list[Finding] = []
    plan = _document(folder / run_files.PLAN, Plan, findings)
    manifest = _document(folder / run_files.MANIFEST, Manifest, findings)
    statement = None
    if (folder / run_files.STATEMENT).exists():
        statement = _document(folder / run_files.STATEMENT, Statement, findings)
    access = _document(folder / run_files.ACCESS, Access, findings) if (folder / run_files.ACCESS).exists() else None
    terms = _terms(plan, statement, findings)
    has_journal = (folder / run_files.JOURNAL_FOLDER).is_dir()
    if read:
        ledger, journal, whole = read(Papers(plan, terms, has_journal, (folder / run_files.ACCESS).exists()))
    else:
        ledger, journal, whole = ledgers.read(folder), journals.read(folder) if has_journal else None, None
    if terms and journal:
        terms = _after_changes(terms, journal, findings)
    return Run(
        folder=folder,
        plan=plan,
        manifest=manifest,
        statement=statement,
        statement_json=msgspec.to_builtins(statement) if statement else {},
        ledger=ledger,
        journal=journal,
        terms=terms,
        findings=(*findings, *ledger.findings, *(journal.findings if journal else ())),
        access=access,
        whole=whole,
    )


def _refuse_other_folders(folder: Path) -> None:
    if not folder.is_dir():
        raise NotARunError(f"{folder}: no such directory")
    names = (run_files.PLAN, run_files.MANIFEST, run_files.LEDGER_FOLDER)
    if not any((folder / name).exists() for name in names):
        raise NotARunError(f"{folder}: not a run (no {', '.join(names)})")


def _document(path: Path, kind: type[Document], findings: list[Finding]) -> Document | None:
    try:
        document = documents.read(path, kind)
    except DocumentError as problem:
        findings.append(invalid(f"{path.stem}_unreadable", str(problem)))
        return None
    written = getattr(document, "format", run_files.FORMAT)
    if written not in FORMATS:
        text = f"{path.name} has format {written}; this analysis reads {run_files.FORMAT}"
        findings.append(invalid(f"{path.stem}_format", text))
        return None
    return document


def _terms(plan: Plan | None, statement: Statement | None, findings: list[Finding]) -> Terms | None:
    if plan:
        month, name, book = plan.month, plan.app.plan, plan.app.price_book
    elif statement:
        month, name = statement.month, statement.plan
        book = str(statement.price_book.get("name"))
    else:
        return None
    books = price_books()
    if book not in books:
        text = f"price book {book!r} is unknown here; known: {', '.join(books)}"
        findings.append(invalid("price_book_unknown", text))
        return None
    if name not in books[book].plan_fee:
        plans = ", ".join(books[book].plan_fee)
        text = f"price book {book} has no plan {name!r}; it has: {plans}"
        findings.append(invalid("plan_unknown", text))
        return None
    return Terms(month, name, books[book], plan.readings if plan else Readings())


def _after_changes(terms: Terms, journal: Journal, findings: list[Finding]) -> Terms:
    """A month is billed by the plan that the app has at its end."""
    opened = journal.documents(APP_OPENED)[:1]
    if opened and opened[0].get("plan", terms.plan) != terms.plan:
        text = f"the app was opened with the plan {opened[0]['plan']!r}, the run was meant for {terms.plan!r}"
        findings.append(error("plan_differs", text))
    end_ms = start_ms(terms.days.stop, terms.readings.billing_offset_ms)
    at, _ = journal.strings("text", PLAN_CHANGED)
    times = journal.frame["time_ms"].to_numpy()[at]
    names = [str(note.get("plan")) for note in journal.documents(PLAN_CHANGED)]
    unknown = sorted({name for name in names if name not in plans().limits})
    if unknown:
        findings.append(
            invalid("plan_unknown", f"the journal changes to a plan that is unknown here: {listed(unknown)}")
        )
    before = [name for name, time_ms in zip(names, times, strict=False) if time_ms < end_ms]
    return replace(terms, plan=before[-1]) if before and before[-1] in terms.book.plan_fee else terms

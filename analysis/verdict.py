"""The verdict: outcome, figures and findings, for people, for scripts and for a CI."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from analysis import access_words, outlook, run_files
from analysis.audit import Audit
from analysis.billing_days import iso
from analysis.bills import ABSENT, money
from analysis.cap_table import Cap
from analysis.findings import Finding
from analysis.gates import Result
from analysis.headlines import headlines
from analysis.outlook import Outlook
from analysis.witnesses import WITNESSES, Summary

Outcome = Literal["passed", "failed", "invalid"]

FORMAT: Final = 1
"""Of `verdict.json`; a key that changes its meaning, or goes, raises it."""

EXIT_CODES: Final[Mapping[Outcome, int]] = {"passed": 0, "failed": 1, "invalid": 2}

FINDINGS_SHOWN_MAX: Final = 6
"""On the terminal, which is no place to read dozens; the report has them all."""
_SEVERITIES: Final = ("invalid", "error", "warning")
_CONSEQUENCES: Final = ("run_partial", "manifest_incomplete", "gate_failed")
"""Findings that follow from others, and stand below them."""


@dataclass(frozen=True)
class Verdict:
    """An audit judged by gates."""

    audit: Audit
    gates: Sequence[Result]

    @cached_property
    def outlook(self) -> Outlook:
        """What lies around it."""
        return outlook.of(self.audit)

    @property
    def findings(self) -> list[Finding]:
        """The audit's and the failed gates', worst first, and among them the cause first."""
        failed = [result.finding for result in self.gates if not result.passed]
        manifest = self.audit.run.manifest
        causes = {problem.code for problem in manifest.problems} if manifest else set()

        def rank(finding: Finding) -> tuple[int, bool, bool]:
            severity = _SEVERITIES.index(finding.severity)
            return severity, finding.code not in causes, finding.code in _CONSEQUENCES

        return sorted([*self.audit.findings, *failed], key=rank)

    @property
    def outcome(self) -> Outcome:
        """The worst that was found."""
        severities = {finding.severity for finding in self.findings}
        if "invalid" in severities:
            return "invalid"
        return "failed" if "error" in severities else "passed"

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return EXIT_CODES[self.outcome]


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return `verdict.json` (`docs/run-files.md`)."""
    audit = verdict.audit
    terms, top, bill = audit.terms, audit.peak, audit.bill
    return {
        "format": FORMAT,
        "run": audit.run.manifest.id if audit.run.manifest else audit.run.folder.name,
        "outcome": verdict.outcome,
        "bill_is": outlook.bill_is(audit),
        "month": terms.month if terms else None,
        "peak_dau": top.dau if top else None,
        "peak_day": iso(top.day) if top and top.day is not None else None,
        "dau_units": bill.dau_units if bill else None,
        "amount_cents": bill.users_cents if bill else None,
        "total_cents": bill.total_cents if bill else None,
        "currency": bill.currency if bill else None,
        "charged_on": iso(terms.charge_day) if terms else None,
        "peak_groups": audit.counts.peak_groups if terms else None,
        "lines": [asdict(line) for line in bill.lines] if bill else [],
        "caps": [_cap(cap) for cap in audit.caps],
        "access": access_words.document(audit),
        "witnesses": {name: asdict(stated) if (stated := audit.summaries[name]) else None for name in WITNESSES},
        "findings": [asdict(finding) for finding in verdict.findings],
        "gates": [
            {
                "metric": result.gate.metric,
                "where": result.gate.selection.document(),
                "rule": result.gate.text,
                "value": result.value,
                "passed": result.passed,
                "kind": result.gate.kind,
                "on_failure": "warn" if result.gate.is_warning else "fail",
                "samples": result.samples,
            }
            for result in verdict.gates
        ],
        **verdict.outlook.document(),
    }


def _cap(cap: Cap) -> dict[str, Any]:
    return {
        "name": cap.quota.name,
        "limit": cap.limit,
        "reached": cap.reached,
        "admitted": cap.admitted,
        "refused": cap.refused,
        "over": cap.over,
        "refused_below": cap.below,
        "wrong_code": cap.wrong_code,
        "proven": cap.is_proven,
    }


def agreement(audit: Audit) -> str:
    """Say which witnesses there are: they agree, as the run passed."""
    present = [name for name in WITNESSES if audit.summaries[name]]
    absent = [name for name in WITNESSES if not audit.summaries[name]]
    return " = ".join(present) + (f" (no {', no '.join(absent)})" if absent else "")


def text(verdict: Verdict, report: str) -> str:
    """Return what a person reads on the terminal, in at most eight lines when the run did not pass."""
    findings = verdict.findings
    lines = [f"{finding.severity:7}  {finding.code}: {finding.text}" for finding in _telling(findings)]
    if rest := len(findings) - len(lines):
        lines.append(f"and {rest} more, in the report and in {run_files.SUMMARY} beside it")
    if verdict.outcome == "passed":
        passed = [*headlines(verdict.audit), f"{agreement(verdict.audit)}   · report: {report}"]
        return "\n".join([*passed, *lines])
    title = "FAILED" if verdict.outcome == "failed" else "INVALID: this run proves nothing"
    count = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
    return "\n".join([f"{title} · {count} · report: {report}", *lines])


def _telling(findings: Sequence[Finding]) -> list[Finding]:
    """Choose what to show: one of each code, as far as there is room, then others of the same."""
    codes = [finding.code for finding in findings]
    first = sorted(range(len(findings)), key=lambda at: codes[:at].count(codes[at]))
    return [findings[at] for at in sorted(first[: _shown(len(findings))])]


def _shown(count: int) -> int:
    """One more than the most is shown rather than counted."""
    return count if count <= FINDINGS_SHOWN_MAX + 1 else FINDINGS_SHOWN_MAX


def write(verdict: Verdict, folder: Path) -> None:
    """Write summary, JUnit file and, last, `verdict.json`: who sees it sees the others."""
    _replace(folder / run_files.SUMMARY, summary(verdict))
    _replace(folder / run_files.JUNIT, junit(verdict))
    document = json.dumps(as_json(verdict), indent=2, ensure_ascii=False)
    _replace(folder / run_files.VERDICT, document + "\n")


def summary(verdict: Verdict) -> str:
    """Return `summary.md`, short enough for a pull request."""
    audit = verdict.audit
    lines = [f"# {verdict.outcome.capitalize()}", ""]
    lines += [part for line in headlines(audit) for part in (line, "")]
    if audit.caps:
        lines += ["| cap | limit | reached | admitted | refused | verdict |", "|---|--:|--:|--:|--:|---|"]
        lines += [
            f"| {c.quota.words} | {c.limit} | {c.reached} | {c.admitted:,} | {c.refused:,} | {c.verdict} |"
            for c in audit.caps
        ]
        lines.append("")
    columns = _columns(audit)
    lines += [f"| witness | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    for name in WITNESSES:
        stated = audit.summaries[name]
        cells = [write(stated) if stated else ABSENT for write in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if verdict.findings:
        lines += ["", "| severity | finding | |", "|---|---|---|"]
        lines += [f"| {f.severity} | {f.code} | {_cell(f.text)} |" for f in verdict.findings]
    if verdict.gates:
        lines += ["", "| gate | must be | is | |", "|---|---|---|---|"]
        lines += [
            f"| {_cell(r.gate.name)} | {r.gate.text} | {r.shown} | {'passed' if r.passed else 'failed'} |"
            for r in verdict.gates
        ]
    if around := verdict.outlook.markdown():
        lines += ["", *around]
    return "\n".join(lines) + "\n"


def _columns(audit: Audit) -> dict[str, Callable[[Summary], str]]:
    """What the witnesses are shown to say: users always, groups and the total where the run is about more."""
    columns: dict[str, Callable[[Summary], str]] = {
        "peak DAU": lambda stated: f"{stated.peak_dau:,}",
        "DAU overage": lambda stated: money(stated.amount_cents),
    }
    if audit.counts.ledger.others:
        columns |= {
            "peak of groups": lambda stated: ABSENT if stated.peak_groups is None else f"{stated.peak_groups:,}",
            "total": lambda stated: ABSENT if stated.total_cents is None else money(stated.total_cents),
        }
    return columns


def junit(verdict: Verdict) -> str:
    """Return `junit.xml`: one case for each check and each gate."""
    checks, gates = TestSuite("audit"), TestSuite("gates")
    for check in verdict.audit.checks:
        failures = [finding for finding in check.findings if finding.severity != "warning"]
        checks.add_testcase(_case(check.name, f"audit.{check.group}", failures))
    for result in verdict.gates:
        failures = [] if result.passed or result.gate.is_warning else [result.finding]
        name = f"{result.gate.name} {result.gate.text}"
        gates.add_testcase(_case(name, f"gates.{result.gate.kind}", failures))
    document = JUnitXml("analysis")
    document.add_testsuite(checks)
    document.add_testsuite(gates)
    # junitparser has type hints except here.
    return str(document.tostring().decode())  # type: ignore[no-untyped-call]


def _case(name: str, group: str, failures: Sequence[Finding]) -> TestCase:
    case = TestCase(name, group)
    case.result = [Failure(_xml(finding.text), finding.code) for finding in failures]
    return case


def _xml(message: str) -> str:
    """Leave out what XML 1.0 cannot hold: a damaged file may put anything into a message."""
    return "".join(letter for letter in message if letter.isprintable())


def _cell(message: str) -> str:
    return " ".join(message.split()).replace("|", "\\|")


def _replace(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)

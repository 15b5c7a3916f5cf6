"""What GitHub Actions shows of a verdict: annotations beside the code, and the job's summary.

Workflow commands: docs.github.com, "Workflow commands for GitHub Actions". A step shows ten errors and ten warnings and
drops the rest, which here are counted in a last line instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from analysis.findings import Finding
from analysis.verdict import Verdict

SHOWN_MAX: Final = 10
"""Of errors, and of warnings."""
SUMMARY_BYTES_MAX: Final = 1_000_000
"""GitHub refuses a step's summary of more than 1 MiB."""


def annotations(verdict: Verdict, gate_file: Path, workspace: Path) -> str:
    """Return a line for each finding; that of a failed gate points to the gate's line in its file.

    `workspace` is the directory to which paths are relative; a gate file outside of it is not pointed to.
    """
    file = _relative(gate_file, workspace)
    failed = [result for result in verdict.gates if not result.passed]
    found: list[tuple[Finding, int | None]] = [(finding, None) for finding in verdict.audit.findings]
    found += [(result.finding, result.gate.line) for result in failed]
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for finding, line in found:
        level = "warning" if finding.severity == "warning" else "error"
        lines[level].append(_command(level, finding, file if line else None, line))
    return "\n".join(line for level, commands in lines.items() for line in _shown(level, commands))


def append_summary(summary: str, path: Path) -> None:
    """Append to the file that GITHUB_STEP_SUMMARY names. Raises OSError."""
    with path.open("a", encoding="utf-8") as file:
        file.write(summary.encode()[:SUMMARY_BYTES_MAX].decode(errors="ignore") + "\n")


def _shown(level: str, commands: Sequence[str]) -> list[str]:
    rest = len(commands) - SHOWN_MAX
    if rest <= 0:
        return list(commands)
    return [*commands[: SHOWN_MAX - 1], f"::{level}::and {rest + 1} more"]


def _command(level: str, finding: Finding, file: str | None, line: int | None) -> str:
    """Write a workflow command.

    >>> from analysis.findings import error
    >>> _command("error", error("gate_failed", "is 50 %"), "gates.toml", 3)
    '::error title=gate_failed,file=gates.toml,line=3::is 50 %25'
    """
    properties = {"title": finding.code} | ({"file": file, "line": str(line)} if file else {})
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {written}::{_data(finding.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _relative(path: Path, workspace: Path) -> str | None:
    path, workspace = path.resolve(), workspace.resolve()
    return path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else None

"""The house is in order: things say what they are, commands are documented, and no test can be left out unseen."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("mock_im_server", "im_load", "analysis")
LOCUSTFILES = sorted(Path("locustfiles").glob("*.py"))
LOCUSTFILE_LINES_MAX = 60
SERVER_COMMAND = "mock_im_server/settings.py"
AUDIT_COMMAND = "analysis/__main__.py"
HARNESS_COMMAND = "im_load/scenario.py"
DOCTOR_COMMAND = "im_load/__main__.py"
DOCUMENTS = (Path("README.md"), *sorted(Path("docs").glob("*.md")))
SKIPPING = re.compile(r"mark\.(skip|skipif|xfail)\b|importorskip|pytest\.(skip|xfail)\(|unittest\.skip")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted(Path(package).rglob("*.py")):
            if "notebooks" not in path.parts:
                yield path, ast.parse(path.read_text("utf-8"))


def options_in(path: Path | str) -> set[str]:
    """The options that a file gives to a parser: first arguments of its calls that begin with two dashes."""
    calls = (node for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))) if isinstance(node, ast.Call))
    first = (call.args[0] for call in calls if call.args)
    words = (node.value for node in first if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {word for word in words if re.fullmatch(r"--[a-z][a-z-]+", word)}


def documented() -> set[str]:
    text = "\n".join(path.read_text("utf-8") for path in DOCUMENTS)
    return set(re.findall(r"--[a-z][a-z-]+", text))


def test_every_module_says_what_it_knows() -> None:
    # An empty file has nothing to say.
    silent = [str(path) for path, tree in modules() if tree.body and not ast.get_docstring(tree)]

    assert silent == []


def test_every_public_class_says_what_it_is() -> None:
    classes = ((path, node) for path, tree in modules() for node in tree.body if isinstance(node, ast.ClassDef))
    silent = [f"{path}: {node.name}" for path, node in classes if node.name[0] != "_" and not ast.get_docstring(node)]

    assert silent == []


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (SERVER_COMMAND, {"--port", "--app", "--stop-with-stdin"}),
        (AUDIT_COMMAND, {"--gates", "--dau"}),
        (HARNESS_COMMAND, {"--seed", "--real-host-costs-money"}),
        (DOCTOR_COMMAND, {"--connections-at-once"}),
        ("locustfiles/dau_spike.py", {"--peak-dau"}),
        ("locustfiles/dau_replay.py", {"--dau-csv"}),
    ],
)
def test_options_are_found_where_they_are_made(path: str, known: set[str]) -> None:
    """Or the next test would be content with everything."""
    assert known <= options_in(path)


@pytest.mark.parametrize(
    "path", [SERVER_COMMAND, AUDIT_COMMAND, HARNESS_COMMAND, DOCTOR_COMMAND, *map(str, LOCUSTFILES)]
)
def test_every_option_is_documented(path: str) -> None:
    assert sorted(options_in(path) - documented()) == []


@pytest.mark.parametrize("path", LOCUSTFILES, ids=lambda path: path.stem)
def test_a_locustfile_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < LOCUSTFILE_LINES_MAX


@pytest.mark.parametrize("path", LOCUSTFILES, ids=lambda path: path.stem)
def test_a_locustfile_hides_no_module(path: Path) -> None:
    """Trap of Locust's loader: the file goes by its bare name into `sys.modules`."""
    assert path.stem not in sys.stdlib_module_names | set(PACKAGES)


def test_what_pytest_imports_brings_no_locust() -> None:
    """Locust patches the whole process, so that no test of this process would tell anything any more."""
    assert "locust" not in sys.modules
    parts = sorted(
        ".".join(path.with_suffix("").parts)
        for path in Path("im_load").rglob("*.py")
        if path.name not in {"scenario.py", "driver.py", "__init__.py"}
    )
    script = f"import sys, {', '.join(parts)}; sys.exit('locust' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_whoever_skips_a_test_fails_in_ci() -> None:
    here = Path("tests/test_house.py")
    skipping = [path for path in Path("tests").rglob("*.py") if path != here and SKIPPING.search(path.read_text())]
    forgiving = [str(path) for path in skipping if 'os.environ.get("CI")' not in path.read_text()]

    assert forgiving == []


def test_the_ci_script_says_that_it_is_ci() -> None:
    assert re.search(r"^export CI=", Path(".ci/run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readmes_commands_are_in_the_makefile(command: str) -> None:
    assert command in Path("README.md").read_text("utf-8")
    assert re.search(rf"^{command.split()[1]}:", Path("Makefile").read_text(), re.MULTILINE)

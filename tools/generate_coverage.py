"""Write `docs/coverage.md`: each rule and code, its source, and the tests that hold it.

Run `python -m tools.generate_coverage`; a test fails when the file is not what this would write.

Rules come from `mock_im_server/data/rules.toml`, tests say what they hold with `@pytest.mark.holds(…)`, commands come
from the REST API's own table. Tests are read, not run.
"""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mock_im_server.transport.frequency import DEFAULT_PER_SECOND, PER_SECOND
from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.wire import codes

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "docs" / "coverage.md"
RULES: Final = ROOT / "mock_im_server" / "data" / "rules.toml"
TESTS: Final = ROOT / "tests"
MARK: Final = "holds"

type_held = Mapping[str, Sequence[tuple[str, str]]]
"""Test files, relative to the root, and test names, by what they hold."""

_HEAD: Final = """# What is imitated, and how we know

Made by `python -m tools.generate_coverage` from `mock_im_server/data/rules.toml` and the marks of the tests; not to be
edited. *documented*: a page of the vendor's says it. *observed*: seen from its SDK or service, or reported by its
users. *assumed*: no source says it, and something had to be chosen ([open points](open-points.md)).
"""


def main() -> None:
    TARGET.write_text(text(), encoding="utf-8")


def text() -> str:
    known = rules()
    held = held_by(TESTS)
    parts = [_HEAD, "## Rules\n", _rules(known["rules"], held), "## Codes\n", _codes(known["codes"], held)]
    parts += ["## Commands of the REST API\n", _commands(), "## What is not imitated\n", _left_out(known["left_out"])]
    return "\n".join(parts)


def rules() -> dict[str, dict[str, Any]]:
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def held_by(folder: Path) -> type_held:
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        for name, rule in _marks(ast.parse(path.read_text(encoding="utf-8"))):
            found[rule].append((str(path.relative_to(ROOT)), name))
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Each test's name with each rule that it holds."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == MARK:
                    yield from ((node.name, ast.literal_eval(argument)) for argument in mark.args)


def _rules(known: Mapping[str, Sequence[str]], held: type_held) -> str:
    rows = ["| | rule | source | | held by |", "|---|---|---|---|---|"]
    rows += [
        f"| {name} | {says} | {source} | {standing} | {_links(held.get(name, ()))} |"
        for name, (says, source, standing) in known.items()
    ]
    return "\n".join(rows) + "\n"


def _codes(known: Mapping[str, Sequence[str]], held: type_held) -> str:
    rows = ["| code | text | source | | held by |", "|---|---|---|---|---|"]
    rows += [
        f"| {code} | {codes.TEXTS.get(int(code), '')} | {source} | {standing} | {_links(held.get(code, ()))} |"
        for code, (source, standing) in sorted(known.items(), key=lambda item: int(item[0]))
    ]
    return "\n".join(rows) + "\n"


def _commands() -> str:
    rows = ["| command | | calls a second |", "|---|---|---|"]
    rows += [
        f"| `{name}` | {(command.carry_out.__doc__ or '').strip()} | {PER_SECOND.get(name, DEFAULT_PER_SECOND)} |"
        for name, command in COMMANDS.items()
    ]
    return "\n".join(rows) + "\n"


def _left_out(known: Mapping[str, str]) -> str:
    return "\n".join(f"- **{what}**: {why}" for what, why in known.items()) + "\n"


def _links(tests: Sequence[tuple[str, str]]) -> str:
    return "<br>".join(f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})" for path, name in tests)


if __name__ == "__main__":
    main()

"""Draw the example of `docs/cap-audit.md`: `python tools/draw_cap_audit.py docs/cap-audit.svg`.

Ten requests at a cap of two. What is counted and found is computed by the analysis itself, not drawn by hand.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from analysis.spans import Requests, Steps, certain_steps, possible_steps, spans

CAP: Final = 2
NEVER: Final = 30

INK, MUTED, RULE, ACCENT, WRONG = "#1f2a37", "#66717f", "#d9d5cc", "#17607a", "#b4531f"
LEFT, RIGHT, UNIT = 128, 24, 24
ROW, PANEL = 21, 84
WIDTH: Final = LEFT + NEVER * UNIT + RIGHT


class Asked(NamedTuple):
    """A request: sent, applied by the server, answered; refused ones take no place."""

    verb: str
    group: str
    sent: int
    applied: float
    answered: int
    is_refused: bool = False


EXAMPLE: Final = (
    Asked("create", "A", 1, 2, 3),
    Asked("create", "B", 2, 4, 5),
    Asked("create", "C", 6, 7, 8, is_refused=True),
    Asked("destroy", "A", 9, 10.6, 13),
    Asked("create", "D", 10, 11.4, 12),
    Asked("create", "E", 14, 15, 16, is_refused=True),
    Asked("destroy", "B", 17, 18, 19),
    Asked("create", "F", 20, 21, 22, is_refused=True),
    Asked("create", "G", 23, 24, 25),
    Asked("create", "H", 26, 27, 28),
)


def drawing() -> str:
    """Return the SVG."""
    order = sorted(EXAMPLE, key=lambda asked: asked.applied)
    top = 34 + ROW * len(EXAMPLE)
    height = top + 2 * (PANEL + 58) + 8
    label = "Ten requests at a cap of two, judged by the journal and by the ledger"
    hatch = f'<path d="M0 0V5" stroke="{WRONG}" stroke-width="1.6"/>'
    attributes = 'id="h" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"'
    box = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{label}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f"<defs><pattern {attributes}>{hatch}</pattern></defs>",
        *_requests(order),
        *_panel(top + 42, "journal: places taken after each row", _by_journal(order)),
        *_panel(top + PANEL + 100, "ledger: places taken for certain (below) and possibly (dotted)", _by_ledger()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _requests(order: list[Asked]) -> Iterator[str]:
    yield _text(
        LEFT, 16, "each bar: from the send to the answer; the dot: the row in the journal, with its number", MUTED
    )
    for line, asked in enumerate(EXAMPLE):
        y = 28 + ROW * line
        fill, edge = ("url(#h)", WRONG) if asked.is_refused else ("#cfe0e6", ACCENT)
        answer = "refused, 10036" if asked.is_refused else "0"
        yield _text(LEFT - 10, y + 12, f"{asked.verb} {asked.group}", INK, "end")
        width = (asked.answered - asked.sent) * UNIT
        yield f'<rect x="{_x(asked.sent)}" y="{y}" width="{width}" height="15" rx="3" fill="{fill}" stroke="{edge}"/>'
        yield f'<circle cx="{_x(asked.applied):g}" cy="{y + 7.5}" r="7.5" fill="#fff" stroke="{edge}"/>'
        yield _text(_x(asked.applied), y + 11.5, str(order.index(asked) + 1), INK, "middle")
        yield _text(_x(asked.answered) + 6, y + 12, answer, MUTED)


def _by_journal(order: list[Asked]) -> Callable[[int], Iterator[str]]:
    def draw(y: int) -> Iterator[str]:
        taken, path = 0, [f"M{_x(0)} {_y(y, 0)}"]
        marks = []
        for number, asked in enumerate(order, start=1):
            x = _x(asked.applied)
            if asked.verb == "create" and asked.is_refused and taken < CAP:
                marks.append(
                    _mark(x, _y(y, taken), f"{number}: refused below the cap, {taken} of {CAP} taken", is_below=True)
                )
            elif not asked.is_refused:
                taken += 1 if asked.verb == "create" else -1
                path.append(f"H{x:g}V{_y(y, taken)}")
                if taken > CAP:
                    marks.append(_mark(x, _y(y, taken), f"{number}: admitted over the cap", is_below=False))
        path.append(f"H{_x(NEVER)}")
        yield f'<path d="{"".join(path)}" fill="none" stroke="{ACCENT}" stroke-width="2"/>'
        yield from marks

    return draw


def _by_ledger() -> Callable[[int], Iterator[str]]:
    certain, possible = _steps()

    def draw(y: int) -> Iterator[str]:
        low, high = _curve(certain), _curve(possible)
        there = "".join(f"H{_x(at)}V{_y(y, value)}" for at, value in high)
        back = "".join(f"V{_y(y, value)}H{_x(at)}" for at, value in reversed(low))
        yield f'<path d="M{_x(0)} {_y(y, 0)}{there}H{_x(NEVER)}{back}V{_y(y, 0)}Z" fill="{ACCENT}" opacity=".2"/>'
        for steps, dashes in ((low, ""), (high, ' stroke-dasharray="2 3"')):
            line = "".join(f"H{_x(at)}V{_y(y, value)}" for at, value in steps)
            path = f"M{_x(0)} {_y(y, 0)}{line}H{_x(NEVER)}"
            yield f'<path d="{path}" fill="none" stroke="{ACCENT}" stroke-width="2"{dashes}/>'
        for asked in EXAMPLE:
            interval = (np.array([0]), np.array([asked.sent]), np.array([asked.answered]))
            if asked.is_refused and not possible.reaches(CAP, *interval)[0]:
                middle = (asked.sent + asked.answered) / 2
                words = f"{asked.group}: not even possibly {CAP} taken, wrong for certain"
                yield _mark(_x(middle), _y(y, 1), words, is_below=True)
        over = next(at for at, value in low if value > CAP)
        yield _mark(_x(over), _y(y, CAP + 1), f"{CAP + 1} taken for certain", is_below=False)

    return draw


def _steps() -> tuple[Steps, Steps]:
    takes, releases = (
        [asked for asked in EXAMPLE if asked.verb == verb and not asked.is_refused] for verb in ("create", "destroy")
    )
    found = spans(_columns(takes), _columns(releases), NEVER)
    app = np.zeros(len(takes), np.int64)
    return certain_steps(app, found.certain, NEVER), possible_steps(app, found.possible, NEVER)


def _columns(rows: list[Asked]) -> Requests:
    return Requests(
        np.array([ord(asked.group) for asked in rows]),
        np.array([asked.sent for asked in rows]),
        np.array([asked.answered for asked in rows]),
        np.ones(len(rows), bool),
    )


def _curve(steps: Steps) -> list[tuple[int, int]]:
    pairs = zip(steps.instant.tolist(), steps.value.tolist(), strict=True)
    return [(at, value) for at, value in pairs if 0 < at < NEVER]


def _panel(top: int, title: str, draw: Callable[[int], Iterator[str]]) -> Iterator[str]:
    bottom = top + PANEL
    yield _text(LEFT, top - 12, title, MUTED)
    for count in range(CAP + 2):
        y = _y(bottom, count)
        yield f'<path d="M{LEFT} {y}H{_x(NEVER)}" stroke="{RULE}"/>'
        yield _text(LEFT - 10, y + 4, str(count), MUTED, "end")
    yield f'<path d="M{LEFT} {_y(bottom, CAP)}H{_x(NEVER)}" stroke="{INK}" stroke-width="1.4" stroke-dasharray="6 4"/>'
    yield _text(LEFT - 24, _y(bottom, CAP) + 4, "cap", INK, "end")
    yield from draw(bottom)


def _mark(x: float, y: float, words: str, *, is_below: bool) -> str:
    cross = f'<path d="M{x - 5:g} {y - 5:g}l10 10m0-10l-10 10" stroke="{WRONG}" stroke-width="2.4"/>'
    # Below the line where the count stands under the cap: above it the curve runs.
    return cross + _text(x - 11, y + (17 if is_below else -5), words, WRONG, "end")


def _text(x: float, y: float, words: str, color: str, anchor: str = "start") -> str:
    size = 10 if anchor == "middle" else 12
    return f'<text x="{x:g}" y="{y:g}" fill="{color}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def _x(instant: float) -> float:
    return LEFT + instant * UNIT


def _y(bottom: int, count: int) -> float:
    return bottom - count * PANEL / (CAP + 1.4)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawing(), encoding="utf-8")

"""What a command of the REST API is made of: its name, the shapes of its body and its answer, and what carries it out.

Bodies and answers are structs under the vendor's own field names. `null` and `""` mean absent, unknown fields are
ignored, numbers may stand in quotes.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from mock_im_server.service import App, Origin
from mock_im_server.wire import codes

DEPTH_MAX: Final = 64
"""Levels of objects and lists within a field whose content is the app's own."""


class Refused(Exception):  # noqa: N818 -- a refusal is a result here, not an error
    """Carries a vendor code from a command to the envelope."""

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = codes.TEXTS[code] if text is None else text
        super().__init__(self.text)


class Answer(msgspec.Struct, kw_only=True):
    """The envelope; answers with more in them derive from it."""

    ActionStatus: str = "OK"
    ErrorInfo: str = ""
    ErrorCode: int = 0


DONE: Final = Answer()
"""The answer that holds nothing but the envelope."""

type_carry_out = Callable[[App, Origin, Any], Awaitable[Answer]]


class Nothing(msgspec.Struct):
    """The body of a command that takes no parameters."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command, `name` being `service/command`; the summary is the docstring of `carry_out`."""

    name: str
    body: type[msgspec.Struct]
    carry_out: type_carry_out
    malformed: int
    """The code for a body in which a field has the wrong type."""
    answer: type[Answer] = Answer
    malformed_fields: Mapping[str, int] = field(default_factory=dict)
    """Fields for which that code is another; `Field[` stands for what is inside of it."""


def nests_too_deep(value: object) -> bool:
    """Whether what an app may fill as it likes cannot be kept, or passed on inside of something else.

    How deep a decoder and an encoder can go depends on who calls them: what the one has just taken, the other may
    refuse. The limit lies far below either.
    """
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def refused(answer: Answer, code: int) -> Answer:
    """The answer of a command that is refused and says more than the envelope."""
    answer.ActionStatus, answer.ErrorCode, answer.ErrorInfo = "FAIL", code, codes.TEXTS[code]
    return answer

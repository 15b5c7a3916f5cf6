"""Pages that need nothing but themselves: how they are rendered, and written in one piece."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.billing_days import iso
from analysis.bills import money, price


def render(template: str, **values: object) -> str:
    """Fill a template of this folder; what it does not know is an error, what it is given is escaped."""
    return _environment().get_template(template).render(**values)


def inline(svg: str) -> Markup:
    """Let a figure stand on a page as it is."""
    return Markup(svg)  # noqa: S704 -- drawn here, from numbers and dates; matplotlib escapes its texts


def write(content: str, path: Path) -> None:
    """Write a page, whole or not at all; raises OSError."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    filters: dict[str, Any] = {
        "percent": lambda part: f"{100 * part:.1f} %",
        "money": money,
        "price": price,
        "iso": iso,
        "count": lambda n: f"{n:,}",
    }
    environment.filters |= filters
    return environment

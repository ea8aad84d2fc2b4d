"""Templates: everything that is filled in is escaped, and no label can reorder or hide the text around it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kbsync.system.printable import printable

HERE = Path(str(files("kbsync.web")))
STATIC = HERE / "static"


def render(template: str, **values: Any) -> str:
    """Fill a template; a name that it uses and is not given is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["query"] = urlencode
    made.filters["digest"] = lambda text: (text or "–")[:12]
    return made


def shown(value: Any) -> Any:
    """How a value looks before it is escaped: times in UTC, figures with four digits, steering characters visible."""
    match value:
        case Markup():
            return value
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case str():
            return printable(value)
    return value

"""HTML from templates. Every value is escaped, and no label can reorder or hide the text around it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kbsync.system.printable import printable
from kbsync.views.wording import cell_text


@cache
def environment(*packages: str) -> Environment:
    """The templates of some packages.

    Args:
        packages: Names such as ``kbsync.views``. A template is taken from the folder ``templates`` of the first package
            that has it.
    """
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["query"] = urlencode
    templates.filters["digest"] = lambda text: (text or "–")[:12]
    return templates


def stylesheet() -> str:
    """The CSS that the status page and the report share."""
    return files("kbsync.views").joinpath("static", "style.css").read_text(encoding="utf-8")


def shown(value: Any) -> Any:
    """A value as people read it, before it is escaped.

    Times are in UTC, floats have four digits, None is a dash, and characters that could reorder or hide text become
    visible escapes.
    """
    match value:
        case Markup():
            return value
        case str():
            return printable(value)
        case None | bool() | float() | datetime():
            return cell_text(value, empty="–")
    return value

"""Renders a chat template, which is a Jinja program that comes with a model, without transformers.

So a plan or a report knows how a model is asked without importing torch. What is rendered is what transformers renders
(tests hold both together), but for two things: the date is always the same, and reasoning is switched off where a
template has a switch for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from kbsync.system.messages import first_line

DAY = datetime(2026, 1, 1)
"""What a template gets that asks for the date: a model must be asked tomorrow as it is asked today."""


class TemplateFailed(ValueError):
    """The template can't be compiled or fails to render; the message says why, and on which line of the template."""


def render(
    source: str, messages: Sequence[Mapping[str, str]], special_tokens: Mapping[str, str], *, answered: bool = False
) -> str:
    """Render a conversation, up to where the model's next answer begins.

    Args:
        source: The template.
        messages: Each with ``role`` and ``content``.
        special_tokens: What the template knows of the tokenizer: ``bos_token`` and so on.
        answered: The last message is the model's, and no answer follows.

    Raises:
        TemplateFailed: With the reason.
    """
    values = {
        **special_tokens,
        "messages": [dict(message) for message in messages],
        "tools": None,
        "documents": None,
        "add_generation_prompt": not answered,
        "enable_thinking": False,
    }
    try:
        return _environment().from_string(source).render(values)
    except TemplateSyntaxError as error:
        raise TemplateFailed(f"line {error.lineno}: {first_line(error)}") from error
    except Exception as error:  # a template is a program: it meets its own mistakes with whatever Python raises
        line = _line(error)
        raise TemplateFailed(f"line {line}: {first_line(error)}" if line else first_line(error)) from error


def _line(error: Exception) -> int | None:
    """The template's line at which it failed; Jinja puts it into the traceback."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            line = step.tb_lineno
        step = step.tb_next
    return line


def _environment() -> ImmutableSandboxedEnvironment:
    """What a template may use. It comes from a stranger, so it runs in Jinja's sandbox with plain data only."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _raise,
        "strftime_now": DAY.strftime,
        "namespace": _Namespace,
        "dict": _make_dict,
    }
    return environment


class _Generation(Extension):
    """``{% generation %}`` marks what a model wrote, for training; here it does nothing."""

    tags = {"generation"}  # noqa: RUF012 (Jinja declares it so)

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """Jinja's, without names that begin with an underscore: they would reach Python's own attributes."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__()
        for name, value in dict(*args, **values).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a namespace can't hold {name!r}")
        super().__setitem__(name, value)


def _make_dict(*args: Any, **values: Any) -> dict[Any, Any]:
    """A function in place of the class, whose attributes would be reachable."""
    return dict(*args, **values)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes HTML, which no model wants."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

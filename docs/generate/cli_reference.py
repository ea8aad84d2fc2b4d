"""The reference page of the command line: ``python -m docs.generate.cli_reference > docs/reference/cli.md``."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
import typing
from typing import Any

import typer
from typer.testing import CliRunner

from docs.generate.field_docs import field_docs, one_line
from kbsync.cli.command import EXIT_CODES, Verb
from kbsync.cli.main import VERBS, build

WIDTH = 100

HEAD = """# Command line

Generated from the commands' help texts by `make docs`: edit those instead of this page.

Results go to stdout, logs and progress to stderr. `--json` prints one JSON document whose fields, listed below, are
stable: fields may be added, and none is renamed or removed without a new major version. Times are UTC with a trailing
`Z`.

## Exit codes

| code | meaning |
|---|---|
"""


OVERVIEW = """
## What each command changes

Every command takes `--json`. Every command that changes something takes `--dry-run`, which says what would be done;
only the measurements of `kbsync bench`, which write one file and nothing else, do not. A command that changes the
ledger then works on a private copy of the ledger, which is thrown away. (A cache, such as a converted model, may be
filled.) It prints the same document as without `--dry-run`, unless another is named below.

| command | changes | | `--json` prints |
|---|---|---|---|
"""


def main() -> None:
    sys.stdout.write(reference())


def reference() -> str:
    """The whole page."""
    app = build()
    codes = "".join(f"| {code} | {text} |\n" for code, text in EXIT_CODES.items())
    top = _block(_help(app, []))
    return HEAD + codes + OVERVIEW + overview() + f"\n## kbsync\n\n{top}" + "".join(_section(app, v) for v in VERBS)


def overview() -> str:
    """A row for each command: what it changes, and what ``--json`` prints."""
    rows = []
    for verb in VERBS:
        link = f"[`{verb.name}`](#kbsync-{verb.name.replace(' ', '-')})"
        dry = "`--dry-run`" if takes(verb, "dry_run") else ""
        rows.append(f"| {link} | {verb.changes or 'nothing'} | {dry} | `{verb.prints.rpartition(':')[2]}` |\n")
    return "".join(rows)


def takes(verb: Verb, option: str) -> bool:
    """Whether the command has a parameter of this name."""
    return option in inspect.signature(verb.function).parameters


def _section(app: typer.Typer, verb: Verb) -> str:
    section = f"\n## kbsync {verb.name}\n\n{_block(_help(app, verb.name.split()))}"
    section += f"\n`--json` prints:\n\n{_document(verb.prints)}"
    return section + (f"\n`--json --dry-run` prints:\n\n{_document(verb.foretells)}" if verb.foretells else "")


def _help(app: typer.Typer, path: list[str]) -> str:
    result = CliRunner().invoke(
        app, [*path, "--help"], prog_name="kbsync", terminal_width=WIDTH, max_content_width=WIDTH, color=False
    )
    if result.exit_code:
        raise RuntimeError(f"kbsync {' '.join(path)} --help failed: {result.output}")
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines())


def _block(text: str) -> str:
    return f"```text\n{text}\n```\n"


def _document(prints: str) -> str:
    """The fields of the type ``module:Name`` that ``--json`` prints, and of every type inside it, once each."""
    listed = prints.startswith("list of ")
    module, _, name = prints.removeprefix("list of ").partition(":")
    top = getattr(importlib.import_module(module), name)
    waiting, done, text = [top], set(), ""
    while waiting:
        kind = waiting.pop(0)
        if kind in done:
            continue
        done.add(kind)
        called = f"a list of `{kind.__name__}`" if listed and kind is top else f"`{kind.__name__}`"
        text += f"{called}: {_doc(kind)}\n\n| field | type | meaning |\n|---|---|---|\n"
        hints, meanings = typing.get_type_hints(kind), field_docs(kind)
        for field in dataclasses.fields(kind):
            text += f"| `{field.name}` | {_type(hints[field.name])} | {meanings.get(field.name, '')} |\n"
            waiting += _inside(hints[field.name])
        text += "\n"
    return text.rstrip("\n") + "\n"


def _doc(kind: type) -> str:
    doc = inspect.getdoc(kind) or ""
    return "" if doc.startswith(f"{kind.__name__}(") else one_line(doc)


def _inside(hint: Any) -> list[type]:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return [hint]
    return [found for part in typing.get_args(hint) for found in _inside(part)]


def _type(hint: Any) -> str:
    """A type in the words of JSON."""
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        others = [_type(a) for a in arguments if a is not type(None)]
        return " or ".join([*others, "null"])
    origin = typing.get_origin(hint)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"object of {_type(arguments[1])}"
    if dataclasses.is_dataclass(hint):
        return f"`{getattr(hint, '__name__', '')}`"
    return _WORDS.get(getattr(hint, "__name__", ""), "string")


_WORDS = {"int": "integer", "float": "number", "bool": "boolean", "datetime": "time", "Any": "anything"}

if __name__ == "__main__":
    main()

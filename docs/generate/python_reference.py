"""Print the reference page of the Python interface: ``python -m docs.generate.python_reference``."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import kbsync.editing as ke
from docs.generate.field_docs import field_docs, literal_docs, one_line
from kbsync.domain.recipe import PUBLISHED

HEAD = """# Python interface

Generated from the docstrings by `make docs`: edit those instead of this page.

`kbsync.editing` edits the facts of a transformers model in memory. It needs no ledger, no configuration and no
Wikidata. The [notebook](../tutorial/editing.ipynb) shows it at work; [edit](../explanation/edit.md) and
[trace](../explanation/trace.md) explain what it does.

```python
import kbsync.editing as ke
```
"""

GROUPS = {
    "Edit": ("edit_model", "ModelEdit", "Rewrite", "Preserved"),
    "Hyperparameters": ("Recipe", "ALGORITHMS"),
    "Caches": ("MemoryArtifacts", "DirectoryArtifacts", "model_fingerprint"),
    "Trace": ("trace_fact", "TracedFact", "average_effects", "suggest_layers", "embedding_std"),
    "What a trace holds": ("State", "Role", "FactTrace", "Effect"),
    "What an edit reports": ("EditReport", "LayerReport"),
    "Errors": ("EditError", "ModelError", "DataError"),
}
"""Every name of ``kbsync.editing.__all__``, in the order of the page."""

PUBLISHED_HEAD = """
Published hyperparameters, by the names in the files that came with MEMIT and ROME, and, where it is
another, AlphaEdit's and fine-tuning's name. `Recipe.from_memit_json` reads them.

| field | MEMIT, ROME | AlphaEdit | fine-tuning |
|---|---|---|---|
"""
PUBLISHED_FOOT = """
`mom2_n_samples` counts documents where `covariance_tokens` counts tokens. `v_loss_layer`, `mom2_dtype`, AlphaEdit's
`nullspace_threshold` and the names of modules (`layer_module_tmp`, ...) have no field: the loss is read at the model's
output, second moments are summed in float64, the null space is a share of C's trace, and modules are found by the
model's structure. `fact_token` is always `subject_last`.
"""
SECTIONS = ("Args", "Returns", "Yields", "Raises", "Warns")


def main() -> None:
    sys.stdout.write(reference())


def reference() -> str:
    """The whole page. Raises ``ValueError`` if a public name is in no group, or in several."""
    listed = [name for names in GROUPS.values() for name in names]
    if sorted(listed) != sorted(ke.__all__):
        raise ValueError(f"each public name must be in one group; wrong: {sorted(set(listed) ^ set(ke.__all__))}")
    groups = (f"\n## {title}\n" + "".join(_entry(name) for name in names) for title, names in GROUPS.items())
    return HEAD + "".join(groups)


def _entry(name: str) -> str:
    value = getattr(ke, name)
    heading = f"\n### {name}\n\n"
    if isinstance(value, type):
        if issubclass(value, enum.Enum):
            return heading + docstring(value) + _members(value)
        if issubclass(value, Exception):
            return heading + docstring(value)
        return heading + _class(value)
    if callable(value):
        return heading + _signature(name, value) + docstring(value)
    return f"{heading}`{value!r}`\n\n{_constant_doc(name)}\n"


def _class(kind: type) -> str:
    text = docstring(kind)
    if dataclasses.is_dataclass(kind):
        text += _fields(kind)
    elif inspect.signature(kind).parameters:
        text = _signature(kind.__name__, vars(kind)["__init__"]) + text
    if kind is ke.Recipe:
        text += _published()
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            text += f"\n`{name}` (property): {one_line(member.__doc__ or '')}\n"
        elif isinstance(member, classmethod) or inspect.isfunction(member):
            function = member.__func__ if isinstance(member, classmethod) else member
            text += f"\n#### {kind.__name__}.{name}\n\n{_signature(name, function)}{docstring(function)}"
    return text


def _fields(kind: type) -> str:
    docs = field_docs(kind)
    rows = ["\n| field | type | default | |\n|---|---|---|---|\n"]
    for field in dataclasses.fields(kind):
        if not field.name.startswith("_"):
            rows.append(f"| `{field.name}` | {_code(field.type)} | {_default(field)} | {docs.get(field.name, '')} |\n")
    return "".join(rows)


def _published() -> str:
    rows = []
    for field in dataclasses.fields(ke.Recipe):
        names = field.metadata.get(PUBLISHED)
        if names:
            cells = (f"`{names[method]}`" if method in names else "" for method in ("memit", "alphaedit", "finetune"))
            rows.append(f"| `{field.name}` | {' | '.join(cells)} |\n")
    return PUBLISHED_HEAD + "".join(rows) + PUBLISHED_FOOT


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _code(repr(field.default))
    return "" if field.default_factory is dataclasses.MISSING else _code(repr(field.default_factory()))


def _members(kind: type[enum.Enum]) -> str:
    docs = field_docs(kind)
    rows = (f"| `{m.name}` | `{m.value!r}` | {docs.get(m.name, '')} |\n" for m in kind)
    return "\n| member | value | |\n|---|---|---|\n" + "".join(rows)


def _constant_doc(name: str) -> str:
    module = inspect.getmodule(ke.Recipe)
    assert module is not None
    return literal_docs(ast.parse(inspect.getsource(module)).body)[name]


def _signature(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parameters:
            parameters.append("*")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parameters.append(f"{parameter.name}: {parameter.annotation}{default}")
    arrow = "" if signature.return_annotation == "None" else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parameters)}){arrow}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {p},\n" for p in parameters) + f"){arrow}"
    return f"```python\n{line}\n```\n\n"


def docstring(item: Any) -> str:
    """A docstring in Google form as Markdown: paragraphs, code blocks, and a list for each section."""
    text = inspect.getdoc(item) or ""
    blocks: list[str] = []
    for block in re.split(r"\n\n+", text):
        title, colon, rest = block.partition(":\n")
        if colon and title in SECTIONS:
            blocks.append(f"**{title}**\n\n{_section(title, textwrap.dedent(rest))}")
        elif block.startswith("    "):
            blocks.append(f"```python\n{textwrap.dedent(block)}\n```")
        else:
            blocks.append(textwrap.fill(block.replace("``", "`"), 118, break_long_words=False, break_on_hyphens=False))
    return "\n\n".join(blocks) + "\n"


def _section(title: str, text: str) -> str:
    """One line for each argument or error; a paragraph for what is returned."""
    if title in ("Returns", "Yields"):
        return textwrap.fill(one_line(text), 118, break_long_words=False, break_on_hyphens=False)
    items: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            items[-1] += f" {line.strip()}"
        else:
            items.append(line)
    lines = []
    for item in items:
        name, _, meaning = item.partition(": ")
        lines.append(f"- `{name}`: {one_line(meaning)}")
    return "\n".join(lines)


def _code(annotation: Any) -> str:
    return f"`{annotation!s}`".replace("|", "\\|")


if __name__ == "__main__":
    main()

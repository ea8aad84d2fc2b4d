"""Read the string literals below fields, members and constants, which describe them."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Sequence


def field_docs(kind: type) -> dict[str, str]:
    """The string literals that stand under the fields of a dataclass or the members of an enumeration, by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    return literal_docs(body)


def literal_docs(body: Sequence[ast.stmt]) -> dict[str, str]:
    """The string literals that stand under assignments, by the assigned name."""
    docs = {}
    for assignment, below in itertools.pairwise(body):
        match assignment, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[name] = one_line(doc)
    return docs


def one_line(doc: str) -> str:
    """A docstring as one line of Markdown, fit for a cell of a table."""
    return " ".join(doc.replace("``", "`").split()).replace("|", "\\|")

"""Tables in the documentation, generated from evidence files and never typed.

A table stands between two comments in a Markdown page::

    <!-- figures FILE.json -->
    <!-- end -->

``FILE.json`` lies in ``docs/results/``. Without more, the table has one row for each figure. Two additions make it
shorter:

- ``FILE.json: score perplexity_growth`` selects columns. Figures must then be named ``<row>.<column>``, and each row of
  the table is one line of a benchmark.
- ``FILE.json = efficacy; elapsed`` selects rows, in this order. Both may be combined, columns first.

``python -m docs.generate.tables`` (``make docs``) writes all tables anew. With ``--check`` it writes nothing and only
says whether they are up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"(<!-- figures (?P<file>[\w.-]+\.json)(?P<columns>:[ \w]+?)?(?: = (?P<rows>[^>]+?))? "
    r"-->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)
_HOLDS = {True: "yes", False: "**no**", None: ""}


def render(document: dict[str, Any], columns: Sequence[str] = (), rows: Sequence[str] = ()) -> str:
    """Render the figures of an evidence file as a Markdown table.

    Args:
        document: The parsed evidence file.
        columns: The columns; only figures whose name ends in a dot and one of these are shown. Empty: all figures,
            one in each row.
        rows: The rows that are shown, in this order. Empty: all.

    Returns:
        A line about the origin of the figures, and the table.

    Raises:
        ValueError: The file has no figure or row of a given name.
    """
    machine = document["machine"]
    head = (
        f"`{document['command']}`, {document['started'][:10]}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, commit `{(document['commit'] or 'unknown')[:10]}`:"
    )
    lines = _by_column(document["figures"], columns) if columns else _by_figure(document["figures"])
    titles = (
        ["line", *(name.replace("_", " ") for name in columns)] if columns else ["figure", "value", "target", "holds"]
    )
    _refuse_unknown(rows, lines)
    chosen = [_row([name, *lines[name]]) for name in rows or lines]
    return "\n".join([head, "", _row(titles), "|" + "---|" * len(titles), *chosen, ""])


def _by_figure(figures: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    return {f["name"]: [_value(f), f["target"] or "", _HOLDS[f["holds"]]] for f in figures}


def _by_column(figures: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, list[str]]:
    """The cells of each line that has at least one of the columns; a figure that was not measured is an empty cell."""
    cells: dict[str, dict[str, str]] = {}
    for figure in figures:
        line, _, column = figure["name"].rpartition(".")
        if column in columns:
            cells.setdefault(line, {})[column] = _value(figure)
    _refuse_unknown(columns, {column for row in cells.values() for column in row})
    return {line: [row.get(column, "") for column in columns] for line, row in cells.items()}


def _refuse_unknown(names: Sequence[str], known: Iterable[str]) -> None:
    if unknown := set(names) - set(known):
        raise ValueError(f"no figure is named {', '.join(sorted(unknown))}")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "not measured"
    if figure["unit"] == "share":
        return f"{figure['value']:.1%}"
    value = figure["value"]
    shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
    return f"{shown} {figure['unit']}"


def rewrite(text: str, results: Path) -> str:
    """Return ``text`` with every table made anew from the evidence files in ``results``."""

    def block(match: re.Match[str]) -> str:
        document = json.loads((results / match["file"]).read_text(encoding="utf-8"))
        columns = (match["columns"] or ":")[1:].split()
        rows = [row.strip() for row in (match["rows"] or "").split(";") if row.strip()]
        return f"{match[1]}{render(document, columns, rows)}{match['end']}"

    return _BLOCK.sub(block, text)


def main(arguments: list[str]) -> int:
    """Rewrite the tables of README.md, CONTRIBUTING.md and all pages below docs/ in the working directory.

    Args:
        arguments: ``--check``: write nothing.

    Returns:
        The exit code: 1 if ``--check`` found a table that is not up to date.
    """
    stale = []
    for path in [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        fresh = rewrite(text, Path("docs/results"))
        if fresh != text:
            stale.append(str(path))
            if "--check" not in arguments:
                path.write_text(fresh, encoding="utf-8")
    if "--check" in arguments and stale:
        sys.stderr.write(f"Figures are not those of docs/results in: {', '.join(stale)}. Run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

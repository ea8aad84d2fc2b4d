"""Figures in the documentation: blocks that are generated from evidence files, never typed.

A block stands between ``<!-- figures FILE.json -->`` and ``<!-- end -->`` in a Markdown file; FILE.json lies in
``docs/results/``. With ``FILE.json: score perplexity_growth`` the block is a table of these figures only, a row for each
name before the last dot (a line of a benchmark). ``python -m docs.generate.tables`` (``make docs``) writes all blocks anew, ``--check`` only tells
whether they are.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"(<!-- figures (?P<file>[\w.-]+\.json)(?P<columns>:[ \w]+)? -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def render(document: dict[str, Any], columns: Sequence[str] = ()) -> str:
    """The figures of one evidence document as a Markdown table under a line that says where they come from.

    ``columns``: only figures of these names (what stands behind the last dot), one row a line.
    """
    machine = document["machine"]
    head = (
        f"`{document['command']}`, {document['started'][:10]}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, commit `{(document['commit'] or 'unknown')[:10]}`:"
    )
    rows = _lines(document["figures"], columns) if columns else _all(document["figures"])
    return "\n".join([head, "", *rows, ""])


def _all(figures: Sequence[dict[str, Any]]) -> list[str]:
    rows = ["| figure | value | target | holds |", "|---|---|---|---|"]
    for figure in figures:
        holds = {True: "yes", False: "**no**", None: ""}[figure["holds"]]
        rows.append(f"| {figure['name']} | {_value(figure)} | {figure['target'] or ''} | {holds} |")
    return rows


def _lines(figures: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    """A row for each line that has one of the columns; what was not measured is left empty."""
    lines: dict[str, dict[str, str]] = {}
    for figure in figures:
        line, _, name = figure["name"].rpartition(".")
        if name in columns:
            lines.setdefault(line, {})[name] = _value(figure)
    if missing := set(columns) - {name for found in lines.values() for name in found}:
        raise ValueError(f"no figure is named {', '.join(sorted(missing))}")
    titles = " | ".join(name.replace("_", " ") for name in columns)
    rows = [f"| line | {titles} |", "|---|" + "---|" * len(columns)]
    return rows + [f"| {line} | {' | '.join(found.get(c, '') for c in columns)} |" for line, found in lines.items()]


def _value(figure: dict[str, Any]) -> str:
    if figure["unit"] == "share":
        return f"{figure['value']:.1%}"
    value = figure["value"]
    shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
    return f"{shown} {figure['unit']}"


def rewrite(text: str, results: Path) -> str:
    """``text`` with every block as its evidence file has it now."""

    def block(match: re.Match[str]) -> str:
        document = json.loads((results / match["file"]).read_text(encoding="utf-8"))
        columns = (match["columns"] or ":")[1:].split()
        return f"{match[1]}{render(document, columns)}{match['end']}"

    return _BLOCK.sub(block, text)


def main(arguments: list[str]) -> int:
    """Rewrite (or ``--check``) README.md and docs/*.md under the working directory; 1 when a check fails."""
    stale = []
    for path in [Path("README.md"), *sorted(Path("docs").glob("*.md"))]:
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

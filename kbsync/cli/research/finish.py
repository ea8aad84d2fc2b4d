"""Write a benchmark's evidence and show its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path("docs/results")


def finish(document: Mapping[str, Any], output: Path, *, json: bool) -> None:
    """Write the evidence and show its figures (or, with ``--json``, print it whole)."""
    from kbsync.cli.output import emit, say, table
    from kbsync.operations.evidence import write_evidence

    output.parent.mkdir(parents=True, exist_ok=True)
    write_evidence(output, dict(document))
    if json:
        emit(document)
        return
    rows = [(f["name"], f["value"], f["unit"], f["target"], f["holds"]) for f in document["figures"]]
    table(("figure", "#value", "unit", "target", "holds"), rows)
    say(f"written to {output}")

"""What every command does at its end: write its evidence, show its figures, and say by the exit code whether the
demands hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kbsync.cli.research.finish import RESULTS, finish

__all__ = ["RESULTS", "OutputOption", "conclude", "finish"]

OutputOption = Annotated[Path, typer.Option("--output", metavar="PATH", help="The JSON file.", dir_okay=False)]


def conclude(document: Mapping[str, Any], output: Path, *, json: bool) -> None:
    """Write and show the evidence; raises ``typer.Exit`` with code 1 where a demand does not hold."""
    finish(document, output, json=json)
    if any(figure["holds"] is False for figure in document["figures"]):
        raise typer.Exit(1)

"""``families``: a recipe for a small model of each family."""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "families",
    examples=["python -m tests.evidence families", "python -m tests.evidence families --only llama --only mamba"],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def families(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FAMILY", help="May be repeated. Default: all.")
    ] = None,
    output: OutputOption = RESULTS / "families.json",
    json: JsonOption = False,
) -> None:
    """Make a small model of each family, teach it some facts, and find a recipe for it; count how they end."""
    from tests.evidence.families.measure import measure_families
    from tests.evidence.families.models import FAMILIES

    kept = output.with_suffix(".part")
    document = measure_families(only or tuple(FAMILIES), kept)
    kept.unlink(missing_ok=True)
    conclude(document, output, json=json)

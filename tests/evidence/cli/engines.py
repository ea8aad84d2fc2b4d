"""``engines``: the same answers from every SPARQL engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "engines",
    examples=["python -m tests.evidence engines"],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def engines(
    context: typer.Context,
    output: OutputOption = RESULTS / "engines.json",
    state: Annotated[
        Path, typer.Option(help="What each engine was found to do is kept here, until the code changes.")
    ] = Path("engines-state"),
    json: JsonOption = False,
) -> None:
    """Ask Oxigraph, Virtuoso, rdflib-endpoint and Comunica the questions of a pull, and compare the ledgers.

    The engines are started here; their programs are looked for on the PATH and in the directories of KBSYNC_ENGINES.
    Each question of the suite of sources is 1 or 0 for each engine. An engine that is not installed fails.
    """
    from tests.evidence.engines.measure import measure_engines

    conclude(measure_engines(state), output, json=json)

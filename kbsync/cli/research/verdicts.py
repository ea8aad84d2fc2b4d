"""``kbsync bench verdicts``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import OutputOption

ANSWERS = Path("tests/samples/answers/answers.jsonl.gz")
"""In a checkout: the answers that were labelled by hand. The wheel does not hold them."""


@verb(
    "bench verdicts",
    examples=["kbsync bench verdicts", "kbsync bench verdicts answers.jsonl"],
    exits=[65, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def verdicts(
    context: typer.Context,  # noqa: ARG001 - every command takes it
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Labelled answers, JSON lines, plain or gzip. Default: those of the checkout.",
            dir_okay=False,
        ),
    ] = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how well answers are judged: precision and recall of each verdict, by labels that were given by hand.

    The figures leave out the answers from which the judge's rules were made. docs/explanation/probe.md says how answers
    are judged, and what the labels mean.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.domain.errors import DataError
    from kbsync.research.verdicts import measure_verdicts

    path = data or ANSWERS
    if not path.is_file():
        raise DataError(
            f"There are no labelled answers at {path}.",
            next_step="Run it in a checkout of kbsync, or name a file: kbsync bench verdicts FILE.",
        )
    finish(measure_verdicts(path), output or RESULTS / "verdicts.json", json=json)

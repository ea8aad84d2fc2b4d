"""``serving``: what a version keeps in every form in which it can be served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "serving",
    examples=["python -m tests.evidence serving"],
    exits=[65, 66, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="two files",
)
def serving(
    context: typer.Context,
    number: Annotated[int, typer.Option("--number", metavar="N", help="The version.", min=1)] = 2,
    form: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this form; may be repeated. Default: all.")
    ] = None,
    moves: Annotated[int, typer.Option(min=0, metavar="N", help="Moves of current under load; 0: no swaps.")] = 10,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many prompts of each group. Default: all.")
    ] = None,
    record: Annotated[
        Path, typer.Option(metavar="PATH", help="What was measured so far, by which an interrupted run goes on.")
    ] = Path("serving-forms.json"),
    output: OutputOption = RESULTS / "serving.json",
    json: JsonOption = False,
) -> None:
    """Ask a version's edited facts and neighbours in every form in which it can be served.

    Real engines answer: transformers, PEFT and llama.cpp (the package xllamacpp). Then the engines' own rules for
    adapters are checked, and versions are swapped under load and killed between the steps.
    """
    from kbsync.cli.context import application
    from tests.evidence.serving.forms import FORMS
    from tests.evidence.serving.measure import measure_serving

    if unknown := sorted(set(form or ()) - set(FORMS)):
        raise typer.BadParameter(f"there is no form {unknown[0]!r}; there are {', '.join(FORMS)}")
    with application(context) as app:
        document = measure_serving(app, number, form or FORMS, record, moves, sample)
    conclude(document, output, json=json)

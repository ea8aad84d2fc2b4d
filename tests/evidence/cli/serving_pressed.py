"""``serving-pressed``: facts that rounding loses, and what writing them for that form brings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.domain.served_form import BLOCKS
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude

FORMS = ("bfloat16", *BLOCKS)
PRESSED = ("q4_0",)


@verb(
    "serving-pressed",
    examples=["python -m tests.evidence serving-pressed"],
    exits=[65, 66, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="files beside the record, and the output",
)
def serving_pressed(
    context: typer.Context,
    number: Annotated[int, typer.Option("--number", metavar="N", help="The version.", min=1)] = 2,
    form: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this form; may be repeated. Default: all.")
    ] = None,
    press: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Write for this form; may be repeated. Default: q4_0.")
    ] = None,
    subjects: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only facts of so many subjects. Default: all.")
    ] = None,
    passes: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Passes of the refinement. Default: the recipe's.")
    ] = None,
    record: Annotated[
        Path, typer.Option(metavar="PATH", help="What was measured so far, by which an interrupted run goes on.")
    ] = Path("serving-pressed.json"),
    output: OutputOption = RESULTS / "serving-pressed.json",
    json: JsonOption = False,
) -> None:
    """Ask a version in forms that round its weights, and write its facts again for those in which they are lost.

    The same facts are written with `refine_as` in the recipe, and asked in that form by kbsync, unrounded, and by a
    llama.cpp that loads the whole file requantised.
    """
    from kbsync.cli.context import application
    from tests.evidence.serving.pressed import measure_pressed

    if unknown := sorted({*(form or ()), *(press or ())} - set(FORMS)):
        raise typer.BadParameter(f"there is no form {unknown[0]!r}; there are {', '.join(FORMS)}")
    with application(context) as app:
        document = measure_pressed(
            app, number, form or FORMS, press or PRESSED, record, subjects=subjects, passes=passes
        )
    conclude(document, output, json=json)

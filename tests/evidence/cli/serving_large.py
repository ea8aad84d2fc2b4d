"""``serving-large``: a small edit of a larger model, served by llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "serving-large",
    examples=["python -m tests.evidence serving-large qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"],
    exits=[65, 66, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="two files, and artifacts of the demonstration",
)
def serving_large(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="FILE", help="A GGUF file.")],
    cache: Annotated[Path, typer.Option(metavar="DIR", help="Where it is kept after it was converted.")] = Path(
        "models"
    ),
    number: Annotated[int, typer.Option("--number", metavar="N", help="The version whose facts are taken.", min=1)] = 2,
    facts: Annotated[int, typer.Option(min=1, metavar="N", help="Facts that are written.")] = 10,
    layer: Annotated[int, typer.Option(min=0, metavar="N", help="The one edited layer.")] = 5,
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Text of the key covariance, in tokens.")] = 9500,
    record: Annotated[
        Path, typer.Option(metavar="PATH", help="The record of `serving`, which then shows these figures, too.")
    ] = Path("serving-forms.json"),
    output: OutputOption = RESULTS / "serving-large.json",
    json: JsonOption = False,
) -> None:
    """Write a few facts into one layer of a larger model, and ask llama.cpp with the adapter on the model's own file.

    The facts are the first of the demonstration that this model answers wrongly. The neighbours are those of the
    gate's untouched prompts that it answers rightly before the edit.
    """
    from kbsync.cli.context import application
    from tests.evidence.serving.large import measure_large
    from tests.evidence.serving.measure import note_large

    with application(context) as app:
        document = measure_large(app, number, model, cache, facts=facts, layer=layer, tokens=tokens)
    note_large(record, document)
    conclude(document, output, json=json)

"""``serving-vllm``: a running vLLM that is given versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "serving-vllm",
    examples=["python -m tests.evidence serving-vllm http://127.0.0.1:8000"],
    exits=[65, 66, 69, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="two files",
)
def serving_vllm(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="A vLLM that serves the base and may load adapters.")],
    old: Annotated[int, typer.Option(metavar="N", help="The older version.", min=1)] = 1,
    new: Annotated[int, typer.Option(metavar="N", help="The newer version.", min=1)] = 2,
    moves: Annotated[int, typer.Option(min=1, metavar="N", help="Moves between them under load.")] = 6,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many prompts of each group. Default: all.")
    ] = None,
    record: Annotated[
        Path, typer.Option(metavar="PATH", help="What was measured so far, by which an interrupted run goes on.")
    ] = Path("serving-vllm.json"),
    output: OutputOption = RESULTS / "serving-vllm.json",
    json: JsonOption = False,
) -> None:
    """Give a running vLLM two versions in turn, under load, and ask it what it then says.

    Swaps are killed between their steps and done again; an adapter of too high a rank, one that does not answer, and
    one that is not there must be refused.
    """
    from kbsync.cli.context import application
    from tests.evidence.serving.vllm import measure_vllm

    with application(context) as app:
        document = measure_vllm(app, url, (old, new), moves, sample, record)
    conclude(document, output, json=json)

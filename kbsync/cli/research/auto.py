"""``kbsync bench auto``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    CorpusOption,
    HeldOutOption,
    ModelOption,
    OutputOption,
    StateOption,
    TokensOption,
    session_of,
    session_options,
)


@verb(
    "bench auto",
    examples=["kbsync bench auto --demo demo-state --hand gemma-3-270m --budget 20m"],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def auto(
    context: typer.Context,
    demo: Annotated[
        Path, typer.Option(metavar="DIR", help="The demonstration's state directory, whose facts are written.")
    ] = Path("demo-state"),
    model: ModelOption = None,
    hand: Annotated[
        str, typer.Option(metavar="NAME", help="The recipe that people made for this model.")
    ] = "gemma-3-270m",
    budget: Annotated[str, typer.Option(metavar="DURATION", help="How long the search should take.")] = "20m",
    units: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The work of the search, instead of a budget.")
    ] = None,
    facts: Annotated[
        int | None,
        typer.Option("--facts", min=1, metavar="N", help="The most facts that are written in the end. Default: all."),
    ] = None,
    paraphrases: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most prompts of each form about edited facts.")
    ] = 110,
    known: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most prompts of each form about known facts.")
    ] = 60,
    neighbours: Annotated[int, typer.Option(min=0, metavar="N", help="The most facts that are not edited.")] = 200,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Find a recipe for a model, and compare it with the one that people made for it, on the same facts.

    The demonstration's facts are asked of the model first. Its ledger is copied and not changed. Trials and lines that
    are finished are kept: a run that was stopped or killed goes on where it was.
    """
    from datetime import timedelta

    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.config.values import duration
    from kbsync.research.auto import AutoExtent, run_auto
    from kbsync.research.written_facts import PhrasingsExtent
    from kbsync.stages.evaluate.question import EvaluationSize

    try:
        length: timedelta = duration(budget)
    except ValueError as error:
        raise typer.BadParameter(f"--budget {error}") from None
    size = EvaluationSize(
        paraphrases=paraphrases, known=known, neighbours=neighbours, enough=50, robustness=0, texts=0, hops=0
    )
    extent = AutoExtent(
        budget=length,
        units=units,
        written=facts,
        measured=PhrasingsExtent(size=size, answer_tokens=answer_tokens),
    )
    with session_of(context, session_options(context, model, [hand], state, corpus, held_out)) as session:
        document = run_auto(session, demo, extent)
        output = output or RESULTS / f"auto-{session.model_name}.json"
    finish(document, output, json=json)

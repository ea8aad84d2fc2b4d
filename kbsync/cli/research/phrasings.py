"""``kbsync bench phrasings``"""

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
    TargetsOption,
    TokensOption,
    session_of,
    session_options,
    targets_of,
)


@verb(
    "bench phrasings",
    examples=["kbsync bench phrasings", "kbsync bench phrasings --demo demo-state --recipe gemma-3-270m --ablation"],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def phrasings(
    context: typer.Context,
    demo: Annotated[
        Path, typer.Option(metavar="DIR", help="The demonstration's state directory, whose facts are written.")
    ] = Path("demo-state"),
    model: ModelOption = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="Another recipe than the configured one.")
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Write the facts in several ways instead, each with one step more.")
    ] = False,
    facts: Annotated[
        int | None, typer.Option("--facts", min=1, metavar="N", help="The most facts that are written. Default: all.")
    ] = None,
    paraphrases: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most prompts of each form about edited facts.")
    ] = 110,
    known: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most prompts of each form about known facts.")
    ] = 60,
    robustness: Annotated[int, typer.Option(min=0, metavar="N", help="The most prompts of each harder kind.")] = 50,
    compared: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="The fewest facts that are searched in two ways, for search_ratio."),
    ] = 64,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Write the demonstration's facts into a model, and ask for them in words that no edit has seen.

    The model is asked first what it knows of them. Figures are by form of phrasing, beside facts that the base knows.
    The demonstration's ledger is copied and not changed. docs/reference/gate.md says what each figure asks.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.phrasings import run_ablation, run_phrasings
    from kbsync.research.written_facts import PhrasingsExtent
    from kbsync.stages.evaluate.question import EvaluationSize

    if ablation and target:
        raise typer.BadParameter("--ablation has no --target")
    wanted = session_options(context, model, [recipe] if recipe else None, state, corpus, held_out)
    size = EvaluationSize(
        paraphrases=paraphrases, known=known, robustness=robustness, texts=0, hops=0, neighbours=0, enough=0
    )
    extent = PhrasingsExtent(size=size, answer_tokens=answer_tokens, facts=facts, compared=compared)
    targets = targets_of(target)
    with session_of(context, wanted) as session:
        if ablation:
            document, kind = run_ablation(session, demo, extent), "phrasings-ablation"
        else:
            document, kind = run_phrasings(session, demo, extent, targets=targets), "phrasings"
        output = output or RESULTS / f"{kind}-{session.model_name}.json"
    finish(document, output, json=json)

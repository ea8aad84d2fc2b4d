"""``kbsync bench alternatives``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    CorpusOption,
    HeldOutOption,
    ModelOption,
    OutputOption,
    SeedOption,
    StateOption,
    session_of,
    session_options,
)

COLUMNS = ("statement", "question", "dialogue", "specificity", "tokens", "seconds")


@verb(
    "bench alternatives",
    examples=[
        "kbsync bench alternatives",
        "kbsync bench alternatives --demo demo-state --recipe gemma-3-270m --facts 100",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def alternatives(
    context: typer.Context,
    demo: Annotated[
        Path, typer.Option(metavar="DIR", help="The demonstration's state directory, whose facts are asked.")
    ] = Path("demo-state"),
    model: ModelOption = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="The recipe of the edit. Default: the configured one.")
    ] = None,
    facts: Annotated[int, typer.Option(min=1, metavar="N", help="Ask about N of the edited facts.")] = 60,
    known: Annotated[
        int, typer.Option(min=0, metavar="N", help="Try N other facts, and ask those that the base has right.")
    ] = 60,
    per_form: Annotated[
        int, typer.Option(min=1, metavar="N", help="Ask N held-out phrasings of each form about each fact.")
    ] = 1,
    passages: Annotated[int, typer.Option(min=1, max=3, metavar="N", help="Facts that BM25 retrieves.")] = 2,
    timed: Annotated[int, typer.Option(min=1, metavar="N", help="Questions asked one by one for the time.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Epochs of the fine-tuning.")] = 5,
    rank: Annotated[int, typer.Option(min=1, metavar="N", help="Rank of the fine-tuning.")] = 16,
    answer_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Length of greedy answers.")] = 8,
    seed: SeedOption = 0,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the edit with what one would use instead: the fact in the context, retrieval, fine-tuning, and both.

    All ways answer the same held-out questions about the facts of the demonstration that the model has wrong, and about
    some that it knows. The demonstration's ledger is copied and not changed. docs/explanation/alternatives.md says what
    is measured. It needs the extras kbsync[research,lora].

    Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.alternatives import AlternativesSettings, run_alternatives
    from kbsync.research.lora import LoraSettings

    settings = AlternativesSettings(
        facts=facts,
        known=known,
        per_form=per_form,
        passages=passages,
        answer_tokens=answer_tokens,
        timed=timed,
        seed=seed,
        lora=LoraSettings(rank=rank, epochs=epochs),
    )
    wanted = session_options(context, model, [recipe] if recipe else None, state, corpus, held_out)
    with session_of(context, wanted) as session:
        document = run_alternatives(session, demo, settings)
        output = output or RESULTS / f"alternatives-{session.model_name}.json"
    finish(document, output, json=json)
    if not json:
        _show(document)


def _show(document: Mapping[str, Any]) -> None:
    """One row for each way."""
    from kbsync.cli.output import table

    values = {figure["name"]: figure["value"] for figure in document["figures"]}
    ways = dict.fromkeys(name.partition(".")[0] for name in values)
    rows = [(way, *(values.get(f"{way}.{column}") for column in COLUMNS)) for way in ways]
    table(("way", *(f"#{column}" for column in COLUMNS)), rows)

"""``kbsync bench alternatives``"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import EXITS, OutputOption, SeedOption

COLUMNS = ("statement", "question", "dialogue", "specificity", "tokens", "seconds")


@verb(
    "bench alternatives",
    examples=[
        "kbsync bench alternatives",
        "kbsync --config demo/kbsync.toml bench alternatives --recipe gemma-3-270m --facts 100",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def alternatives(
    context: typer.Context,
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
    seed: SeedOption = 0,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the edit with what one would use instead: the fact in the context, retrieval, fine-tuning, and both.

    All ways answer the same held-out questions about the facts of the ledger's current version (else of its newest
    one). docs/explanation/alternatives.md says what is measured. It reads the ledger and changes nothing in it. It
    needs the extras kbsync[research,lora].

    Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.context import application
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.config import load_recipe
    from kbsync.research.alternatives import AlternativesSettings, run_alternatives
    from kbsync.research.lora import LoraSettings
    from kbsync.research.session import ResearchSession

    settings = AlternativesSettings(
        facts=facts,
        known=known,
        per_form=per_form,
        passages=passages,
        timed=timed,
        seed=seed,
        lora=LoraSettings(rank=rank, epochs=epochs),
    )
    with application(context) as app:
        chosen = load_recipe(recipe, app.settings.recipes_dir) if recipe else app.recipe
        session = ResearchSession(app, [chosen])
        document = run_alternatives(session, settings)
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

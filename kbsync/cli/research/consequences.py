"""``kbsync bench consequences``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    CorpusOption,
    ModelOption,
    OutputOption,
    StateOption,
    TokensOption,
    session_of,
    session_options,
)


@verb(
    "bench consequences",
    examples=[
        "kbsync bench consequences",
        "kbsync bench consequences --demo demo-state --recipe counterfact-gemma-3-270m --questions 150",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def consequences(
    context: typer.Context,
    demo: Annotated[
        Path, typer.Option(metavar="DIR", help="The demonstration's state directory, whose facts are asked about.")
    ] = Path("demo-state"),
    model: ModelOption = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="Another recipe than the configured one.")
    ] = None,
    questions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Second hops to ask for: so many, or a few more, if there are any.")
    ] = 110,
    together: Annotated[int, typer.Option(min=1, metavar="N", help="The most subjects that are edited together.")] = 10,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    state: StateOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Give subjects other objects, with the consequences and without, and ask for what the model knows of these.

    The other objects are counterfactual, and the model knows both hops of every question. It is asked in phrasings that
    no edit writes, and so is the unedited model about its own facts. The demonstration's ledger is copied and not
    changed. Finished edits are kept, so that a run that was killed goes on.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.consequences import ConsequencesExtent, run_consequences

    wanted = session_options(context, model, [recipe] if recipe else None, state, corpus, None)
    extent = ConsequencesExtent(questions=questions, together=together, answer_tokens=answer_tokens)
    with session_of(context, wanted) as session:
        document = run_consequences(session, demo, extent)
        output = output or RESULTS / f"consequences-{session.model_name}.json"
    finish(document, output, json=json)

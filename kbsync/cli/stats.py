"""``kbsync stats build``"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.operations.covariance import StatsView


@verb(
    "stats build",
    examples=[
        "kbsync stats build",
        "kbsync stats build --corpus ~/texts --tokens 100000",
        "kbsync stats build --dry-run",
    ],
    exits=[65, 70, 74],
    prints="kbsync.operations.covariance:StatsView",
    changes="the store",
)
def build(
    context: typer.Context,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH", help="Plain text or JSON lines, or a directory of them, instead of [text].", exists=True
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A data set on the hub, instead of [text]: OWNER/NAME?config=...&split=train."
        ),
    ] = None,
    sampled: Annotated[bool, typer.Option("--sampled", help="Text that the model samples, instead of [text].")] = False,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the configured recipe.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Token budget, instead of the recipe's.", min=1)] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="LIST", help="Layers, such as 3-8 or 3,5,7, instead of the recipe's.")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Measure again what is stored already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing, and measure nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure the key covariance before the first edit needs it.

    One pass over the text serves all layers. A killed run goes on from its last snapshot and loses a minute at most.
    The covariance is stored by model, text, budget and seed. An edit uses it if its recipe and [text] say the same,
    and else measures its own.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.cli.research.layers import parse_layers
    from kbsync.operations import covariance as stats

    if sum(map(bool, (corpus, dataset, sampled))) > 1:
        raise typer.BadParameter("choose one of --corpus, --dataset and --sampled")
    overrides = _overrides(corpus, dataset, sampled, recipe)
    with application(context, overrides) as app:
        changes: dict[str, Any] = {"covariance_tokens": tokens, "layers": layers and parse_layers(layers)}
        wanted = replace(app.recipe, **{name: value for name, value in changes.items() if value})
        view = stats.build(app, wanted, as_configured=not overrides, anew=anew, dry_run=dry_run)
    return emit(view) if json else show(view)


def _overrides(
    corpus: list[Path] | None, dataset: list[str] | None, sampled: bool, recipe: str | None
) -> dict[str, Any]:
    text: dict[str, Any] = {"corpus": [str(p.absolute()) for p in corpus or ()], "datasets": list(dataset or ())}
    overrides: dict[str, Any] = {"text": text} if corpus or dataset or sampled else {}
    return overrides | ({"edit": {"recipe": recipe}} if recipe else {})


def show(view: StatsView) -> None:
    from kbsync.cli.output import count, say, table

    rows = [
        (s.layer, s.width, s.tokens, "known" if s.known else "-" if s.tokens is None else "measured")
        for s in view.layers
    ]
    table(("#layer", "#width", "#tokens", ""), rows)
    source = count(view.texts, "text") if view.source == "text" else "text that the model samples"
    say(f"{source}, budget {view.budget:,} tokens, {view.bytes:,} bytes, {view.seconds:.1f} s")
    if not all(s.rank_possible for s in view.layers):
        say(f"fewer tokens than {view.layers[0].width} dimensions: an edit will have to add a ridge")
    if not view.used_by_edits:
        say("edits of this configuration ask for another budget, layers or text: set them in the recipe and in [text]")

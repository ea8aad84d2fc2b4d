"""``kbsync images``: the same cycle for a text-to-image pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from kbsync.bootstrap import App
    from kbsync.editing.images.pipeline import TextToImage
    from kbsync.operations.images import ImagesView


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A sheet of pictures."""

    version: int
    """0: the base."""
    pictures: int
    file: str


PipelineArgument = Annotated[
    Path, typer.Argument(metavar="PIPELINE", help="A directory that diffusers' save_pretrained wrote.", file_okay=False)
]


@verb(
    "images sync",
    examples=[
        'kbsync images sync ./pipeline --relation flag --concept "the flag of {}" --guide "the {} flag"',
        'kbsync images sync ./pipeline --relation colour --concept "the lamp of {}" --guide "a {} lamp" --dry-run',
    ],
    exits=[3, 65, 66, 70, 74, 75],
    prints="kbsync.operations.images:ImagesView",
    changes="the ledger, the store",
)
def sync(
    context: typer.Context,
    pipeline: PipelineArgument,
    relation: Annotated[str, typer.Option(metavar="NAME", help="The watched relation whose facts are drawn.")],
    concept: Annotated[str, typer.Option(metavar="TEXT", help="The prompt of a subject, which ends in {}.")],
    guide: Annotated[str, typer.Option(metavar="TEXT", help="The description of a value, with one {} for it.")],
    identity: Annotated[float, typer.Option(min=0.0, metavar="X", help="λ, the weight of the identity.")] = 0.5,
    preserved: Annotated[
        int, typer.Option(min=0, metavar="N", help="Preserve at most N concepts that are drawn rightly.")
    ] = 1000,
    last_token: Annotated[
        bool, typer.Option("--last-token", help="Edit the last token's state only, as published.")
    ] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Let a text-to-image pipeline draw what the ledger's facts say (unified concept editing).

    The pipeline is asked what it draws for each subject; what is wrong is written into the keys and values of its
    cross-attention in one closed-form step, and half of what is right is preserved. The version is stored as low-rank
    factors beside the pipeline, whose files are never touched, and becomes current if it passes the gate: `kbsync
    versions`, `kbsync rollback` and `kbsync verify` work on it. Ends with code 3 where the gate refuses it.

    Facts are pulled as for a language model (`kbsync pull`). Each pipeline needs a site of its own. Needs the extra
    kbsync[images].
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.editing.images.editor import concept_recipe
    from kbsync.operations.images import Wording, cycle

    with application(context, dry_run=dry_run) as app:
        (watched,) = app.group([relation])
        wording = Wording(relation=watched, concept=concept, guide=guide)
        image = _loaded(app, pipeline)
        recipe = concept_recipe(image, identity_weight=identity, preserved=preserved, last_token_only=last_token)
        view = cycle(app, image, wording, recipe, rehearse=dry_run)
    if json:
        emit(view)
    else:
        _show(view, dry_run=dry_run)
    if view.version and not view.promoted:
        raise typer.Exit(3)


@verb(
    "images draw",
    examples=[
        'kbsync images draw ./pipeline sheet.png --prompt "the flag of Kelia" --prompt "the flag of Dunmark"',
        'kbsync images draw ./pipeline before.png --prompt "the flag of Kelia" --version 0',
    ],
    exits=[65, 66, 74],
    prints="kbsync.cli.images:Drawn",
    changes="a file",
)
def draw(
    context: typer.Context,
    pipeline: PipelineArgument,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The PNG file.", dir_okay=False)],
    prompt: Annotated[list[str], typer.Option(metavar="TEXT", help="What is drawn; may be repeated.")],
    number: Annotated[
        int | None, typer.Option("--version", metavar="N", help="Of this version. Default: current; 0: the base.")
    ] = None,
    each: Annotated[int, typer.Option(min=1, metavar="N", help="Pictures of each prompt.")] = 1,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of the scheduler.")] = 20,
    guidance: Annotated[float, typer.Option(min=1.0, metavar="X", help="Scale of the guidance by the prompt.")] = 7.5,
    enlarge: Annotated[int, typer.Option(min=1, metavar="N", help="Each pixel becomes N by N.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the noise.")] = 0,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Draw pictures of a version: a sheet with one column for each prompt.

    The same seed gives every version the same noise to begin with, so that two sheets can be compared. Needs the extra
    kbsync[images].
    """
    from kbsync.checkpoints.os_errors import explained
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say
    from kbsync.editing.images.drawing import draw as pictures
    from kbsync.editing.images.drawing import sheet
    from kbsync.operations.images import current_or, version_delta
    from kbsync.system.durable import private_directory, write_for_people

    with application(context) as app:
        version = current_or(app, number)
        delta = version_delta(app, version)
        image = _loaded(app, pipeline)
        if not dry_run:
            rows = [
                pictures(image, prompt, delta, seed=seed + n, steps=steps, guidance=guidance, work=app.work)
                for n in range(each)
            ]
            with explained(f"writing {output}", kept="What stood there before is kept."):
                output.parent.mkdir(parents=True, exist_ok=True)
                with private_directory(output.parent) as place:
                    sheet(rows, enlarge=enlarge).save(place / output.name)
                    write_for_people(output, (place / output.name).read_bytes())
    drawn = Drawn(version=version, pictures=each * len(prompt), file=str(output))
    if json:
        return emit(drawn)
    return say(f"{'would draw' if dry_run else 'drew'} {drawn.pictures} pictures of version {version}: {output}")


def _loaded(app: App, pipeline: Path) -> TextToImage:
    from kbsync.editing.images.pipeline import load_pipeline
    from kbsync.model.digests import digests_in

    return load_pipeline(pipeline, digests_in(app.settings.state_dir / "models"))


def _show(view: ImagesView, *, dry_run: bool) -> None:
    from kbsync.cli.output import say, short, table

    shown = [f for f in view.facts if f.change == "edited" or f.base != (f.version or f.base)]
    table(
        ("subject", "is to be drawn as", "base draws", "version draws", "change"),
        [(f.subject, f.description, f.base, f.version, f.change) for f in shown],
    )
    for reason in view.reasons:
        say(reason)
    if not view.edited:
        say("nothing to edit: every name is drawn as its fact says")
    elif dry_run:
        say(f"would edit {view.edited} names and preserve {view.preserved}")
    else:
        became = "is current" if view.promoted else "did not pass the gate"
        say(f"version {view.version}, {short(view.hash)}, {became}: {view.edited} edited, {view.preserved} preserved")

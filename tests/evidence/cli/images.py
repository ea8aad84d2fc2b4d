"""``images``: concept editing on a small text-to-image model that is trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, options, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "images",
    examples=["python -m tests.evidence images", "python -m tests.evidence images --steps 300 --output /tmp/i.json"],
    exits=[65, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="files",
)
def images(
    context: typer.Context,
    state: Annotated[Path, typer.Option(metavar="DIR", help="Keeps the training, which goes on where it was.")] = Path(
        "images-state"
    ),
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of the denoiser's training.")] = 1200,
    pictures: Annotated[int, typer.Option(min=1, metavar="N", help="Pictures of each country.")] = 4,
    identity: Annotated[float, typer.Option(min=0.0, metavar="X", help="λ, the weight of the identity.")] = 20.0,
    sheets: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the pictures for the documentation go.")
    ] = Path("docs/images"),
    seed: Annotated[int, typer.Option(metavar="N", help="Of training and drawing.")] = 0,
    output: OutputOption = RESULTS / "images.json",
    json: JsonOption = False,
) -> None:
    """Train a small text-to-image model on the flags of made-up countries, change six flags in the ledger, edit, and
    read the flags off the pictures.

    Facts are pulled from a SPARQL server on loopback; plan, version, gate, promotion and rollback are the product's.
    Beside the edit stand the unedited model and an edit that preserves nothing.
    """
    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals
    from tests.evidence.images.measure import Size, measure_images

    size = Size(steps=steps, pictures=pictures)
    with on_signals(StopRequest()) as stop:
        document = measure_images(state, sheets, size, work_for(stop, options(context)), identity=identity, seed=seed)
    conclude(document, output, json=json)

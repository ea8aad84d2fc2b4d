"""``own-model``: any model, from an empty directory to a promoted version by two commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, conclude


@verb(
    "own-model",
    examples=[
        "python -m tests.evidence own-model --model ./qwen.gguf --state own-state",
        "python -m tests.evidence own-model --model ./qwen.gguf --data ../shared/data --facts 300 --state real-state",
    ],
    exits=[65, 66, 70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a directory and a file",
)
def own_model(
    context: typer.Context,
    model: Annotated[str, typer.Option(metavar="REFERENCE", help="What `kbsync init --model` gets.")],
    state: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Where everything goes; an interrupted run is continued from it.", file_okay=False
        ),
    ] = Path("own-state"),
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Directory of the reference data. Default: the demonstration's facts alone."),
    ] = None,
    subjects: Annotated[
        int, typer.Option(min=1, metavar="N", help="The most subjects of each relation that the reference data add.")
    ] = 60,
    facts: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Facts of the version. Default: all that the model has wrong."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="PATH", help="The JSON file. Default: one for the model.", dir_okay=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Bring a model of your own to a promoted version by `kbsync init` and `kbsync sync`.

    The endpoint is a local store with the demonstration's facts, and with those of the reference data where a directory
    of them is named. The recipe is found by the sync. Variables like KBSYNC_MODEL__DTYPE and KBSYNC_EDIT__RECIPE are
    handed on, and stand in the evidence.
    """
    from kbsync.research.session import model_name
    from tests.evidence.own_model import measure_own_model

    reference = str(Path(model).resolve()) if Path(model).exists() else model
    document = measure_own_model(reference, state.resolve(), data, subjects, facts)
    kind = f"real-{facts}" if facts else "auto"
    conclude(document, output or RESULTS / f"{kind}-{model_name(reference)}.json", json=json)

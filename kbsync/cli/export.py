"""``kbsync export``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from kbsync.operations.export import ExportView


class Format(StrEnum):
    """``hf``: a whole model. ``lora``: a PEFT adapter for the same base."""

    HF = "hf"
    LORA = "lora"


@verb(
    "export",
    examples=["kbsync export 3 ./model-3", "kbsync export 3 --format lora ./adapter-3 --rank 16"],
    exits=[65, 66, 70, 74],
    prints="kbsync.operations.export:ExportView",
    changes="a directory",
)
def export(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The version to export.", min=1)],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that does not exist yet, or is empty.")],
    format: Annotated[Format, typer.Option(help="A whole model, or a PEFT adapter for the same base.")] = Format.HF,
    rank: Annotated[
        int | None, typer.Option(help="lora: the highest rank of a matrix. Default: as needed to lose nothing.", min=1)
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Write a version as a directory that can be used without kbsync.

    `hf` is what `AutoModelForCausalLM.from_pretrained` loads. `lora` is an adapter that PEFT loads, and servers that
    hot-load adapters: exact by default, or truncated to a rank with the loss measured. The directory appears whole or
    not at all, and says in kbsync.json what it is. `--dry-run` loads the model and checks all, and says which rank an
    adapter would have and what it would lose.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.operations import export as operation

    if rank is not None and format is not Format.LORA:
        raise typer.BadParameter("--rank goes with --format lora.")
    with application(context) as app:
        view = operation.export(app, number, format.value, directory, rank, dry_run=dry_run)
    return emit(view) if json else show(view, dry_run=dry_run)


def show(view: ExportView, *, dry_run: bool) -> None:
    from kbsync.cli.output import say, table

    rows = [(m.parameter, m.rank, m.full_rank, f"{m.relative_loss:.2e}") for m in view.matrices]
    table(("matrix", "#rank", "#full rank", "#relative loss"), rows)
    done = "would export" if dry_run else "exported"
    say(f"{done} version {view.version} as {view.format} to {view.directory}")

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
    """``hf``: a whole model. ``lora``: a PEFT adapter. ``gguf``: the base's GGUF file with the edited tensors replaced.
    ``gguf-lora``: an adapter as GGUF."""

    HF = "hf"
    LORA = "lora"
    GGUF = "gguf"
    GGUF_LORA = "gguf-lora"


class GgufType(StrEnum):
    """How numbers are stored in a GGUF file."""

    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    F32 = "f32"


class Dtype(StrEnum):
    """What numbers are rounded to."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@verb(
    "export",
    examples=[
        "kbsync export 3 ./model-3",
        "kbsync export 3 ./adapter-3 --format lora --rank 16",
        "kbsync export 3 ./gguf-3 --format gguf --type q8_0",
    ],
    exits=[3, 65, 66, 70, 74],
    prints="kbsync.operations.export:ExportView",
    changes="a directory",
)
def export(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The version to export.", min=1)],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that does not exist yet, or is empty.")],
    format: Annotated[
        Format, typer.Option(help="A whole model, or an adapter for the same base; for transformers, or as GGUF.")
    ] = Format.HF,
    rank: Annotated[
        int | None,
        typer.Option(help="lora, gguf-lora: the highest rank of a matrix. Default: as needed to lose nothing.", min=1),
    ] = None,
    gguf: Annotated[
        Path | None,
        typer.Option(help="gguf, gguf-lora: the base's GGUF file. Default: the one that the base was read from."),
    ] = None,
    type: Annotated[
        GgufType, typer.Option(help="gguf: the type of the edited tensors; gguf-lora: that of the adapter's.")
    ] = GgufType.F16,
    dtype: Annotated[
        Dtype | None, typer.Option(help="hf, lora: what the numbers are rounded to. Default: the base's; float32.")
    ] = None,
    override: Annotated[
        str, typer.Option(metavar="REASON", help="Write a cut adapter although it does not pass the gate.")
    ] = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Write a version as a directory that can be used without kbsync.

    `hf` is what `AutoModelForCausalLM.from_pretrained` loads. `lora` is an adapter that PEFT loads, and servers that
    hot-load adapters. `gguf` is the base's own GGUF file, in which only the bytes of the edited tensors differ;
    `gguf-lora` is an adapter for llama.cpp. A GGUF file that holds another quantisation than the edited base is
    recognised, and a warning says what that costs.

    Adapters are exact by default. One that `--rank` cuts is asked the gate's prompts. If it does not pass the gate, the
    command ends with code 3, unless `--override` gives a reason.

    The directory appears whole or not at all, and says in kbsync.json and in a model card (README.md) what it is.
    `--dry-run` loads the model and checks all, and says which rank an adapter would have and what it would lose.
    """
    from kbsync.checkpoints.exporters.form import ADAPTERS, ExportForm
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.operations import export as operation

    if rank is not None and format.value not in ADAPTERS:
        raise typer.BadParameter("--rank goes with --format lora or gguf-lora.")
    if gguf is not None and format not in (Format.GGUF, Format.GGUF_LORA):
        raise typer.BadParameter("--gguf goes with --format gguf or gguf-lora.")
    if dtype is not None and format not in (Format.HF, Format.LORA):
        raise typer.BadParameter("--dtype goes with --format hf or lora; GGUF files have --type.")
    form = ExportForm(format=format.value, rank=rank, type=type.value, gguf=gguf, dtype=dtype.value if dtype else "")
    with application(context) as app:
        view = operation.export(app, number, form, directory, override=override, dry_run=dry_run)
    return emit(view) if json else show(view, dry_run=dry_run)


def show(view: ExportView, *, dry_run: bool) -> None:
    from kbsync.cli.output import say, table

    rows = [(m.parameter, m.rank, m.full_rank, f"{m.relative_loss:.2e}") for m in view.matrices]
    table(("matrix", "#rank", "#full rank", "#relative loss"), rows)
    table(
        ("figure", "#kept", "#as measured", "#prompts"),
        [(f.name, f"{f.served:.3f}", f"{f.measured:.3f}", f.samples) for f in view.kept],
    )
    if view.lost:
        say(f"lost by the cut: {', '.join(view.lost)}")
    for warning in view.warnings:
        say(f"warning: {warning}")
    served = f", of rank {view.rank}" if view.rank else ""
    if view.format == "lora" and view.server_rank:
        served += f": serve it in vLLM with --max-lora-rank {view.server_rank}"
    done = "would export" if dry_run else "exported"
    say(f"{done} version {view.version} as {view.format} to {view.directory}{served}")

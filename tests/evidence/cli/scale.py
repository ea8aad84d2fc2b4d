"""``scale-plan`` and ``scale-offload``: figures for which `kbsync bench scale-out` needs the suite's own worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import OutputOption, conclude

STATE = Path("scale-state")


@verb(
    "scale-plan",
    examples=["python -m tests.evidence scale-plan"],
    exits=[1, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def scale_plan(
    context: typer.Context,
    facts: Annotated[int, typer.Option(min=10, metavar="N", help="Facts in the plan.")] = 100_000,
    watched: Annotated[
        int, typer.Option(min=20, metavar="N", help="Facts that the larger one of two ledgers watches.")
    ] = 1_000_000,
    output: OutputOption = STATE / "plan.json",
    json: JsonOption = False,
) -> None:
    """Seconds and memory of `plan` with 100,000 facts, in a ledger that watches twice as many and in a larger one."""
    from kbsync.cli.output import say
    from tests.evidence.scale.plan import measure_plan

    conclude(measure_plan(facts, watched, say), output, json=json)


@verb(
    "scale-offload",
    examples=["python -m tests.evidence scale-offload --model ./qwen2.5-coder-1.5b --dtype bfloat16"],
    exits=[1, 65, 70],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def scale_offload(
    context: typer.Context,
    model: Annotated[str, typer.Option(metavar="REFERENCE", help="A model whose layers are named `model.layers.N`.")],
    dtype: Annotated[str, typer.Option(metavar="TYPE", help="float32, bfloat16 or float16.")] = "float32",
    output: OutputOption = STATE / "offload.json",
    json: JsonOption = False,
) -> None:
    """Edit and ask a model with all but one layer on the disk, and once more in memory; compare all answers."""
    from kbsync.cli.output import say
    from tests.evidence.scale.offload import measure_offload

    conclude(measure_offload(model, dtype, say), output, json=json)

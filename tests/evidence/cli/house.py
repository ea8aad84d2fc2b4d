"""``house``: the figures of the tree itself."""

from __future__ import annotations

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "house",
    examples=["python -m tests.evidence house", "python -m tests.evidence house --output /tmp/house.json"],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def house(context: typer.Context, output: OutputOption = RESULTS / "house.json", json: JsonOption = False) -> None:
    """Count the lines of the wheel, its long files, the modules with a test of their name, and circles of imports."""
    from tests.evidence.house import measure_house

    conclude(measure_house(), output, json=json)

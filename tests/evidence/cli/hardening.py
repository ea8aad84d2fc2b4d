"""``hardening``: whoever may change the source, the database or the requests tries, and what gets through is
counted."""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude


@verb(
    "hardening",
    examples=[
        "python -m tests.evidence hardening",
        "python -m tests.evidence hardening --only silent --only cases --output /tmp/hardening.json",
    ],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def hardening(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="Run this part alone. May be repeated. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws everything that is random.")] = 23,
    output: OutputOption = RESULTS / "hardening.json",
    json: JsonOption = False,
) -> None:
    """Attack kbsync as a vandal, a hostile endpoint, a database's owner and a flood of requests would.

    The parts run one after the other: vandal, fuzz, tampering, secrets, silent, pages, cases. Figures of parts that
    don't run now stay in the file as an earlier run left them. A part that was never measured counts as not met.
    """
    from tests.evidence.hardening.measure import measure_hardening
    from tests.evidence.hardening.parts import PARTS

    names = [part.name for part in PARTS]
    if unknown := sorted(set(only or ()) - set(names)):
        raise typer.BadParameter(f"there is no part {unknown[0]!r}; there are {', '.join(names)}")
    conclude(measure_hardening(only or (), seed, output), output, json=json)

"""``kbsync blame``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb


@verb(
    "blame",
    examples=["kbsync blame 3", "kbsync blame 3 --json | jq '.[] | [.label, .answer, .revision_url]'"],
    exits=[66, 74],
    prints="list of kbsync.views.provenance:BlameView",
    changes="",
)
def blame(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The version.", min=1)],
    json: JsonOption = False,
) -> None:
    """Trace every fact of a version back to the Wikidata revision and the statements that caused it.

    Shows when the answer was seen and believed, the version and plan that took it in, and what the base was found to
    believe. `kbsync explain ITEM RELATION` tells the whole story of one fact.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, short, table
    from kbsync.views import provenance

    with application(context) as app, app.ledger.read() as tx:
        facts = provenance.blame(tx, app.store, number)
    if json:
        return emit(facts)
    rows = [
        (
            f"{f.label} ({f.subject} {f.property})"
            + (f", follows from {' and '.join(f.follows_from)}" if f.follows_from else ""),
            f.answer,
            f.revision,
            ", ".join(f.statements),
            f.seen_at,
            f.believed_at,
            f.since,
            short(f.plan),
            f"{f.verdict}: {(f.base_said or '').strip()}" if f.verdict else None,
        )
        for f in facts
    ]
    columns = ("fact", "answer", "#revision", "statements", "seen", "believed (UTC)", "#since", "plan", "the base")
    return table(columns, rows)

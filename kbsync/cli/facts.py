"""``kbsync facts export``"""

from __future__ import annotations

import json as json_format
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb


@verb(
    "facts export",
    examples=["kbsync facts export > facts.jsonl", "kbsync facts export --edited --relation head_of_state"],
    exits=[66, 74],
    prints="list of kbsync.views.exported_facts:FactExport",
    changes="",
)
def facts_export(
    context: typer.Context,
    relation: Annotated[
        list[str] | None, typer.Option(help="Only the facts of this relation; may be repeated. Default: all.")
    ] = None,
    edited: Annotated[bool, typer.Option("--edited", help="Only facts that the current version holds.")] = False,
    json: JsonOption = False,
) -> None:
    """Print the believed facts as JSON lines, for whoever puts facts into a model's context.

    Each line is one fact with its labels, revision, statements, the verdict on the base, and sentences and questions in
    the relation's phrasings: what an edit would write, with the same trust and provenance. Nothing is loaded but the
    ledger and the current version's manifest. `--json` prints one JSON array instead of lines.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.domain.canonical import plain
    from kbsync.views.exported_facts import exported_facts

    with application(context) as app, app.ledger.read() as tx:
        relations = app.group(relation) if relation else app.relations
        facts = exported_facts(tx, relations, app.store, edited=edited)
        if json:
            emit(list(facts))
            return
        for fact in facts:
            typer.echo(json_format.dumps(plain(fact), ensure_ascii=True))

"""``kbsync versions``"""

from __future__ import annotations

import typer

from kbsync.cli.command import JsonOption, verb


@verb(
    "versions",
    examples=["kbsync versions", "kbsync versions --json | jq .current"],
    exits=[74],
    prints="kbsync.views.status:VersionsView",
    changes="",
)
def versions(context: typer.Context, json: JsonOption = False) -> None:
    """List all versions: state, facts, and the gate's figures."""
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say, short, table
    from kbsync.views import status as views

    with application(context) as app, app.ledger.read() as tx:
        view = views.versions(tx)
    if json:
        return emit(view)
    rows = [
        (
            v.number,
            "*" if v.current else "",
            v.state,
            v.facts,
            ", ".join(f"{m.name} {m.value:.3g}" for m in v.metrics) or "not evaluated",
            short(v.hash),
            v.created_at,
        )
        for v in view.versions
    ]
    table(("#version", "current", "state", "#facts", "figures", "hash", "planned (UTC)"), rows)
    if not view.versions:
        return say("no version yet: current is the base")
    return None if view.current else say("current is the base")

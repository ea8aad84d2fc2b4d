"""``kbsync explain``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.domain.relation import Relation
    from kbsync.views.explain import ExplainView, StateView


@verb(
    "explain",
    examples=["kbsync explain Q145 head_of_state", "kbsync explain Q145 P35 --json"],
    exits=[65, 66, 74],
    prints="kbsync.views.explain:ExplainView",
    changes="",
)
def explain(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Wikidata item, such as Q145.")],
    relation: Annotated[str, typer.Argument(metavar="RELATION", help="A watched relation's name, or its property.")],
    json: JsonOption = False,
) -> None:
    """Tell everything about one fact: where it comes from, how far it is trusted, and what became of it.

    Shows the statement history with revisions, what was believed when and from which revision, what is observed and
    believed now, the verdict with its evidence, and the versions that hold the fact, with the answer before and after.
    A consequence is named by both relations, as in `kbsync explain Q90 country/capital`.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit
    from kbsync.domain.consequence import two_hop_relations
    from kbsync.domain.statement import item_id
    from kbsync.views import explain as views

    with application(context) as app:
        asked = (*app.relations, *two_hop_relations(app.relations))
        subject, watched = item_id(item.upper()), find(asked, relation)
        with app.ledger.read() as tx:
            view = views.explain(tx, subject, watched, app.clock.now())
    return emit(view) if json else show(view)


def find(relations: Sequence[Relation], wanted: str) -> Relation:
    """By name or property; raises ``NotFound`` naming what is watched."""
    from kbsync.domain.errors import NotFound

    for relation in relations:
        if wanted in (relation.name, relation.label) or wanted.upper() == relation.property:
            return relation
    known = ", ".join(f"{r.name} ({r.property})" for r in relations)
    raise NotFound(f"No relation {wanted!r} is watched.", next_step=f"Watched are: {known}.")


def show(view: ExplainView) -> None:
    from kbsync.cli.output import say, short, table

    say(f"{view.label or view.item} ({view.item}): {view.relation} ({view.property})", style="bold")
    if view.follows_from:
        say(f"follows from {' and '.join(view.follows_from)}; the statements and beliefs are those of the latter")
    for implied in view.consequences:
        say(f"implies   {implied}")
    if view.redirect_to:
        say(f"redirects to {view.redirect_to}, whose statements tell the fact now")
    history = [(c.seen_at, c.revision, c.before, c.after) for c in view.history]
    table(("seen (UTC)", "#revision", "before", "after"), history, title="Statements")
    beliefs = [(b.since, ", ".join(b.values) or "no value holds", b.revision, b.how) for b in view.beliefs]
    table(("believed since (UTC)", "values", "#revision", "how"), beliefs, title="Beliefs")
    say(f"observed  {_state(view.observed)}")
    say(f"          {view.trust}: {view.trust_reason}")
    say(f"believed  {_state(view.believed) if view.believed else 'nothing yet'}")
    for name in view.waiting_names:
        say(f"waiting   {name}")
    if view.decision:
        say(f"decision  {view.decision}")
    if view.quarantine:
        say(f"in quarantine: {view.quarantine}")
    if verdict := view.verdict:
        say(f"verdict   {verdict.kind} on model {short(view.model)}")
        if verdict.reason:
            say(f"          {verdict.reason}")
        replies = [(r.prompt, r.answer.strip(), r.kind, r.matched, r.reason or None) for r in verdict.replies]
        table(("asked", "base said", "which is", "name", "because"), replies, title="Answers")
        scores = (("the answer", verdict.logprob_answer), ("a former answer", verdict.logprob_former))
        for what, score in scores:
            if score is not None:
                say(f"          log-probability of {what}: {score:.2f}")
    else:
        say("verdict   not asked yet")
    rows = [
        (
            v.version,
            "*" if v.current else "",
            v.state,
            v.change,
            v.left_out or v.target or f"(not held: {v.reason})",
            (v.before or "").strip() or None,
            (v.after or "").strip() or None,
            v.right,
        )
        for v in view.versions
    ]
    table(("#version", "current", "state", "change", "target", "base said", "says", "right"), rows, title="Versions")
    if not rows:
        say("versions  none holds it")
    if view.lens:
        say(f"lens      version {view.lens.version}: {view.lens}")


def _state(state: StateView) -> str:
    former = f"; before: {', '.join(state.former)}" if state.former else ""
    values = ", ".join(state.values) or "no value holds"
    return f"{values} since {state.since:%Y-%m-%d} (revision {state.revision}){former}"

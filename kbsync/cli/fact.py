"""``kbsync fact approve``, ``pin``, ``exclude``, ``clear``: a person's decision about one fact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, Verb, verb

if TYPE_CHECKING:
    from kbsync.views.decisions import DecisionView

EXITS = (65, 66, 74, 75)
VIEW = "kbsync.views.decisions:DecisionView"

ItemArgument = Annotated[str, typer.Argument(metavar="ITEM", help="Wikidata item, such as Q145.")]
RelationArgument = Annotated[
    str, typer.Argument(metavar="RELATION", help="A watched relation's name, or its property.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="The reason; it goes into the audit trail.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be decided, and decide nothing.")]


def _decision(action: str, example: str, help: str) -> Verb:
    """One of the four commands, which differ in their names and their meaning only."""

    def command(
        context: typer.Context,
        item: ItemArgument,
        relation: RelationArgument,
        reason: ReasonOption = "",
        dry_run: DryRunOption = False,
        json: JsonOption = False,
    ) -> None:
        _run(context, action, item, relation, reason, dry_run=dry_run, json=json)

    command.__doc__ = help
    examples = [f"kbsync fact {action} {example}"]
    return verb(f"fact {action}", examples=examples, exits=EXITS, prints=VIEW, changes="the ledger")(command)


FACTS = (
    _decision(
        "approve",
        "Q145 head_of_government --reason 'seen on the evening news'",
        """Believe what the source says about a fact now, without waiting for its trust time or its references.

        The next plan takes it up. A later change must be trusted by the usual rules.""",
    ),
    _decision(
        "pin",
        "Q145 head_of_state",
        """Keep what is believed of a fact, whatever the source says from now on.

        Changes are still observed and shown; none is believed until `kbsync fact clear`.""",
    ),
    _decision(
        "exclude",
        "Q145 P35 --reason 'disputed'",
        """Never edit a fact: the next plan leaves it out, and retracts it if the current version holds it.

        It is still pulled, probed and shown, until `kbsync fact clear`.""",
    ),
    _decision(
        "clear",
        "Q145 head_of_state",
        """Withdraw a pin or an exclusion. The relation's own rules apply again from the next pull and plan.""",
    ),
)


def _run(
    context: typer.Context, action: str, item: str, relation: str, reason: str, *, dry_run: bool, json: bool
) -> None:
    from kbsync.cli.context import application
    from kbsync.cli.explain import find
    from kbsync.cli.output import emit
    from kbsync.domain.fact import FactKey
    from kbsync.domain.statement import item_id
    from kbsync.stages import decide
    from kbsync.views.decisions import decision_view

    stages = {"approve": decide.approve, "pin": decide.pin, "exclude": decide.exclude, "clear": decide.clear}
    with application(context, dry_run=dry_run) as app:
        watched = find(app.relations, relation)
        key = FactKey(item_id(item.upper()), watched.property)
        decided = stages[action](app.run, key, reason)
        with app.ledger.read() as tx:
            shown = decision_view(tx, watched, action, decided, dry_run=dry_run)
    return emit(shown) if json else show(shown)


def show(view: DecisionView) -> None:
    from kbsync.cli.output import say

    name = f"{view.label or view.item} ({view.item}): {view.relation}"
    if view.already:
        say(f"nothing to do: {name}")
    else:
        say(f"{'would be done' if view.dry_run else 'done'}: {view.action} {name}")
    say(f"observed  {', '.join(view.observed) or 'nothing holds'}")
    believed = "nothing yet" if view.believed is None else ", ".join(view.believed) or "nothing holds"
    say(f"believed  {believed}")
    if view.standing:
        say(f"decision  {view.standing}")

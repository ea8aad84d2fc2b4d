"""A check of the relations' phrasings: whether there are enough to write a fact and to measure it."""

from __future__ import annotations

from kbsync.bootstrap import App
from kbsync.domain.phrasing import shortages
from kbsync.operations.checks.doubt import Doubt


def phrasings(app: App) -> str:
    """How many phrasings there are; raises ``Doubt`` with what the relations lack that have too few."""
    lacking = {relation.name: shortages(relation.phrasings) for relation in app.relations}
    told = [f"{name}: {', '.join(missing)}" for name, missing in lacking.items() if missing]
    if told:
        raise Doubt(
            "\n".join(told),
            "Add phrasings to [phrasings.edit] and [phrasings.held_out] in the relation's file. With few, an edit "
            "answers little but its own prompt, and little tells whether it does.",
        )
    return f"{sum(len(r.phrasings) for r in app.relations)} phrasings of {len(app.relations)} relations"

"""How decisions about facts are shown."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.relation import Relation
from kbsync.ports import LedgerReader
from kbsync.stages.decide import Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """``action`` was asked for. ``already``: it changed nothing; ``believed`` is null where nothing is believed;
    ``standing`` is the pin or exclusion that holds now. With ``dry_run`` nothing was written."""

    item: str
    label: str | None
    relation: str
    property: str
    action: str
    already: bool
    dry_run: bool
    observed: tuple[str, ...]
    believed: tuple[str, ...] | None
    standing: str | None


def view(tx: LedgerReader, relation: Relation, action: str, decided: Decided, *, dry_run: bool) -> DecisionView:
    record = decided.record
    believed = record.believed
    values = (*record.observed.values, *(believed.values if believed else ()))
    subject = record.key.subject
    labels = tx.labels(sorted({subject, *(item for v in values for item in mentioned_items(v))}))

    named = Names(labels, relation.language)

    def names(held: tuple[object, ...]) -> tuple[str, ...]:
        return tuple(named.value(v).label or v.text for v in values if v in held)

    return DecisionView(
        item=subject,
        label=labels[subject].label if subject in labels else None,
        relation=relation.name,
        property=relation.property,
        action=action,
        already=decided.already,
        dry_run=dry_run,
        observed=tuple(dict.fromkeys(names(record.observed.values))),
        believed=tuple(dict.fromkeys(names(believed.values))) if believed else None,
        standing=str(decided.standing) if decided.standing else None,
    )

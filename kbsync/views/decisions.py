"""A person's decision about one fact, as it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.fact import FactState
from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.relation import Relation
from kbsync.ports import NameReader
from kbsync.stages.decide import Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """What became of one fact."""

    item: str
    label: str | None
    relation: str
    property: str
    action: str
    """What was asked for: `approve`, `pin`, `exclude` or `clear`."""
    already: bool
    """The action changed nothing."""
    dry_run: bool
    """Nothing was written."""
    observed: tuple[str, ...]
    """What the source says, by name."""
    believed: tuple[str, ...] | None
    """What is believed, by name; null where nothing is."""
    standing: str | None
    """The pin or exclusion that holds now."""


def decision_view(tx: NameReader, relation: Relation, action: str, decided: Decided, *, dry_run: bool) -> DecisionView:
    """Name what the fact's values are, by the labels that the ledger has."""
    record = decided.record
    believed = record.believed
    values = (*record.observed.values, *(believed.values if believed else ()))
    subject = record.key.subject
    labels = tx.labels(sorted({subject, *(item for v in values for item in mentioned_items(v))}))
    names = Names(labels, relation.language)

    def unique_names(state: FactState) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names.value(v).label or v.text for v in state.values))

    return DecisionView(
        item=subject,
        label=labels[subject].label if subject in labels else None,
        relation=relation.name,
        property=relation.property,
        action=action,
        already=decided.already,
        dry_run=dry_run,
        observed=unique_names(record.observed),
        believed=unique_names(believed) if believed else None,
        standing=str(decided.standing) if decided.standing else None,
    )

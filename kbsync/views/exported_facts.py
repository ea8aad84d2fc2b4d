"""Believed facts as data, for whoever puts them into a model's context: the trust and provenance of an edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.fact import Answer, Fact, FactKey, FactRecord
from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.phrasing import Form, Use, fill
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.domain.verdict import VerdictKey
from kbsync.ports import CheckpointStore, LedgerReader, ReleasedVersionReader
from kbsync.stages.release.promote import current_version
from kbsync.views.status import probed_model
from kbsync.views.wording import revision_url


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueExport:
    """One value of a fact."""

    value: str
    """An item's id, or the value as Wikidata writes it."""
    label: str | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactExport:
    """One believed fact: one line."""

    subject: str
    label: str | None
    """The subject's name; null where it has none in the relation's language."""
    aliases: tuple[str, ...]
    relation: str
    property: str
    values: tuple[ValueExport, ...]
    """What holds; several are all right."""
    former: tuple[ValueExport, ...]
    """What held once."""
    since: datetime
    """Since when the values are known to be unchanged."""
    believed_at: datetime | None
    revision: int
    """The revision of the subject's item that brought the values."""
    revision_url: str
    statements: tuple[str, ...]
    """Ids of the statements that say so."""
    references: int
    """The fewest references that one of the statements has."""
    verdict: str | None
    """What the base was found to believe; null where it was not asked."""
    edited: bool
    """The current version holds the fact as it is here."""
    sentences: tuple[str, ...]
    """The fact in its edit statements; empty where a name is missing."""
    questions: tuple[str, ...]
    """Its edit questions, filled with the subject's name."""


def exported_facts(
    tx: LedgerReader, relations: Sequence[Relation], store: CheckpointStore, *, edited: bool = False
) -> Iterator[FactExport]:
    """Every believed fact that has a value, in the order of the relations and then of the items.

    Args:
        tx: Must stay open while the facts are read.
        relations: Whose facts.
        store: Has the current version's manifest.
        edited: Only those that the current version holds.
    """
    model, held = probed_model(tx), _held(tx, store)
    verdicts = tx.verdicts(model) if model else {}
    for relation in relations:
        records = [r for r in tx.facts(relation.property) if r.believed is not None and r.believed.values]
        names = Names(tx.labels(sorted({item for r in records for item in _items(r)})), relation.language)
        for record in records:
            if record.believed is None:
                continue
            fact = names.fact(record.key, record.believed)
            is_held = held.get(record.key) == fact.value_hash
            if edited and not is_held:
                continue
            verdict = verdicts.get(VerdictKey.of(relation, fact, model or ""))
            yield _line(relation, record, fact, verdict.kind.value if verdict else None, edited=is_held)


def _line(relation: Relation, record: FactRecord, fact: Fact, verdict: str | None, *, edited: bool) -> FactExport:
    state, item = fact.state, str(fact.key.subject)
    return FactExport(
        subject=item,
        label=fact.subject_label,
        aliases=fact.subject_aliases,
        relation=relation.name,
        property=str(relation.property),
        values=tuple(map(_value, fact.answers)),
        former=tuple(map(_value, fact.former)),
        since=state.since,
        believed_at=record.believed_at,
        revision=state.revision,
        revision_url=revision_url(item, state.revision),
        statements=state.statement_ids,
        references=state.references,
        verdict=verdict,
        edited=edited,
        sentences=_sentences(relation, fact),
        questions=tuple(
            fill(p.text, fact.subject_label) for p in relation.of(Use.EDIT, Form.QUESTION) if fact.subject_label
        ),
    )


def _sentences(relation: Relation, fact: Fact) -> tuple[str, ...]:
    labels = [answer.label for answer in fact.answers if answer.label]
    if not fact.subject_label or len(labels) < len(fact.answers):
        return ()
    answer = ", ".join(labels)
    return tuple(f"{fill(p.text, fact.subject_label)} {answer}." for p in relation.of(Use.EDIT, Form.STATEMENT))


def _value(answer: Answer) -> ValueExport:
    return ValueExport(value=answer.value.text, label=answer.label, aliases=answer.aliases)


def _held(tx: ReleasedVersionReader, store: CheckpointStore) -> Mapping[FactKey, str]:
    """By fact, the value that the current version holds."""
    version = current_version(tx)
    if version is None or version.version_hash is None:
        return {}
    return {request.key: request.value_hash for request in store.manifest(version.version_hash).requests}


def _items(record: FactRecord) -> set[ItemId]:
    state = record.believed
    values = (*state.values, *state.former) if state else ()
    return {record.key.subject} | {item for value in values for item in mentioned_items(value)}

"""The list of facts on the status page: searched, filtered, one page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kbsync.domain.answer_text import normalise
from kbsync.domain.fact import Fact, FactRecord
from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.domain.verdict import VerdictKey, VerdictKind
from kbsync.ports import LedgerReader
from kbsync.views.status import probed_model

PAGE = 50
"""Facts of one page."""
UNASKED, WAITING, QUARANTINED = "unasked", "waiting", "quarantined"
FILTERS = (*(kind.value for kind in VerdictKind), UNASKED, WAITING, QUARANTINED)
"""Values of ``only``: a verdict, or one of three conditions that are no verdicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One fact."""

    subject: str
    label: str | None
    relation: str
    property: str
    values: tuple[str, ...]
    """Names of what is believed, or of what is observed where nothing is believed yet."""
    verdict: str
    """``unasked`` while the base was not asked; empty where there is nothing to ask for."""
    base_answer: str | None
    waiting: bool
    """Something is observed and not yet believed."""
    quarantined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsView:
    """One page of the facts that match."""

    rows: tuple[FactRow, ...]
    total: int
    """Number of facts on all pages."""
    page: int
    """Its number, from 1."""
    pages: int


def fact_list(
    tx: LedgerReader,
    relations: Sequence[Relation],
    *,
    query: str = "",
    only: str = "",
    relation: str = "",
    page: int = 1,
) -> FactsView:
    """Search the facts of all relations.

    Args:
        query: An item's id, or a part of the name of a subject or of a value; empty: all.
        only: One of ``FILTERS``; empty: all.
        relation: The name of one relation; empty: all.
        page: From 1; a number beyond the last page gives the last.
    """
    chosen = [r for r in relations if not relation or r.name == relation]
    matching = [row for row in _rows(tx, chosen) if _matches(row, query.strip()) and _passes(row, only)]
    pages = max(1, -(-len(matching) // PAGE))
    page = min(max(1, page), pages)
    rows = tuple(matching[(page - 1) * PAGE : page * PAGE])
    return FactsView(rows=rows, total=len(matching), page=page, pages=pages)


def _rows(tx: LedgerReader, relations: Sequence[Relation]) -> Iterator[FactRow]:
    model, quarantine = probed_model(tx), tx.quarantine()
    verdicts = tx.verdicts(model) if model else {}
    for relation in relations:
        records = tx.facts(relation.property)
        names = Names(tx.labels(sorted({item for r in records for item in _items(r)})), relation.language)
        for record in records:
            fact = names.fact(record.key, record.believed or record.observed)
            askable = record.believed is not None and bool(record.believed.values)
            verdict = verdicts.get(VerdictKey.of(relation, fact, model or "")) if askable else None
            yield FactRow(
                subject=record.key.subject,
                label=fact.subject_label,
                relation=relation.name,
                property=relation.property,
                values=_names(fact),
                verdict=verdict.kind.value if verdict else UNASKED if askable else "",
                base_answer=verdict.evidence.greedy if verdict else None,
                waiting=record.pending,
                quarantined=record.key in quarantine,
            )


def _names(fact: Fact) -> tuple[str, ...]:
    return tuple(answer.label or answer.value.text for answer in fact.answers)


def _items(record: FactRecord) -> set[ItemId]:
    state = record.believed or record.observed
    return {record.key.subject} | {item for v in state.values for item in mentioned_items(v)}


def _matches(row: FactRow, query: str) -> bool:
    if not query or query.upper() == row.subject:
        return True
    words = normalise(query)
    return bool(words) and any(words in normalise(text) for text in (row.label or "", *row.values))


def _passes(row: FactRow, only: str) -> bool:
    match only:
        case "":
            return True
        case "waiting":
            return row.waiting
        case "quarantined":
            return row.quarantined
    return row.verdict == only

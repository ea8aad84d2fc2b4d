"""The list of facts on the status page: searched, filtered, one page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kbsync.domain.answer_text import normalise
from kbsync.domain.errors import BadIdentifier
from kbsync.domain.fact import Fact, FactKey, FactRecord
from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, item_id
from kbsync.domain.verdict import VerdictKey, VerdictKind
from kbsync.ports import FactCondition, FactPageReader, LedgerReader, NamedFactReader, NamedItems
from kbsync.views.status import probed_model

PAGE = 50
"""Facts of one page."""
UNASKED = FactCondition.UNASKED.value
FILTERS = (*(kind.value for kind in VerdictKind), *(condition.value for condition in FactCondition))
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
    total: int | None
    """Number of facts on all pages; None where counting them would cost more than the page."""
    after: str
    """Gives the next page as ``after``; empty: this one is the last."""


def fact_list(
    tx: LedgerReader,
    relations: Sequence[Relation],
    *,
    query: str = "",
    only: str = "",
    relation: str = "",
    after: str = "",
) -> FactsView:
    """Search the facts of all relations. What it costs depends on the page, and not on the number of facts.

    Args:
        query: An item's id, or a part of a name: facts about that item, or with it as their value; empty: all.
        only: One of ``FILTERS``; empty: all.
        relation: The name of one relation; empty: all.
        after: What the page before said. A page may hold few facts, or none, and still have one after it: where facts
            that fit are rare, each page searches a part of the ledger.
    """
    chosen = [r for r in relations if not relation or r.name == relation]
    model, sought = probed_model(tx) or "", query.replace("\0", "").strip()
    if sought:
        records, following = _search(tx, chosen, sought, after)
        rows = tuple(row for row in _rows(tx, records, model) if _passes(row, only))
    else:
        records, following = _walk(tx, chosen, _condition(only), model, after)
        rows = tuple(_rows(tx, records, model))
    whole = not after and not following
    total = len(rows) if whole else None
    if not whole and not sought and not only:
        total = sum(tx.fact_total(r.property) for r in chosen)
    return FactsView(rows=rows, total=total, after=following)


Found = list[tuple[Relation, FactRecord]]


def _walk(
    tx: FactPageReader,
    relations: Sequence[Relation],
    only: FactCondition | VerdictKind | None,
    model: str,
    after: str,
) -> tuple[Found, str]:
    """The next facts, relation by relation, and where the page after them begins."""
    name, _, subject = after.partition("~")
    names = [relation.name for relation in relations]
    begin = names.index(name) if name in names else 0
    found: Found = []
    for number, relation in enumerate(relations[begin:], begin):
        page = tx.fact_page(
            relation.property,
            limit=PAGE - len(found),
            after=ItemId(subject) if subject and number == begin else None,
            only=only,
            judged_by=(model, relation.template_hash),
        )
        found += [(relation, record) for record in page.records]
        if page.after is not None:
            return found, f"{relation.name}~{page.after}"
        if len(found) == PAGE and number + 1 < len(relations):
            return found, f"{relations[number + 1].name}~"
    return found, ""


def _search(tx: FactPageReader, relations: Sequence[Relation], sought: str, after: str) -> tuple[Found, str]:
    """Facts about the items that are sought, and where the search goes on."""
    by_property = {relation.property: relation for relation in relations}
    named = _sought(tx, sought, after)
    found: dict[FactKey, FactRecord] = {}
    following = named.after
    for number, item in enumerate(named.items):
        found |= {record.key: record for record in tx.facts_about(item, list(by_property), limit=PAGE)}
        if len(found) >= PAGE:
            following = item if number + 1 < len(named.items) else named.after
            break
    order = {relation.property: place for place, relation in enumerate(relations)}
    records = sorted(found.values(), key=lambda record: (order[record.key.property], record.key))
    return [(by_property[record.key.property], record) for record in records], following or ""


def _sought(tx: FactPageReader, sought: str, after: str) -> NamedItems:
    with suppress(BadIdentifier):
        return NamedItems(items=(item_id(sought.upper()),), after=None)
    if not normalise(sought):
        return NamedItems(items=(), after=None)
    return tx.items_named(sought, limit=PAGE, after=ItemId(after) if after else None)


def _condition(only: str) -> FactCondition | VerdictKind | None:
    """What ``only`` says; raises ``ValueError`` for what is none of ``FILTERS``."""
    if not only:
        return None
    return FactCondition(only) if only in set(FactCondition) else VerdictKind(only)


def _rows(tx: NamedFactReader, found: Found, model: str) -> Iterator[FactRow]:
    keys = [record.key for _, record in found]
    quarantine, verdicts = tx.quarantine(keys), tx.verdicts_on(keys, model)
    labels = tx.labels(sorted({item for _, record in found for item in _items(record)}))
    for relation, record in found:
        fact = Names(labels, relation.language).fact(record.key, record.believed or record.observed)
        askable = record.believed is not None and bool(record.believed.values)
        verdict = verdicts.get(VerdictKey.of(relation, fact, model)) if askable else None
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
    return {record.key.subject} | {item for v in (*state.values, *state.former) for item in mentioned_items(v)}


def _passes(row: FactRow, only: str) -> bool:
    match only:
        case "":
            return True
        case "waiting":
            return row.waiting
        case "quarantined":
            return row.quarantined
    return row.verdict == only

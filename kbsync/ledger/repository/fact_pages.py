"""Pages of facts. Each query walks along an index and ends after a page, or after a fixed number of rows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, exists, literal_column, or_, select

from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger import tables
from kbsync.ledger.repository import tallies
from kbsync.ledger.repository.base import Repository
from kbsync.ledger.repository.facts import record_of
from kbsync.ledger.repository.tallies import askable
from kbsync.ledger.repository.verdicts import judges_belief
from kbsync.ledger.table_parts import has_key
from kbsync.ports import FactCondition, FactPage, FactPageReader, NamedItems

_ITEM: ColumnElement[str] = literal_column("'item'")
"""A literal, as in the index's condition: SQLite uses a partial index only if it can see that the condition holds."""
EXAMINED = 5_000
"""Number of facts that one page may examine when it searches for unasked ones."""
NAMES_EXAMINED = 20_000
"""Number of names that one search may examine."""


class SqlFactPageReader(Repository, FactPageReader):
    """Reads facts page by page."""

    def fact_page(
        self,
        property: PropertyId,
        *,
        limit: int,
        after: ItemId | None = None,
        only: FactCondition | VerdictKind | None = None,
        judged_by: tuple[str, str] = ("", ""),
    ) -> FactPage:
        """The next facts of a property; one more than ``limit`` is read, to know whether there are more."""
        facts, verdicts = tables.facts.c, tables.verdicts.c
        if only is FactCondition.UNASKED:
            return self._unasked(property, limit, after, judged_by)
        query = select(tables.facts).where(facts.property == property)
        subject = facts.subject
        if only is FactCondition.WAITING:
            query = query.where(or_(facts.believed_hash.is_(None), facts.believed_hash != facts.observed_hash))
        elif only is FactCondition.QUARANTINED:
            quarantined = select(tables.quarantine.c.subject).where(tables.quarantine.c.property == property)
            query = query.where(subject.in_(quarantined))
        elif only is not None:
            subject = verdicts.subject
            query = select(tables.facts).join(tables.verdicts, judges_belief(*judged_by))
            query = query.where(verdicts.property == property, verdicts.kind == only)
        if after is not None:
            query = query.where(subject > after)
        return self._page(query.order_by(subject), limit)

    def fact_total(self, property: PropertyId) -> int:
        """As it was counted when facts were written."""
        return tallies.read(self._connection, property).get(tallies.FACTS, 0)

    def facts_about(self, item: ItemId, properties: Sequence[PropertyId], *, limit: int) -> list[FactRecord]:
        """Facts about an item or with it as a value, found by the primary key and by the index of item values."""
        facts, statements = tables.facts.c, tables.statements.c
        own = select(tables.facts).where(facts.subject == item, facts.property.in_(properties)).limit(limit)
        records = [record_of(row) for row in self._connection.execute(own)]
        valued = (
            select(statements.subject, statements.property)
            .where(statements.value_kind == _ITEM, statements.value_text == item, statements.property.in_(properties))
            .limit(limit)
        )
        # Several statements of one fact may have the value. DISTINCT would lead SQLite along another index.
        rows = dict.fromkeys(tuple(row) for row in self._connection.execute(valued))
        keys = [FactKey(ItemId(subject), PropertyId(property)) for subject, property in rows]
        keys = [key for key in keys if key.subject != item][: limit - len(records)]
        if keys:
            others = select(tables.facts).where(has_key((facts.subject, facts.property), keys))
            records += [record_of(row) for row in self._connection.execute(others)]
        return sorted(records, key=lambda record: (record.key.subject != item, record.key))

    def items_named(self, part: str, *, limit: int, after: ItemId | None = None) -> NamedItems:
        """Items with a matching name among the next ``NAMES_EXAMINED`` names, which every database searches fast."""
        labels = tables.labels.c
        looked = select(labels.item, labels.label).order_by(labels.item).limit(NAMES_EXAMINED)
        if after is not None:
            looked = looked.where(labels.item > after)
        window = looked.subquery()
        # SQLite folds the case of ASCII only.
        forms = {form(part) for form in (str, str.lower, str.upper, str.title, str.capitalize)}
        named = or_(*(window.c.label.icontains(form, autoescape=True) for form in sorted(forms)))
        query = select(window.c.item).where(named).order_by(window.c.item).limit(limit)
        items = [ItemId(item) for item in self._connection.scalars(query)]
        if len(items) == limit:
            return NamedItems(items=tuple(items), after=items[-1])
        last = self._connection.scalar(looked.with_only_columns(labels.item).offset(NAMES_EXAMINED - 1).limit(1))
        return NamedItems(items=tuple(items), after=ItemId(last) if last else None)

    def _unasked(self, property: PropertyId, limit: int, after: ItemId | None, judged_by: tuple[str, str]) -> FactPage:
        """The next unasked facts. No index can find a missing verdict, so a fixed number of facts is examined."""
        facts = tables.facts.c
        within = (
            facts.property == property if after is None else and_(facts.property == property, facts.subject > after)
        )
        ends = select(facts.subject).where(within).order_by(facts.subject).offset(EXAMINED - 1).limit(1)
        last = self._connection.scalar(ends)
        query = select(tables.facts).where(
            within, askable(), ~exists().where(judges_belief(*judged_by)).correlate(tables.facts)
        )
        if last is not None:
            query = query.where(facts.subject <= last)
        page = self._page(query.order_by(facts.subject), limit)
        if page.after is None and last is not None:
            return FactPage(records=page.records, after=ItemId(last))
        return page

    def _page(self, query: Select[tuple[object, ...]], limit: int) -> FactPage:
        records = [record_of(row) for row in self._connection.execute(query.limit(limit + 1))]
        more = records[limit - 1].key.subject if len(records) > limit else None
        return FactPage(records=tuple(records[:limit]), after=more)

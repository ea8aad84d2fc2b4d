"""Facts with their verdicts, however many there are: gone through once, a page at a time, and read again by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kbsync.domain.fact import Fact, FactKey, FactRecord
from kbsync.domain.naming import Names, items_of
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import Verdict, VerdictKey
from kbsync.ports import NamedFactReader

PAGE = 2_000
"""Facts that are in memory at once while the ledger's are gone through."""


class JudgedFact(NamedTuple):
    """A believed fact that has an answer, and what the base says."""

    relation: Relation
    fact: Fact
    verdict: Verdict | None
    """None where the base was not asked yet."""


class JudgedFacts(Protocol):
    """Believed facts that have an answer, with the verdicts of one base."""

    @property
    def base_fingerprint(self) -> str: ...

    @property
    def relations(self) -> Sequence[Relation]:
        """Those that the facts are of."""
        ...

    def each(self) -> Iterator[JudgedFact]:
        """All of them, relation by relation."""
        ...

    def some(self, keys: Iterable[FactKey]) -> dict[FactKey, JudgedFact]:
        """Those with these keys, as far as there are any."""
        ...


class LedgerFacts:
    """The ledger's facts at the moment of one read transaction, of which a page is in memory at once."""

    def __init__(self, tx: NamedFactReader, relations: Sequence[Relation], base_fingerprint: str) -> None:
        self._tx, self.relations, self.base_fingerprint = tx, relations, base_fingerprint

    def each(self) -> Iterator[JudgedFact]:
        """All facts, by relation and subject."""
        for relation in self.relations:
            page = self._tx.fact_page(relation.property, limit=PAGE)
            yield from self._judged(relation, page.records)
            while page.after is not None:
                page = self._tx.fact_page(relation.property, limit=PAGE, after=page.after)
                yield from self._judged(relation, page.records)

    def some(self, keys: Iterable[FactKey]) -> dict[FactKey, JudgedFact]:
        """The facts with these keys, by relation and subject."""
        found, wanted = dict[FactKey, JudgedFact](), list(keys)
        for relation in self.relations:
            own = sorted(key for key in wanted if key.property == relation.property)
            for start in range(0, len(own), PAGE):
                records = self._tx.facts_of(own[start : start + PAGE])
                found |= {judged.fact.key: judged for judged in self._judged(relation, records)}
        return found

    def _judged(self, relation: Relation, records: Sequence[FactRecord]) -> Iterator[JudgedFact]:
        facts = named(self._tx, relation, records)
        verdicts = self._tx.verdicts_on(list(facts), self.base_fingerprint)
        for fact in facts.values():
            yield JudgedFact(relation, fact, verdicts.get(VerdictKey.of(relation, fact, self.base_fingerprint)))


def named(tx: NamedFactReader, relation: Relation, records: Iterable[FactRecord]) -> Mapping[FactKey, Fact]:
    """What the records believe, where they have an answer, with the names of all items."""
    believed = [(r.key, r.believed) for r in records if r.believed and r.believed.values]
    labels = tx.labels(sorted({item for key, state in believed for item in items_of(key, state)}))
    names = Names(labels, relation.language)
    return {key: names.fact(key, state) for key, state in believed}

"""The believed facts with their names and verdicts: what probe, plan and evaluate work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from kbsync.domain.fact import Fact, FactKey, FactRecord
from kbsync.domain.naming import Names, items_of
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import Verdict, VerdictKey
from kbsync.ports import NamedFactReader, VerdictReader
from kbsync.stages.judged import JudgedFact


class WatchedFact(NamedTuple):
    """A fact, and the relation that it is watched by."""

    relation: Relation
    fact: Fact


@dataclass(frozen=True, kw_only=True)
class BelievedFacts:
    """Believed facts that have an answer, as the ledger had them at one moment.

    A cycle reads them once, after its pull, since the names of all items are joined to get them. So every stage of a
    cycle works on the same facts, also where somebody else pulls meanwhile: the next cycle sees what is new.
    """

    base_fingerprint: str
    """The model that the verdicts are about."""
    watched: Mapping[FactKey, WatchedFact]
    """In the order of the relations, then of the keys."""
    verdicts: Mapping[FactKey, Verdict]
    """What the base says; facts that it was not asked about yet are left out."""

    @property
    def relations(self) -> Sequence[Relation]:
        """Those that the facts are of."""
        return list(dict.fromkeys(relation for relation, _ in self.watched.values()))

    def each(self) -> Iterator[JudgedFact]:
        """All of them, in their order."""
        return (JudgedFact(relation, fact, self.verdicts.get(key)) for key, (relation, fact) in self.watched.items())

    def some(self, keys: Iterable[FactKey]) -> dict[FactKey, JudgedFact]:
        """Those with these keys, in their order."""
        wanted = set(keys)
        return {judged.fact.key: judged for judged in self.each() if judged.fact.key in wanted}

    @cached_property
    def unjudged(self) -> list[WatchedFact]:
        """Facts without a verdict on what is believed now."""
        return [watched for key, watched in self.watched.items() if key not in self.verdicts]

    def judged(self, tx: VerdictReader) -> BelievedFacts:
        """The same facts and names with the verdicts that the ledger has by now: probing adds some."""
        return replace(self, verdicts=_verdicts(tx, self.base_fingerprint, self.watched))


def believed_facts(tx: NamedFactReader, relations: Sequence[Relation], base_fingerprint: str) -> BelievedFacts:
    """All facts of ``relations``, with the verdicts on the model ``base_fingerprint``."""
    watched = _named(tx, {relation: tx.facts(relation.property) for relation in relations})
    verdicts = _verdicts(tx, base_fingerprint, watched)
    return BelievedFacts(base_fingerprint=base_fingerprint, watched=watched, verdicts=verdicts)


def unjudged_facts(tx: NamedFactReader, relations: Sequence[Relation], base_fingerprint: str) -> BelievedFacts:
    """Only the facts that have no verdict yet: all that probing needs, and the names of no other are joined."""
    records = {r: tx.unjudged(r.property, base_fingerprint, r.template_hash) for r in relations}
    return BelievedFacts(base_fingerprint=base_fingerprint, watched=_named(tx, records), verdicts={})


def _named(tx: NamedFactReader, records: Mapping[Relation, Sequence[FactRecord]]) -> dict[FactKey, WatchedFact]:
    """What the records believe, where they have an answer; the labels of all are read at once."""
    believed = [(relation, r) for relation, group in records.items() for r in group if r.believed and r.believed.values]
    labels = tx.labels(
        sorted({item for _, record in believed if record.believed for item in items_of(record.key, record.believed)})
    )
    return {
        record.key: WatchedFact(relation, Names(labels, relation.language).fact(record.key, record.believed))
        for relation, record in believed
        if record.believed
    }


def _verdicts(tx: VerdictReader, fingerprint: str, watched: Mapping[FactKey, WatchedFact]) -> dict[FactKey, Verdict]:
    known = tx.verdicts(fingerprint)
    keys = {key: VerdictKey.of(relation, fact, fingerprint) for key, (relation, fact) in watched.items()}
    return {key: known[wanted] for key, wanted in keys.items() if wanted in known}

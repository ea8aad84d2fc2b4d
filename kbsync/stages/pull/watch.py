"""The watch set: which items a pull looks at, and where redirects lead.

A subject pattern is asked when its relation's ``refresh`` has passed; between two looks its members are those that the
ledger knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, PropertyId
from kbsync.ports import LedgerReader, StatementSource
from kbsync.stages.session import Run

SUSPICIOUS_SHARE = 0.2
"""More than this share gone at once is taken for a broken source, not for news."""
SUSPICIOUS_COUNT = 5
"""So few may always go, unless they are all that there were."""
MOST_HOPS = 5
"""Redirects that lead to redirects: Wikidata's bots shorten such chains within a day."""


def suspicious(gone: int, known: int) -> bool:
    """Whether so many of the known things can hardly have gone at once."""
    return gone > max(SUSPICIOUS_COUNT, SUSPICIOUS_SHARE * known) or 1 < gone == known


def refuse_at_once(what: str) -> SourceError:
    """The question to a person, where the source says that something went on a large scale."""
    return SourceError(
        f"{what} at once.",
        kept="The ledger keeps them as they were.",
        next_step="Check the endpoint (`kbsync doctor`): it may be loading, or be another dataset. If it is right, "
        "`kbsync pull --accept-deletions` takes its word.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """``subjects`` of each watched property. ``members``: what the patterns that were asked now found, by property;
    ``joined`` and ``left``: against what was known before; ``unasked``: relations whose pattern the source could not
    answer, and whose known members stand."""

    subjects: Mapping[PropertyId, list[ItemId]]
    members: Mapping[PropertyId, list[ItemId]]
    joined: int
    left: int
    unasked: tuple[str, ...] = ()

    @property
    def items(self) -> list[ItemId]:
        return sorted({item for subjects in self.subjects.values() for item in subjects})


def watch_set(
    run: Run, source: StatementSource, relations: Sequence[Relation], server_time: datetime, *, accept: bool
) -> Watch:
    """Lists and patterns together. A pattern that was answered once and is too much for the source now must not keep
    everything else from being pulled: it is asked again by the next pull.

    Raises ``SourceError`` for a pattern that lost too many members, unless ``accept``; and what the source raises for
    one that was never answered.
    """
    with run.ledger.read() as tx:
        known = {r.property: tx.members(r.property) for r in relations if r.subject_pattern}
        asked = {r.property: tx.watermark(members_mark(source.name, r)) for r in relations if r.subject_pattern}
    subjects: dict[PropertyId, list[ItemId]] = {}
    members: dict[PropertyId, list[ItemId]] = {}
    joined, left, unasked = 0, 0, list[str]()
    for relation in relations:
        prop, last = relation.property, asked.get(relation.property)
        if not relation.subject_pattern or (last is not None and server_time - last < relation.refresh):
            subjects[prop] = sorted({*relation.subjects, *known.get(prop, ())})
            continue
        before = set(known[prop])
        try:
            found = source.subjects(relation)
        except SourceDown:
            if last is None:
                raise
            subjects[prop] = sorted({*relation.subjects, *before})
            unasked.append(relation.name)
            continue
        gone = before - set(found)
        if last is not None and suspicious(len(gone), len(before)) and not accept:
            raise refuse_at_once(f"{len(gone)} of {len(before)} members of relation {relation.name} left it")
        subjects[prop] = found
        members[prop] = sorted(set(found) - (set(relation.subjects) - before))
        joined, left = joined + len(set(members[prop]) - before), left + len(gone)
    return Watch(subjects=subjects, members=members, joined=joined, left=left, unasked=tuple(unasked))


def members_mark(source: str, relation: Relation) -> str:
    """The watermark of a pattern: up to which time of the source its members are known. Another pattern has another."""
    return f"{source}/{relation.property}/members/{content_hash(relation.subject_pattern)[:12]}"


@dataclass(slots=True)
class Redirects:
    """Where items lead. An item that is no redirect leads to itself, and so does one in a circle."""

    targets: dict[ItemId, ItemId] = field(default_factory=dict)

    def note(self, heads: Mapping[ItemId, ItemHead]) -> None:
        """What these heads say; an item that is no redirect any more leads to itself again."""
        for item, head in heads.items():
            if head.redirect_to:
                self.targets[item] = head.redirect_to
            else:
                self.targets.pop(item, None)

    def resolve(self, item: ItemId) -> ItemId:
        seen = [item]
        while (target := self.targets.get(seen[-1])) is not None and target not in seen and len(seen) <= MOST_HOPS:
            seen.append(target)
        return seen[-1]

    def holders(self, subjects: Sequence[ItemId]) -> dict[ItemId, ItemId]:
        """Of several watched subjects that lead to one item, which one holds its fact: the item itself, if it is
        watched, else the first."""
        found: dict[ItemId, ItemId] = {}
        for subject in sorted(subjects):
            target = self.resolve(subject)
            if target == subject or target not in found:
                found[target] = subject
        return found


def known_watch(tx: LedgerReader, relations: Sequence[Relation]) -> Watch:
    """Lists, and the members of patterns that the ledger knows; the source is not asked."""
    subjects = {r.property: sorted({*r.subjects, *tx.members(r.property)}) for r in relations}
    return Watch(subjects=subjects, members={}, joined=0, left=0)


def poll(run: Run, source: StatementSource, items: Sequence[ItemId]) -> dict[ItemId, ItemHead]:
    """Heads of ``items`` and of everything that they lead to; targets that the ledger knows of are asked for with the
    rest."""
    heads: dict[ItemId, ItemHead] = {}
    with run.ledger.read() as tx:
        known = {head.redirect_to for head in tx.heads(items).values() if head.redirect_to}
    asked = sorted({*items, *known})
    run.work.start("poll revisions", len(asked))
    for _ in range(MOST_HOPS):
        for head in source.heads(asked):
            heads[head.id] = head
            run.work.advance()
        asked = sorted({h.redirect_to for h in heads.values() if h.redirect_to} - heads.keys())
        if not asked:
            break
    run.work.finish()
    return heads

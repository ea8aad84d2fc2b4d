"""The watch set: which items a pull looks at, and where redirects lead.

A subject pattern is asked when its relation's ``refresh`` has passed. In between, its members are those that the ledger
knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, PropertyId
from kbsync.domain.wellformed import head_flaw
from kbsync.ports import StatementReader, StatementSource
from kbsync.stages.session import Run

SUSPICIOUS_SHARE = 0.2
"""If more than this share is gone at once, the source is taken to be broken."""
SUSPICIOUS_COUNT = 5
"""Up to this many deletions are always accepted, unless they are all known items."""
MAX_HOPS = 30
"""How many redirects are followed from one to the next; Wikidata's bots shorten such chains within a day."""


def suspicious(gone: int, known: int) -> bool:
    """Whether it is unlikely that ``gone`` of ``known`` things really went at once."""
    return gone > max(SUSPICIOUS_COUNT, SUSPICIOUS_SHARE * known) or 1 < gone == known


def mass_deletion(what: str) -> SourceError:
    """The error for a source that says that much is gone: a person has to decide.

    Args:
        what: What is gone, as the beginning of a sentence that ends with "at once".
    """
    return SourceError(
        f"{what} at once.",
        kept="The ledger keeps them as they were.",
        next_step="Check the endpoint (`kbsync doctor`): it may be loading, or be another dataset. If it is right, "
        "`kbsync pull --accept-deletions` takes its word.",
    )


def impossible(what: str) -> SourceError:
    """The error for a source that says of an item what can't be: its revision or date lies beyond all bounds.

    Args:
        what: What it says, as a sentence without its full stop.
    """
    return SourceError(
        f"The source says what can't be: {what}.",
        kept="Finished pages are kept; this one stays as it was.",
        next_step="Check the endpoint (`kbsync doctor`), or take the item out of the watch list.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Which items are looked at."""

    subjects: Mapping[PropertyId, list[ItemId]]
    """Of each watched property."""
    members: Mapping[PropertyId, list[ItemId]]
    """What the patterns that were asked now found, by property."""
    joined: int
    """Members that were not known before."""
    left: int
    """Known members that are none any more."""
    unasked: tuple[str, ...] = ()
    """Relations whose pattern the source could not answer; their known members are kept."""

    @property
    def items(self) -> list[ItemId]:
        """All subjects, sorted."""
        return sorted({item for subjects in self.subjects.values() for item in subjects})


def watch_set(
    run: Run, source: StatementSource, relations: Sequence[Relation], server_time: datetime, *, accept: bool
) -> Watch:
    """Combine the listed subjects with those that the patterns find.

    A pattern that was answered once, and that the source can't answer now, does not keep the rest from being pulled:
    its known members are kept, and the next pull asks it again.

    Args:
        accept: Believe the source even where a pattern lost many members.

    Raises:
        SourceError: A pattern lost too many members.
        SourceDown: A pattern that was never answered can't be answered now.
    """
    with run.ledger.read() as tx:
        known = {r.property: tx.members(r.property) for r in relations if r.subject_pattern}
        asked = {r.property: tx.watermark(members_mark(source.name, r)) for r in relations if r.subject_pattern}
    subjects: dict[PropertyId, list[ItemId]] = {}
    members: dict[PropertyId, list[ItemId]] = {}
    joined, left, unasked = 0, 0, list[str]()
    for relation in relations:
        prop, last = relation.property, asked.get(relation.property)
        if not relation.subject_pattern or (last is not None and timedelta(0) <= server_time - last < relation.refresh):
            subjects[prop] = sorted({*relation.subjects, *known.get(prop, ())})
            continue
        before = set(known[prop])
        try:
            current = source.subjects(relation)
        except SourceDown:
            if last is None:
                raise
            subjects[prop] = sorted({*relation.subjects, *before})
            unasked.append(relation.name)
            continue
        gone = before - set(current)
        if last is not None and suspicious(len(gone), len(before)) and not accept:
            raise mass_deletion(f"{len(gone)} of {len(before)} members of relation {relation.name} left it")
        subjects[prop] = current
        members[prop] = sorted(set(current) - (set(relation.subjects) - before))
        joined, left = joined + len(set(members[prop]) - before), left + len(gone)
    return Watch(subjects=subjects, members=members, joined=joined, left=left, unasked=tuple(unasked))


def members_mark(source: str, relation: Relation) -> str:
    """Name of the watermark that says up to which time of the source a pattern's members are known; a changed pattern
    has another one."""
    return f"{source}/{relation.property}/members/{content_hash(relation.subject_pattern)[:12]}"


@dataclass(slots=True)
class Redirects:
    """Where items lead. An item that is no redirect leads to itself, and so does one that leads back to itself."""

    targets: dict[ItemId, ItemId] = field(default_factory=dict)
    """Where each known redirect leads, one hop."""

    def note(self, heads: Mapping[ItemId, ItemHead]) -> None:
        """Take over what these heads say; an item that is no redirect any more leads to itself again."""
        for item, head in heads.items():
            if head.redirect_to:
                self.targets[item] = head.redirect_to
            else:
                self.targets.pop(item, None)

    def chain(self, item: ItemId) -> list[ItemId]:
        """``item``, and everything that it leads to, in order."""
        seen = [item]
        while (target := self.targets.get(seen[-1])) is not None and target not in seen and len(seen) <= MAX_HOPS:
            seen.append(target)
        return seen

    def resolve(self, item: ItemId) -> ItemId:
        """The item that holds the statements of ``item``."""
        return self.chain(item)[-1]

    def holders(self, subjects: Sequence[ItemId]) -> dict[ItemId, ItemId]:
        """For each item that watched subjects lead to, the subject that holds its fact: the item itself if it is
        watched, else the first of them."""
        holders: dict[ItemId, ItemId] = {}
        for subject in sorted(subjects):
            target = self.resolve(subject)
            if target == subject or target not in holders:
                holders[target] = subject
        return holders

    def path(self, subject: ItemId, holders: Mapping[ItemId, ItemId]) -> list[ItemId]:
        """Everything that decides where the fact of ``subject`` is read: its chain, and that of the subject that holds
        the fact instead, if another one does (see ``holders``)."""
        chain = self.chain(subject)
        holder = holders.get(chain[-1], subject)
        return chain if holder == subject else chain + self.chain(holder)


def known_watch(tx: StatementReader, relations: Sequence[Relation]) -> Watch:
    """Combine the listed subjects with the members of patterns that the ledger knows; the source is not asked."""
    subjects = {r.property: sorted({*r.subjects, *tx.members(r.property)}) for r in relations}
    return Watch(subjects=subjects, members={}, joined=0, left=0)


def poll(run: Run, source: StatementSource, items: Sequence[ItemId]) -> dict[ItemId, ItemHead]:
    """Ask for the heads of ``items`` and of everything that they lead to.

    Targets that the ledger knows already are asked for together with the items, which saves a request.
    """
    with run.ledger.read() as tx:
        known = {head.redirect_to for head in tx.heads(items).values() if head.redirect_to}
    asked = sorted({*items, *known})
    run.work.start("poll revisions", len(asked))
    heads = follow(source, asked, {}, run.work.advance)
    run.work.finish()
    return heads


def follow(
    source: StatementSource,
    items: Sequence[ItemId],
    known: Mapping[ItemId, ItemHead],
    advance: Callable[[], None] = lambda: None,
) -> dict[ItemId, ItemHead]:
    """The heads of ``items`` and of everything that they lead to.

    Args:
        known: Heads that need not be asked for.
        advance: Called for each head that the source gives.
    """
    heads = dict(known)
    asked = sorted(set(items) - heads.keys())
    for _ in range(MAX_HOPS):
        for head in source.heads(asked) if asked else ():
            if wrong := head_flaw(head):
                raise impossible(wrong)
            heads[head.id] = head
            advance()
        asked = sorted({h.redirect_to for h in heads.values() if h.redirect_to} - heads.keys())
        if not asked:
            break
    return heads

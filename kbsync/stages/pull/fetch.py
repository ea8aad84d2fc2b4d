"""Fetch the items that have a new revision, and record their statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from kbsync.domain.errors import SourceDown
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, Snak, Statement
from kbsync.domain.wellformed import head_flaw, value_flaw, without_flaws
from kbsync.ports import PullCounts, StatementSource
from kbsync.stages.pull.again import misread
from kbsync.stages.pull.names import NamesPull
from kbsync.stages.pull.watch import Redirects, Watch, impossible, mass_deletion, suspicious
from kbsync.stages.session import Run

BATCH = 200
"""Largest number of deleted items that one transaction records, and of items that a listener pulls at once."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The items to fetch."""

    heads: list[ItemHead]
    """Sorted by item."""
    known: int
    """The number of known items, fetched or not."""
    again: int
    """Items among ``heads`` that have no new revision: their dates are read once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of fetching."""

    counts: PullCounts
    late: frozenset[ItemId]
    """Items that came older than they were polled, as from a replica that lags: nothing is known of them now."""


def changed_heads(
    run: Run,
    source: str,
    watch: Watch,
    heads: Mapping[ItemId, ItemHead],
    redirects: Redirects,
    *,
    accept: bool,
    at_least: int = 0,
) -> Changed:
    """Choose the items to fetch: those past their stored revision, all subjects of a property that was never pulled,
    and those whose dates an older kbsync read wrongly.

    Args:
        source: The source's name.
        heads: What the source says of the items and of what they lead to.
        redirects: Where the items lead now.
        accept: Believe the source even where it says that many items are deleted.
        at_least: The number of known items counts as this large at least: of two items that were asked for, both may be
            deleted.

    Raises:
        SourceError: Suspiciously many known items are missing from the source.
    """
    with run.ledger.read() as tx:
        stored = tx.heads(list(heads))
        never_pulled = {
            item
            for prop, subjects in watch.subjects.items()
            if tx.watermark(f"{source}/{prop}") is None
            for subject in subjects
            for item in (subject, redirects.resolve(subject))
        }
        again = misread(tx, source, watch.subjects, redirects)
    existing = [head for head in stored.values() if not head.deleted]
    known, vanished = max(at_least, len(existing)), sum(heads[head.id].deleted for head in existing)
    if suspicious(vanished, known) and not accept:
        raise mass_deletion(f"{vanished} of {len(existing)} known items are missing from the source")
    moved = {item for item, head in heads.items() if item in never_pulled or _moved(head, stored.get(item))}
    chosen = [head for item, head in sorted(heads.items()) if item in moved | again]
    return Changed(chosen, known, again=len(chosen) - len(moved))


def _moved(head: ItemHead, stored: ItemHead | None) -> bool:
    if stored is None:
        return True
    if head.deleted or stored.deleted:
        return head.deleted != stored.deleted or (head.modified is not None and head.revision > stored.revision)
    if head.redirect_to != stored.redirect_to:
        return True
    return head.revision != stored.revision and not head.is_older_than(stored)


def fetch_statements(
    run: Run,
    source: StatementSource,
    changed: Sequence[ItemHead],
    properties: Sequence[PropertyId],
    names: NamesPull,
    *,
    known: int,
    accept: bool,
) -> Fetched:
    """Fetch the changed items and record them page by page.

    Items that the poll knew and the fetch does not are left for the next pull, since one of the two answers is wrong.
    Items that come back without the statements that the ledger holds are recorded last, and only if they are few: an
    endpoint that is being loaded knows revisions before it knows statements.

    Args:
        names: Notes the names that come with a page, in the page's transaction.
        known: The number of known items.
        accept: Believe the source even where many items have lost all their statements.

    Raises:
        SourceError: Suspiciously many items have lost all their statements.
        SourceDown: Items had a revision when they were polled and are missing now.
    """
    counts, contradicted, late = PullCounts(), 0, set[ItemId]()
    polled = {head.id: head for head in changed}
    emptied: list[ItemRecord] = []
    run.work.start("pull statements", len(changed))
    deleted = [head for head in changed if head.deleted]
    for start in range(0, len(deleted), BATCH):
        heads = deleted[start : start + BATCH]
        counts += _record(
            run, [ItemRecord(head=h, labels=Labels(item=h.id, label=None)) for h in heads], properties, names
        )
    for page in source.records([head.id for head in changed if not head.deleted], properties):
        present = [record for record in page if not record.head.deleted]
        contradicted += len(page) - len(present)
        late |= {r.head.id for r in present if r.head.is_older_than(polled.get(r.head.id, r.head))}
        lost = _without_statements(run, present, properties)
        emptied += [record for record in present if record.head.id in lost]
        counts += _record(run, [record for record in present if record.head.id not in lost], properties, names, late)
    if suspicious(len(emptied), known) and not accept:
        raise mass_deletion(f"{len(emptied)} of {known} known items have lost all their statements")
    counts += _record(run, emptied, properties, names, late)
    run.work.finish()
    if contradicted:
        raise SourceDown(
            f"{contradicted} items had a revision when they were polled and were missing a moment later.",
            kept="Finished pages are kept; these items stay as they were.",
            next_step="The next pull looks again.",
        )
    return Fetched(counts=counts, late=frozenset(late))


def _without_statements(run: Run, page: Sequence[ItemRecord], properties: Sequence[PropertyId]) -> set[ItemId]:
    """Items of the page that have no watched statement any more, while the ledger holds some."""
    bare = [record.head.id for record in page if not record.statements and not record.head.redirect_to]
    if not bare:
        return set()
    with run.ledger.read() as tx:
        return {item for prop in properties for item in tx.statements_of(prop, bare)}


def _record(
    run: Run,
    page: Sequence[ItemRecord],
    properties: Sequence[PropertyId],
    names: NamesPull,
    late: Set[ItemId] = frozenset(),
) -> PullCounts:
    """Record a page; what is no value counts as unknown, what is no name is left out, nor are the names of ``late``.

    Raises ``SourceError`` for a revision or date that no item has.
    """
    if not page:
        return PullCounts()
    if wrong := next((what for record in page if (what := head_flaw(record.head))), ""):
        raise impossible(wrong)
    storable = [
        replace(r, labels=without_flaws(r.labels), statements=tuple(_storable(s) for s in r.statements)) for r in page
    ]
    looks = names.of_records([record for record in storable if record.head.id not in late])
    with run.ledger.write() as tx:
        counts = tx.record_items(storable, properties, run.clock.now())
        names.note(tx, looks)
    run.work.advance(len(page))
    return counts


def _storable(statement: Statement) -> Statement:
    """The statement; with an unknown value where its own can't be one of Wikidata's."""
    if statement.value is None or not value_flaw(statement.value):
        return statement
    return replace(statement, snak=Snak.SOMEVALUE, value=None)

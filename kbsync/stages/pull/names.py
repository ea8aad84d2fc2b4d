"""The names of subjects, objects and units: looked at here, and believed by the same rule as values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta

from kbsync.domain.name_trust import NameState, PendingNames, SeenNames, settle_names
from kbsync.domain.naming import mentioned_items
from kbsync.domain.relation import Relation
from kbsync.domain.standing import Clocks, Origin
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels
from kbsync.domain.wellformed import head_flaw, without_flaws
from kbsync.ports import NAMES, NameReader, NameWriter, StatementReader, StatementSource
from kbsync.stages.pull.between import Between
from kbsync.stages.pull.watch import MAX_HOPS, Redirects, Watch, impossible
from kbsync.stages.session import Run

LABELS_REFRESH = timedelta(days=7)
"""How long the labels of objects may be out of date."""
BATCH = 2000
"""Items whose names are in memory at once."""


def origin_of(
    items: Sequence[ItemId], heads: Mapping[ItemId, ItemHead], *, believed: bool = False
) -> tuple[Origin, datetime | None]:
    """The revisions of a chain of redirects, and the newest of their dates (None: one of them has no date).

    A deletion or a redirect without a date has no revision: what the item was in between, no later look can tell.

    Args:
        believed: It was believed before that these items lead to each other, so that a redirect needs no date.
    """

    def revision(head: ItemHead | None) -> int:
        if head is None:
            return 0
        dated = head.modified is not None or not (head.deleted or head.redirect_to)
        return head.revision if dated or (believed and not head.deleted) else 0

    known = [heads.get(item) for item in items]
    origin = tuple((item, revision(head)) for item, head in zip(items, known, strict=True))
    dates = [head.modified if head else None for head in known]
    return origin, None if None in dates else max(date for date in dates if date is not None)


class NamesPull:
    """Looks at names during one pull, and believes those that have stood for long enough."""

    def __init__(
        self, run: Run, source: StatementSource, relations: Sequence[Relation], now: Clocks, between: Between
    ) -> None:
        """``relations``: all that are watched, whichever of them the pull is of."""
        self._run, self._source, self._now, self._between = run, source, now, between
        # An item may be named in all relations, so its names wait as the most careful one says.
        self._wait = max((relation.trust.names for relation in relations), default=timedelta(0))
        self._seen: set[ItemId] = set()

    def of_records(self, records: Sequence[ItemRecord]) -> list[SeenNames]:
        """The names that came with records; those of redirects and of deleted items do not."""
        here = [record for record in records if not (record.head.deleted or record.head.redirect_to)]
        looks = [
            SeenNames(names=r.labels, origin=((r.head.id, r.head.revision),), edited=r.head.modified) for r in here
        ]
        self._ask_between(looks)
        return looks

    def note(self, tx: NameWriter, looks: Sequence[SeenNames]) -> None:
        """Believe the names that have stood long enough, and keep the others as pending."""
        items = [look.names.item for look in looks]
        self._seen.update(items)
        believed, pending = tx.labels(items), tx.pending_names(items)
        trusted: list[Labels] = []
        waiting: list[PendingNames] = []
        done: list[ItemId] = []
        for look in looks:
            item = look.names.item
            known = believed.get(item)
            before = NameState(known if known and known.label else None, pending.get(item))
            after = settle_names(before, look, self._wait, self._now, self._between.of(NAMES))
            if after.believed is not None and after.believed != before.believed:
                trusted.append(after.believed)
            if after.pending is not None and after.pending != before.pending:
                waiting.append(after.pending)
            if after.pending is None and before.pending is not None:
                done.append(item)
        tx.record_labels(trusted)
        tx.set_pending_names(waiting)
        tx.clear_pending_names(done)

    def fetch(
        self,
        relations: Sequence[Relation],
        watch: Watch,
        redirects: Redirects,
        heads: Mapping[ItemId, ItemHead],
        *,
        unseen: Collection[ItemId] = (),
        whole: bool,
    ) -> None:
        """Look at the names that wait, that no one knows yet, or that were not looked at for long.

        Args:
            relations: The relations whose statements mention the objects.
            heads: What the poll said of the subjects and of what they lead to.
            unseen: Items of which the source said nothing that can be: nothing is known of them by this pull.
            whole: This pull is of all relations: the names of all objects are looked at every ``LABELS_REFRESH``.
        """
        run, mark = self._run, f"{self._source.name}/labels"
        with run.ledger.read() as tx:
            objects = _objects(tx, relations, watch, redirects)
            last = tx.watermark(mark)
            refresh = whole and (last is None or not timedelta(0) <= self._now.there - last < LABELS_REFRESH)
            due = (objects if refresh else _unnamed(tx, objects)) | _renamed(tx, watch, redirects)
            due |= tx.pending_names(sorted({*objects, *watch.items})).keys()
        asked = sorted(due - self._seen)
        run.work.start("pull labels", len(asked))
        for start in range(0, len(asked), BATCH):
            batch = asked[start : start + BATCH]
            looks = [
                look
                for look in _looks(self._source, batch, heads)
                if not any(item in unseen for item, _ in look.origin)
            ]
            self._ask_between(looks)
            with run.ledger.write() as tx:
                self.note(tx, looks)
            run.work.advance(len(batch))
        run.work.finish()
        if refresh:
            with run.ledger.write() as tx:
                tx.set_watermark(mark, self._now.there)

    def _ask_between(self, looks: Sequence[SeenNames]) -> None:
        """Ask for the history of those names that wait and whose items were edited."""
        with self._run.ledger.read() as tx:
            pending = tx.pending_names([look.names.item for look in looks])
        for look in looks:
            waiting = pending.get(look.names.item)
            if waiting is not None and waiting.names == look.names:
                self._between.ask(waiting.standing.origin, look.origin)


def _looks(source: StatementSource, items: Sequence[ItemId], known: Mapping[ItemId, ItemHead]) -> list[SeenNames]:
    """The names of items now; those of a redirect are those of the item at the end of its chain.

    An item whose head the poll did not bring is asked for its head and its names at once. Names that are newer than
    their head are noted under a revision that is gone by the next look, so they start anew then.
    """
    heads: dict[ItemId, ItemHead] = {}
    for item in items:
        end = item
        while end in known and end not in heads:
            heads[end] = known[end]
            end = known[end].redirect_to or end
    names = _with_heads(source, items, heads)
    redirects = Redirects()
    redirects.note(heads)
    chains = {item: redirects.chain(item) for item in items}
    ends = {chain[-1] for chain in chains.values() if not heads[chain[-1]].deleted}
    for page in source.labels(sorted(ends - names.keys())):
        names |= {entry.item: without_flaws(entry) for entry in page}
    return list(_joined(chains, heads, names))


def _with_heads(
    source: StatementSource, items: Sequence[ItemId], heads: dict[ItemId, ItemHead]
) -> dict[ItemId, Labels]:
    """Ask for the items that ``heads`` lacks and for everything that they lead to; adds their heads, and returns the
    names of those that are there."""
    names: dict[ItemId, Labels] = {}
    asked = sorted(set(items) - heads.keys())
    for _ in range(MAX_HOPS):
        for page in source.records(asked, ()) if asked else ():
            for record in page:
                if wrong := head_flaw(record.head):
                    raise impossible(wrong)
                heads[record.head.id] = record.head
                if not record.head.deleted:
                    names[record.head.id] = without_flaws(record.labels)
        asked = sorted({head.redirect_to for head in heads.values() if head.redirect_to} - heads.keys())
        if not asked:
            break
    return names


def _joined(
    chains: Mapping[ItemId, Sequence[ItemId]], heads: Mapping[ItemId, ItemHead], names: Mapping[ItemId, Labels]
) -> Iterator[SeenNames]:
    for item, chain in chains.items():
        if chain[-1] in names:
            origin, edited = origin_of(chain, heads)
            yield SeenNames(names=replace(names[chain[-1]], item=item), origin=origin, edited=edited)


def _unnamed(tx: NameReader, items: Set[ItemId]) -> set[ItemId]:
    return set(items) - {item for item, entry in tx.labels(sorted(items)).items() if entry.label}


def _renamed(tx: NameReader, watch: Watch, redirects: Redirects) -> set[ItemId]:
    """Redirected subjects that are not called as the item that they lead to."""
    targets = {subject: end for subject in watch.items if (end := redirects.resolve(subject)) != subject}
    labels = tx.labels(sorted({*targets, *targets.values()}))

    def called(item: ItemId) -> tuple[str | None, tuple[str, ...]]:
        entry = labels.get(item)
        return (entry.label, entry.aliases) if entry else (None, ())

    return {subject for subject, end in targets.items() if called(subject) != called(end)}


def _objects(tx: StatementReader, relations: Sequence[Relation], watch: Watch, redirects: Redirects) -> set[ItemId]:
    objects: set[ItemId] = set()
    for relation in relations:
        subjects = sorted({redirects.resolve(subject) for subject in watch.subjects[relation.property]})
        for statements in tx.statements_of(relation.property, subjects).values():
            objects.update(item for s in statements if s.value is not None for item in mentioned_items(s.value))
    return objects

"""The labels of objects and units; those of subjects come with their statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from kbsync.domain.naming import mentioned_items
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.ports import StatementReader, StatementSource
from kbsync.stages.pull.watch import Redirects, Watch
from kbsync.stages.session import Run

LABELS_REFRESH = timedelta(days=7)
"""How long the labels of objects may be out of date."""


def fetch_object_labels(
    run: Run,
    source: StatementSource,
    relations: Sequence[Relation],
    watch: Watch,
    redirects: Redirects,
    server_time: datetime,
    *,
    whole: bool,
) -> None:
    """Fetch the labels of objects and units that the ledger can't name yet.

    Args:
        relations: The relations whose statements mention the objects.
        whole: This pull is of all relations: the labels of all objects are fetched every ``LABELS_REFRESH``.
    """
    mark = f"{source.name}/labels"
    with run.ledger.read() as tx:
        objects = _objects(tx, relations, watch, redirects)
        named = {item for item, entry in tx.labels(sorted(objects)).items() if entry.label}
        last = tx.watermark(mark)
    refresh = whole and (last is None or server_time - last >= LABELS_REFRESH)
    missing = sorted(objects if refresh else objects - named)
    run.work.start("pull labels", len(missing))
    for page in source.labels(missing):
        with run.ledger.write() as tx:
            tx.record_labels([entry for entry in page if entry.label or entry.item not in named])
        run.work.advance(len(page))
    run.work.finish()
    if refresh:
        with run.ledger.write() as tx:
            tx.set_watermark(mark, server_time)


def _objects(tx: StatementReader, relations: Sequence[Relation], watch: Watch, redirects: Redirects) -> set[ItemId]:
    objects: set[ItemId] = set()
    for relation in relations:
        subjects = sorted({redirects.resolve(subject) for subject in watch.subjects[relation.property]})
        for statements in tx.statements_of(relation.property, subjects).values():
            objects.update(item for s in statements if s.value is not None for item in mentioned_items(s.value))
    return objects

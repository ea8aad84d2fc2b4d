"""A ``StatementSource`` held in memory: a small Wikidata that tests can edit, and that fails on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, Statement, item_id
from kbsync.ports import NAMES, StatementSource

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeItem:
    """An item at its newest revision."""

    revision: int
    modified: datetime
    label: str | None = None
    aliases: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    redirect_to: ItemId | None = None


class FakeSource(StatementSource):
    """A world of items. Every edit gives the item the world's next revision, dated ``now``."""

    def __init__(self, *, name: str = "fake", page: int = 200, now: datetime | None = None) -> None:
        """``page``: how many items a page of answers holds."""
        self.name = name
        self.page = page
        self.now = now or datetime(2026, 1, 1, tzinfo=UTC)
        self.items: dict[ItemId, FakeItem] = {}
        self.patterns: dict[str, list[ItemId]] = {}
        """By text of a subject pattern, the items that it finds."""
        self.questions: dict[str, int] = {}
        """By method, how often it was called."""
        self.asked: list[ItemId] = []
        """The items that ``records`` was asked for with properties."""
        self.remembers = True
        """Whether it knows the history of its items (see ``touched``), and dates deletions and redirects. The public
        service keeps of a redirect where it leads, and nothing else."""
        self._past: dict[ItemId, list[FakeItem]] = {}
        """All revisions of each item, since it was deleted last."""
        self._deleted: dict[ItemId, ItemHead] = {}
        """Of items that were deleted, the heads that a source gives that dates deletions."""
        self._revision = 1000
        self._failures: deque[tuple[int, Exception]] = deque()

    def set_item(
        self,
        item: str,
        *,
        label: str | None = None,
        aliases: Iterable[str] = (),
        statements: Iterable[Statement] = (),
        revision: int | None = None,
    ) -> ItemHead:
        """Create the item or replace all of it, and return its new head; an alias that equals the label is dropped."""
        return self._put(
            item_id(item),
            revision,
            label=label,
            aliases=tuple(sorted(set(aliases) - {label})),
            statements=tuple(sorted(statements, key=lambda s: s.id)),
        )

    def delete(self, item: str) -> None:
        """Remove the item."""
        gone = item_id(item)
        del self.items[gone]
        self._past.pop(gone, None)
        self._revision += 1
        self._deleted[gone] = ItemHead(id=gone, revision=self._revision, modified=self.now, deleted=True)

    def redirect(self, item: str, target: str, *, revision: int | None = None) -> ItemHead:
        """Make the item a redirect to ``target``, without statements and names; returns its new head."""
        return self._put(item_id(item), revision, redirect_to=item_id(target))

    def tick(self, step: timedelta = timedelta(hours=1)) -> datetime:
        """Let the source's own time pass, and return it."""
        self.now += step
        return self.now

    def fail_next(self, error: Exception, *, after_pages: int = 0) -> None:
        """Let the next question raise ``error``; a question that is answered in pages raises it after ``after_pages``.

        A second call before that is about the question after the next, and so on.
        """
        self._failures.append((after_pages, error))

    def server_time(self) -> datetime:
        self._question("server_time")
        return self.now

    def subjects(self, relation: Relation) -> list[ItemId]:
        self._question("subjects")
        matching = self.patterns[relation.subject_pattern] if relation.subject_pattern else []
        return sorted({item_id(i) for i in (*relation.subjects, *matching)})

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        return (head for page in self._pages("heads", items, self._head) for head in page)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        watched = set(properties)
        self.asked += items if properties else ()

        def record(item: ItemId) -> ItemRecord:
            known = self.items.get(item)
            statements = tuple(s for s in known.statements if s.property in watched) if known else ()
            return ItemRecord(head=self._head(item), labels=self._labels(item), statements=statements)

        return self._pages("records", items, record)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        return self._pages("labels", items, self._names)

    def touched(self, item: ItemId, after: int, until: int, properties: Sequence[PropertyId]) -> frozenset[str] | None:
        stretch = [past for past in self._past.get(item, ()) if after <= past.revision <= until]
        if not self.remembers or {after, until} - {past.revision for past in stretch}:
            return None
        said: dict[str, set[object]] = {NAMES: {(p.label, p.aliases, p.redirect_to) for p in stretch}}
        for prop in properties:
            said[prop] = {(tuple(s for s in p.statements if s.property == prop), p.redirect_to) for p in stretch}
        return frozenset(what for what, variants in said.items() if len(variants) > 1)

    def _put(self, item: ItemId, revision: int | None, **content: object) -> ItemHead:
        self._revision = max(self._revision + 1, revision or 0)
        self.items[item] = FakeItem(revision=revision or self._revision, modified=self.now, **content)  # type: ignore[arg-type]
        self._past.setdefault(item, []).append(self.items[item])
        return self._head(item)

    def _head(self, item: ItemId) -> ItemHead:
        known = self.items.get(item)
        if known is None:
            unknown = ItemHead(id=item, revision=0, modified=None, deleted=True)
            return self._deleted.get(item, unknown) if self.remembers else unknown
        if known.redirect_to and not self.remembers:
            return ItemHead(id=item, revision=0, modified=None, redirect_to=known.redirect_to)
        return ItemHead(id=item, revision=known.revision, modified=known.modified, redirect_to=known.redirect_to)

    def _labels(self, item: ItemId) -> Labels:
        known = self.items.get(item)
        return Labels(item=item, label=known.label, aliases=known.aliases) if known else Labels(item=item, label=None)

    def _names(self, item: ItemId) -> Labels:
        """The names of an item; of a redirect, those of the item that it leads to."""
        known = self.items.get(item)
        labels = self._labels(known.redirect_to) if known and known.redirect_to else self._labels(item)
        return replace(labels, item=item)

    def _question(self, name: str) -> None:
        self.questions[name] = self.questions.get(name, 0) + 1
        if self._failures:
            raise self._failures.popleft()[1]

    def _pages(self, name: str, items: Sequence[ItemId], answer: Callable[[ItemId], T]) -> Iterator[list[T]]:
        self.questions[name] = self.questions.get(name, 0) + 1
        asked = list(dict.fromkeys(item_id(i) for i in items))
        good_pages, error = self._failures.popleft() if self._failures else (0, None)

        def run() -> Iterator[list[T]]:
            for number, start in enumerate(range(0, len(asked), self.page)):
                if error is not None and number >= good_pages:
                    raise error
                yield [answer(item) for item in asked[start : start + self.page]]
            if error is not None:
                raise error

        return run()

"""Wikidata (or a mirror with its RDF) as a ``StatementSource``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import structlog

from kbsync.domain.errors import BadIdentifier, DataError, SourceDown, SourceError
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, item_id, property_id
from kbsync.ports import StatementSource
from kbsync.wikidata import queries, rows
from kbsync.wikidata.answers import Row
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.queries import ENTITY, LIVE, WIKIDATA, Shape, Vocabulary
from kbsync.wikidata.responses import QueryTimeout, TooLarge

GROW_AFTER = 8
"""Number of good pages after which a halved page is doubled again, so that one large item slows down only a few."""

MAX_HOPS = 50
"""Longest chain of redirects that is followed. Wikidata's bots shorten chains, so a longer one is a circle."""
MAX_MEMBERS = 2_000_000
"""Largest number of members of a subject pattern; an endpoint that sends more is not to be trusted."""

_IRI = re.compile(rf"{re.escape(ENTITY)}[A-Za-z0-9]{{1,40}}\Z")
"""The form of a member's IRI. It is checked because the next page's query contains the last one."""

T = TypeVar("T")


class Partial(SourceDown):
    """The answer lacks rows. A smaller query may be answered completely."""


class WikidataSource(StatementSource):
    """Queries one endpoint, page by page. A page that is too large for the endpoint is halved, down to one item.

    Args:
        name: The name under which the ledger keeps the watermark. Endpoints of the same Wikidata may share a name.
        language: Code of the language of labels and aliases.
        subject_page: Items per page of a subject pattern.

    Raises:
        BadIdentifier: ``language`` is no language code.
    """

    def __init__(
        self,
        client: SparqlClient,
        *,
        name: str = "wikidata",
        language: str = "en",
        batch: int = 200,
        subject_page: int = 5000,
        vocabulary: Vocabulary = WIKIDATA,
    ) -> None:
        self.name = name
        self._client = client
        self._language = queries.language_code(language)
        self._batch = batch
        self._subject_page = subject_page
        self._vocabulary = vocabulary
        self._known_shape: Shape | None = None

    def server_time(self) -> datetime:
        time = self._read(rows.server_time, self._select(queries.server_time(self._vocabulary)))
        if time is None:
            raise self._not_wikidata("It does not say up to when it knows Wikidata.")
        return time

    def subjects(self, relation: Relation) -> list[ItemId]:
        items = {item_id(item) for item in relation.subjects}
        if relation.subject_pattern:
            if "?item" not in relation.subject_pattern:
                raise SourceError(
                    f"The subject pattern of relation {relation.name} does not bind ?item.",
                    next_step="Correct it in the relation's file.",
                )
            items.update(self._matching(relation.subject_pattern))
        return sorted(items)

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        distinct = _distinct(items)

        def ask(batch: list[ItemId]) -> list[ItemHead]:
            answer = self._select(queries.heads(batch, self._shape(), self._vocabulary))
            return self._read(rows.heads, answer, batch)

        return (head for page in self._pages(distinct, ask) for head in page)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        """One query per page. Items that changed while their page was read are asked for once more, on later pages."""
        watched = sorted({property_id(p) for p in properties})
        distinct = _distinct(items)

        def ask(batch: list[ItemId]) -> tuple[list[ItemRecord], dict[ItemId, str]]:
            answer = self._select(queries.records(batch, watched, self._language, self._shape(), self._vocabulary))
            return self._read(rows.records, answer, batch, self._language, watched)

        return self._clear_pages(distinct, ask)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        distinct = _distinct(items)

        return self._pages(distinct, self._page_of_labels)

    def describe(self) -> str:
        """The engine as it calls itself, and where it keeps revisions."""
        places = {Shape.SERVICE: "like the query service", Shape.DUMP: "like a dump"}
        engine = self._client.server or "an engine without a name"
        return f"{engine}, revisions {places[self._shape()]}"

    def _page_of_labels(self, batch: list[ItemId]) -> list[Labels]:
        """The labels of a page. A redirect gets those of the item that it leads to, because statements may still name
        the redirect until a bot corrects them."""
        found: dict[ItemId, Labels] = {}
        leads: dict[ItemId, ItemId] = {}
        asked = batch
        for _ in range(MAX_HOPS):
            answer = self._select(queries.labels(asked, self._language, self._vocabulary))
            found |= {entry.item: entry for entry in self._read(rows.labels, answer, asked, self._language)}
            leads |= self._read(rows.targets, answer)
            asked = sorted({leads[item] for item in asked if item in leads} - found.keys())
            if not asked:
                break
        return [replace(found[_end(item, leads)], item=item) for item in batch]

    def _clear_pages(
        self, items: list[ItemId], ask: Callable[[list[ItemId]], tuple[list[ItemRecord], dict[ItemId, str]]]
    ) -> Iterator[list[ItemRecord]]:
        """Pages of records whose rows agree with each other. Contradictory items come last, after a second query; those
        that are still contradictory are logged.
        """
        again: list[ItemId] = []
        for page, contradictory in self._pages(items, ask):
            again += contradictory
            if clear := [record for record in page if record.head.id not in contradictory]:
                yield clear
        for page, contradictory in self._pages(again, ask):
            for item, how in contradictory.items():
                structlog.get_logger(__name__).warning("contradictory item", item=item, problem=how, source=self.name)
            yield page

    def _pages(self, items: list[ItemId], ask: Callable[[list[ItemId]], T]) -> Iterator[T]:
        """Answers page by page. Pages become smaller when one is too large, and grow again after good ones."""
        start, size, good = 0, self._batch, 0  # first item of the page, its size, good pages in a row
        while start < len(items):
            batch = items[start : start + size]
            try:
                answer = ask(batch)
            except (QueryTimeout, TooLarge, Partial) as error:
                if len(batch) == 1:
                    raise type(error)(
                        f"{error.what} It was asked about {batch[0]} alone.",
                        kept="Finished pages are kept.",
                        next_step="Raise the endpoint's or kbsync's limits, or take the item out of the watch list.",
                    ) from error
                size, good = len(batch) // 2, 0
                continue
            start, good = start + len(batch), good + 1
            if good >= GROW_AFTER:
                size, good = min(self._batch, 2 * size), 0
            yield answer

    def _matching(self, pattern: str) -> Iterator[ItemId]:
        """Every item that ``pattern`` finds. The end is an empty page, not a short one, because a server may limit
        pages.

        All pages together may take one deadline, and one more for each full page of members.
        """
        last, limit, count, begun = "", self._subject_page, 0, time.monotonic()
        while True:
            try:
                page = self._page(pattern, last, limit)
            except TooLarge:
                if limit == 1:
                    raise
                limit //= 2
                continue
            if not page:
                return
            iris = [row["item"].text for row in page]
            if iris != sorted(set(iris)) or iris[0] <= last:
                raise SourceError(
                    f"{self._client.endpoint} ignores the order of a paged query.",
                    next_step="List the subjects in the relation's file instead.",
                )
            yield from rows.subjects(page)
            last, count = iris[-1], count + len(page)
            spent, allowed = time.monotonic() - begun, self._client.deadline * (1 + count / self._subject_page)
            if spent > allowed or count > MAX_MEMBERS:
                raise QueryTimeout(
                    f"{self._client.endpoint} finds ever more members of a subject pattern: {count} in "
                    f"{spent:.0f} seconds, and no end.",
                    next_step="Narrow the relation's pattern, raise the deadline, or list its subjects.",
                )

    def _page(self, pattern: str, last: str, limit: int) -> list[Row]:
        after = self._vocabulary.base + last.removeprefix(LIVE) if last else ""
        query = queries.subjects(pattern, after=after, limit=limit, vocabulary=self._vocabulary)
        page = self._select(query)
        for row in page:
            if "item" not in row or not _IRI.match(row["item"].text):
                raise self._foreign("a row without an item's IRI.")
        return page

    def _shape(self) -> Shape:
        """The endpoint's shape, which is asked for once.

        Raises ``SourceError`` for an empty or foreign endpoint, because every item would look deleted there.
        """
        if self._known_shape is None:
            nodes = self._select(queries.probe(self._vocabulary))
            if any(row["node"].text.startswith(ENTITY) for row in nodes):
                self._known_shape = Shape.SERVICE
            elif any("about" in row and row["about"].text.startswith(ENTITY) for row in nodes):
                self._known_shape = Shape.DUMP
            else:
                raise self._not_wikidata("It holds no entity's revision (schema:version).")
        return self._known_shape

    def _not_wikidata(self, reason: str) -> SourceError:
        return SourceError(
            f"{self._client.endpoint} is not Wikidata in a form that kbsync knows. {reason}",
            next_step="Point the endpoint at the query service, or at a mirror loaded from Wikidata's RDF dump.",
        )

    def _select(self, query: str) -> list[Row]:
        """The rows that bind a variable: some engines send an empty row for an empty group, others none."""
        answer = [row for row in self._client.select(query) if row]
        if self._vocabulary.base == LIVE:
            return answer
        return [{name: self._vocabulary.as_wikidata(term) for name, term in row.items()} for row in answer]

    def _read(self, read: Callable[..., T], *args: object) -> T:
        """Call ``read(*args)``, and turn its errors into those of a source."""
        try:
            return read(*args)
        except rows.Incomplete as error:
            raise Partial(
                f"{self._client.endpoint} answered in part: {error.what}",
                kept="Finished pages are kept.",
                next_step="The next pull asks again; an endpoint that limits its rows needs a smaller source.batch.",
            ) from error
        except (DataError, BadIdentifier, KeyError) as error:
            raise self._foreign(f"a row lacks {error}." if isinstance(error, KeyError) else error.what) from error

    def _foreign(self, what: str) -> SourceError:
        return SourceError(
            f"{self._client.endpoint} answers what is not Wikidata's: {what}",
            next_step="If the endpoint is right, this is worth a bug report.",
        )


def _end(item: ItemId, leads: Mapping[ItemId, ItemId]) -> ItemId:
    """The item at the end of a chain of redirects; ``item`` itself if the chain is a circle or too long."""
    seen = [item]
    while (target := leads.get(seen[-1])) is not None:
        if target in seen or len(seen) >= MAX_HOPS:
            return item
        seen.append(target)
    return seen[-1]


def _distinct(items: Sequence[ItemId]) -> list[ItemId]:
    """Each item once, in the order given. Raises ``BadIdentifier``."""
    return list(dict.fromkeys(item_id(item) for item in items))

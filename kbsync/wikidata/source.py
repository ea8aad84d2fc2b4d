"""Wikidata (or a mirror with its RDF) as a ``StatementSource``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import structlog

from kbsync.domain.errors import BadIdentifier, DataError, SourceDown, SourceError
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, item_id, property_id
from kbsync.ports import StatementSource
from kbsync.wikidata import queries, rows
from kbsync.wikidata.answers import QueryTimeout, Row, TooLarge
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.queries import ENTITY, LIVE, WIKIDATA, Shape, Vocabulary

GROW_AFTER = 8
"""After so many good pages in a row a halved page doubles again: one heavy item must not slow down all others."""

T = TypeVar("T")


class WikidataSource(StatementSource):
    """Asks one endpoint in pages of ``batch`` items; a page that the endpoint can't manage is halved, down to one.

    Names and aliases come in ``language``. ``name`` keys the ledger's watermarks: another endpoint of the same
    Wikidata may keep it. ``subject_page`` is how many items one page of a subject pattern holds. ``names``: of another
    Wikibase.
    Raises ``BadIdentifier`` for a language code that is none.
    """

    def __init__(
        self,
        client: SparqlClient,
        *,
        name: str = "wikidata",
        language: str = "en",
        batch: int = 200,
        subject_page: int = 5000,
        names: Vocabulary = WIKIDATA,
    ) -> None:
        self.name = name
        self._client = client
        self._language = queries.language_code(language)
        self._batch = batch
        self._subject_page = subject_page
        self._names = names
        self._known_shape: Shape | None = None

    def server_time(self) -> datetime:
        found = self._read(rows.server_time, self._select(queries.server_time(self._names)))
        if found is None:
            raise self._not_wikidata("It does not say up to when it knows Wikidata.")
        return found

    def subjects(self, relation: Relation) -> list[ItemId]:
        found = {item_id(item) for item in relation.subjects}
        if relation.subject_pattern:
            if "?item" not in relation.subject_pattern:
                raise SourceError(
                    f"The subject pattern of relation {relation.name} does not bind ?item.",
                    next_step="Correct it in the relation's file.",
                )
            found.update(self._matching(relation.subject_pattern))
        return sorted(found)

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        asked = _distinct(items)

        def ask(batch: list[ItemId]) -> list[ItemHead]:
            found = self._select(queries.heads(batch, self._shape(), self._names))
            return self._read(rows.heads, found, batch)

        return (head for page in self._pages(asked, ask) for head in page)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        """One query a page. An item that changed while the page was read is asked once more, on its own page."""
        watched = sorted({property_id(p) for p in properties})
        asked = _distinct(items)

        def ask(batch: list[ItemId]) -> tuple[list[ItemRecord], dict[ItemId, str]]:
            found = self._select(queries.records(batch, watched, self._language, self._shape(), self._names))
            return self._read(rows.records, found, batch, self._language)

        return self._whole_pages(asked, ask)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        asked = _distinct(items)

        def ask(batch: list[ItemId]) -> list[Labels]:
            found = self._select(queries.labels(batch, self._language, self._names))
            return self._read(rows.labels, found, batch, self._language)

        return self._pages(asked, ask)

    def _whole_pages(
        self, asked: list[ItemId], ask: Callable[[list[ItemId]], tuple[list[ItemRecord], dict[ItemId, str]]]
    ) -> Iterator[list[ItemRecord]]:
        again: list[ItemId] = []
        for page, torn in self._pages(asked, ask):
            again += torn
            if whole := [record for record in page if record.head.id not in torn]:
                yield whole
        for page, torn in self._pages(again, ask):
            for item, how in torn.items():
                structlog.get_logger(__name__).warning("contradictory item", item=item, problem=how, source=self.name)
            yield page

    def _pages(self, asked: list[ItemId], ask: Callable[[list[ItemId]], T]) -> Iterator[T]:
        """Answers page by page; the page shrinks when it is too much and grows back when all goes well."""
        start, size, good = 0, self._batch, 0
        while start < len(asked):
            batch = asked[start : start + size]
            try:
                answer = ask(batch)
            except (QueryTimeout, TooLarge) as heavy:
                if len(batch) == 1:
                    raise type(heavy)(
                        f"{heavy.what} It was asked about {batch[0]} alone.",
                        kept="Finished pages are kept.",
                        next_step="Raise the endpoint's or kbsync's limits, or take the item out of the watch list.",
                    ) from heavy
                size, good = len(batch) // 2, 0
                continue
            start, good = start + len(batch), good + 1
            if good >= GROW_AFTER:
                size, good = min(self._batch, 2 * size), 0
            yield answer

    def _matching(self, pattern: str) -> Iterator[ItemId]:
        """Every item that ``pattern`` finds; the end is an empty page, because a server may cap pages below ours."""
        last = ""
        while page := self._page(pattern, last):
            iris = [row["item"].text for row in page]
            if iris != sorted(iris) or iris[0] <= last:
                raise SourceError(
                    f"{self._client.endpoint} ignores the order of a paged query.",
                    next_step="List the subjects in the relation's file instead.",
                )
            yield from rows.subjects(page)
            last = iris[-1]

    def _page(self, pattern: str, last: str) -> list[Row]:
        after = self._names.base + last.removeprefix(LIVE) if last else ""
        return self._select(queries.subjects(pattern, after=after, limit=self._subject_page, names=self._names))

    def _shape(self) -> Shape:
        """The endpoint's shape, asked for once.

        An empty or foreign endpoint is refused: to it every item looks deleted.
        """
        if self._known_shape is None:
            found = self._select(queries.probe(self._names))
            if any(row["node"].text.startswith(ENTITY) for row in found):
                self._known_shape = Shape.SERVICE
            elif any("about" in row and row["about"].text.startswith(ENTITY) for row in found):
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
        rows = self._client.select(query)
        if self._names.base == LIVE:
            return rows
        return [{name: self._names.told(term) for name, term in row.items()} for row in rows]

    def _read(self, read: Callable[..., T], *args: object) -> T:
        try:
            return read(*args)
        except rows.Incomplete as error:
            raise SourceDown(
                f"{self._client.endpoint} answered in part: {error.what}",
                kept="Finished pages are kept.",
                next_step="The next pull asks again; an endpoint that limits its rows needs a smaller source.batch.",
            ) from error
        except (DataError, BadIdentifier, KeyError) as error:
            what = f"a row lacks {error}." if isinstance(error, KeyError) else error.what
            raise SourceError(
                f"{self._client.endpoint} answers what is not Wikidata's: {what}",
                next_step="If the endpoint is right, this is worth a bug report.",
            ) from error


def _distinct(items: Sequence[ItemId]) -> list[ItemId]:
    """Checked, without doubles, in the order given."""
    return list(dict.fromkeys(item_id(item) for item in items))

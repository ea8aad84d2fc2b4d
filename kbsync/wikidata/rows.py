"""Turns result rows into heads, labels and records. Rows may come in any order, and more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from kbsync.domain.errors import DataError
from kbsync.domain.languages import wanted_tags
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, Statement
from kbsync.domain.wellformed import name_flaw
from kbsync.wikidata.answers import Row, Term
from kbsync.wikidata.queries import LIVE, ONTOLOGY
from kbsync.wikidata.statement_rows import statement_of
from kbsync.wikidata.terms import integer, item_of, local_name, moment


class Incomplete(DataError):
    """Rows are missing that a complete answer must have."""


def heads(rows: Iterable[Row], items: Sequence[ItemId]) -> list[ItemHead]:
    """Heads of items.

    Args:
        rows: Of the query ``queries.heads``.

    Returns:
        A head for each of ``items``, in that order. Of several revisions the newest counts; an item without any, and
        without a target, is deleted, with revision 0.

    Raises:
        DataError: A revision is no whole number, or a date is no date.
        Incomplete: An item has no row at all, though even a deleted item must have one.
    """
    seen: set[str] = set()
    revisions: dict[str, list[int]] = defaultdict(list)
    dates: dict[str, list[datetime]] = defaultdict(list)
    targets: dict[str, list[ItemId]] = defaultdict(list)
    for row in rows:
        item = local_name(row["item"])
        seen.add(item)
        if "rev" in row:
            revisions[item].append(integer(row["rev"]))
        if "modified" in row:
            dates[item].append(moment(row["modified"]))
        if "target" in row and (target := item_of(row["target"])):
            targets[item].append(target)
    if missing := [item for item in items if item not in seen]:
        raise Incomplete(f"The answer has no row for {len(missing)} of {len(items)} items, {missing[0]} among them.")
    return [
        ItemHead(
            id=item,
            revision=max(revisions[item], default=0),
            modified=max(dates[item], default=None),
            redirect_to=min(targets[item], default=None),
            deleted=not revisions[item] and not targets[item],
        )
        for item in items
    ]


def labels(rows: Sequence[Row], items: Sequence[ItemId], language: str) -> list[Labels]:
    """Labels and aliases of items.

    Args:
        rows: Of the query ``queries.labels``.
        language: Code of the language that was asked for. Where an item has no label in it, one in another form of the
            language stands in (``chain``), and then one for all languages (``mul``).

    Returns:
        An entry for each of ``items``, in that order, with its aliases sorted. Names that hold half a character, NUL or
        another control character are left out.

    Raises:
        DataError: A row is not about an item.
        Incomplete: There are fewer rows than the answer itself says.
    """
    _refuse_cut(rows, "names", sum("label" in row or "alias" in row or "target" in row for row in rows))
    return _labels(rows, items, language)


def targets(rows: Iterable[Row]) -> dict[ItemId, ItemId]:
    """The targets of redirects, from the rows of the query ``queries.labels``."""
    found: dict[ItemId, ItemId] = {}
    for row in rows:
        if "target" in row and (item := item_of(row["item"])) and (target := item_of(row["target"])):
            found[item] = min(target, found.get(item, target))
    return found


def _labels(rows: Iterable[Row], items: Sequence[ItemId], language: str) -> list[Labels]:
    names: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    aliases: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if "label" not in row and "alias" not in row:
            continue
        item = local_name(row["item"])
        if "label" in row and _is_name(item, row["label"]):
            names[item][row["label"].language].append(row["label"].text)
        if "alias" in row and _is_name(item, row["alias"]):
            aliases[item].add(row["alias"].text)
    result = []
    for item in items:
        named = (names[item][tag] for tag in wanted_tags(language) if tag in names[item])
        label = min(next(named, []), default=None)
        result.append(Labels(item=item, label=label, aliases=tuple(sorted(aliases[item] - {label}))))
    return result


def _is_name(item: str, term: Term) -> bool:
    """Whether a label or alias can be a name. One that can't is left out with a warning, and the others are kept."""
    if not (what := name_flaw(term.text)):
        return True
    structlog.get_logger(__name__).warning("name left out", item=item, name=ascii(term.text)[:80], holds=what)
    return False


def records(
    rows: Sequence[Row], items: Sequence[ItemId], language: str, properties: Sequence[PropertyId] = ()
) -> tuple[list[ItemRecord], dict[ItemId, str]]:
    """Records of items.

    An item that changes while the query runs may show two revisions; then the newest counts that has both a head and
    statements. A statement with two values or ranks, or with no value at all, counts as an unknown value until a later
    revision is clear.

    Args:
        rows: Of the query ``queries.records``.
        language: As for ``labels``.
        properties: Those that were asked for; without any, the number of statements is not checked.

    Returns:
        A record for each of ``items``, in that order; and a mapping from the items whose rows contradict each other to
        the contradiction.

    Raises:
        DataError: A row holds something that Wikidata has not.
        Incomplete: As for ``heads``, or there are fewer rows than the answer itself says.
    """
    groups: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if "rank" in row:
            groups[local_name(row["item"])][row["st"].text].append(row)
    if len(nodes := [iri for group in groups.values() for iri in group]) != len(set(nodes)):
        raise DataError("a statement belongs to two items.")
    references = _references(rows)
    _refuse_cut(rows, "names", sum("label" in row or "alias" in row for row in rows))
    if properties:
        _refuse_cut(rows, "statements", len(nodes))
    head_rows = [row for row in rows if not _OF_NO_HEAD & row.keys()]
    result: list[ItemRecord] = []
    contradictory: dict[ItemId, str] = {}
    for head, named in zip(heads(head_rows, items), _labels(rows, items, language), strict=True):
        statements: list[Statement] = []
        if not head.redirect_to and groups[head.id]:
            revision, current, stale = _newest(groups[head.id], head.revision)
            if stale:
                contradictory[head.id] = f"its statements are of revision {revision}, its head of {head.revision}"
                head = ItemHead(id=head.id, revision=revision, modified=head.modified)
            for iri, group in sorted(current.items()):
                if iri not in references:
                    raise Incomplete(f"The answer does not say how many references statement {iri} has.")
                statement, problem = statement_of(head.id, iri, group, references[iri])
                statements.append(statement)
                if problem:
                    contradictory[head.id] = f"statement {statement.id} has {problem}"
        result.append(ItemRecord(head=head, labels=named, statements=tuple(statements)))
    return result, contradictory


def subjects(rows: Iterable[Row]) -> list[ItemId]:
    """The results of ``queries.subjects`` that are items."""
    return [item for row in rows if "item" in row and (item := item_of(row["item"]))]


def server_time(rows: Iterable[Row]) -> datetime | None:
    """The date of the live node, or else of the dump's node; None if there is neither.

    The oldest of several dates counts, because a mirror that was loaded in parts is only as new as its oldest part.
    Raises ``DataError`` for an invalid date.
    """
    dates: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        dates[row["root"].text].append(moment(row["t"]))
    return min(dates.get(LIVE) or dates.get(f"{ONTOLOGY}Dump") or [], default=None)


def _references(rows: Iterable[Row]) -> dict[str, int]:
    """Statement → the number of its references.

    Comunica 4 gives no value where there is nothing to count: such a row binds the statement and its item alone.
    """
    counted = [row for row in rows if "st" in row and ("refs" in row or row.keys() == _UNCOUNTED)]
    return {row["st"].text: integer(row["refs"]) if "refs" in row else 0 for row in counted}


_UNCOUNTED = frozenset({"item", "st"})
_OF_NO_HEAD = frozenset({"st", "label", "alias", "names", "statements"})


def _refuse_cut(rows: Iterable[Row], kind: str, found: int) -> None:
    """Raises ``Incomplete`` if the answer holds fewer rows of this kind than it says itself."""
    told = max((integer(row[kind]) for row in rows if kind in row), default=None)
    if told is None or told > found:
        raise Incomplete(f"The answer holds {found} of {'an unknown number of' if told is None else told} {kind}.")


def _newest(groups: dict[str, list[Row]], head_revision: int) -> tuple[int, dict[str, list[Row]], bool]:
    """The revision whose statements count, the rows of its statements by IRI, and whether it differs from the head's.

    A row without a revision counts as of the head's: dumps may lack it, and Virtuoso sometimes loses it.
    """
    of = {iri: [(_revision(row, head_revision), row) for row in group] for iri, group in groups.items()}
    revisions = {revision for group in of.values() for revision, _ in group}
    revision = head_revision if head_revision in revisions else max(revisions)
    current = {iri: [row for its, row in group if its == revision] for iri, group in of.items()}
    return revision, {iri: group for iri, group in current.items() if group}, revision != head_revision


def _revision(row: Row, head_revision: int) -> int:
    return integer(row["rev"]) if "rev" in row else head_revision

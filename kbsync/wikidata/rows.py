"""Result rows become heads, labels and records. They may come in any order, and more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from kbsync.domain.errors import DataError
from kbsync.domain.languages import wanted_tags
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, Statement
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


def labels(rows: Iterable[Row], items: Sequence[ItemId], language: str) -> list[Labels]:
    """Labels and aliases of items.

    Args:
        rows: Of the query ``queries.labels``.
        language: Code of the language that was asked for. Where an item has no label in it, one in another form of the
            language stands in (``chain``), and then one for all languages (``mul``).

    Returns:
        An entry for each of ``items``, in that order, with its aliases sorted. Names that hold half a character, NUL or
        another control character are left out.
    """
    names: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    aliases: dict[str, set[str]] = defaultdict(set)
    for row in rows:
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
    """Whether a label or alias can be a name. One that can't is left out with a warning, so that no other one waits."""
    if not (what := name_flaw(term.text)):
        return True
    structlog.get_logger(__name__).warning("name left out", item=item, name=ascii(term.text)[:80], holds=what)
    return False


def records(rows: Sequence[Row], items: Sequence[ItemId], language: str) -> tuple[list[ItemRecord], dict[ItemId, str]]:
    """Records of items.

    An item that changes while the query runs may show two revisions; then the newest counts that has both a head and
    statements. A statement with two values or ranks, or with no value at all, counts as an unknown value until a later
    revision is clear.

    Args:
        rows: Of the query ``queries.records``.
        language: As for ``labels``.

    Returns:
        A record for each of ``items``, in that order; and those items whose rows contradict each other → how.

    Raises:
        DataError: A row holds something that Wikidata has not.
        Incomplete: As for ``heads``.
    """
    groups: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if "st" in row:
            groups[local_name(row["item"])][row["st"].text].append(row)
    head_rows = [row for row in rows if "st" not in row and "label" not in row and "alias" not in row]
    result: list[ItemRecord] = []
    contradictory: dict[ItemId, str] = {}
    for head, named in zip(heads(head_rows, items), labels(rows, items, language), strict=True):
        statements: list[Statement] = []
        if not head.redirect_to and groups[head.id]:
            revision, current, stale = _newest(groups[head.id], head.revision)
            if stale:
                contradictory[head.id] = f"its statements are of revision {revision}, its head of {head.revision}"
                head = ItemHead(id=head.id, revision=revision, modified=head.modified)
            for iri, group in sorted(current.items()):
                statement, problem = statement_of(head.id, iri, group)
                statements.append(statement)
                if problem:
                    contradictory[head.id] = f"statement {statement.id} has {problem}"
        result.append(ItemRecord(head=head, labels=named, statements=tuple(statements)))
    return result, contradictory


def subjects(rows: Iterable[Row]) -> list[ItemId]:
    """The results of ``queries.subjects`` that are items."""
    return [item for row in rows if "item" in row and (item := item_of(row["item"]))]


def server_time(rows: Iterable[Row]) -> datetime | None:
    """The date of the live node, or else of the dump's; None where there is neither.

    Of several the oldest counts, because a mirror that was loaded in parts is no newer. Raises ``DataError`` for a date
    that is no date.
    """
    dates: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        dates[row["root"].text].append(moment(row["t"]))
    return min(dates.get(LIVE) or dates.get(f"{ONTOLOGY}Dump") or [], default=None)


def _newest(groups: dict[str, list[Row]], head_revision: int) -> tuple[int, dict[str, list[Row]], bool]:
    """The revision whose statements count, these statements' rows by IRI, and whether it differs from the head's."""
    revisions = {integer(row["rev"]) for group in groups.values() for row in group}
    revision = head_revision if head_revision in revisions else max(revisions)
    current = {iri: [row for row in group if integer(row["rev"]) == revision] for iri, group in groups.items()}
    return revision, {iri: group for iri, group in current.items() if group}, revision != head_revision

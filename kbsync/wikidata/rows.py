"""Result rows become the domain's values. How a value of Wikidata's RDF becomes a ``Value``:

========================================  =====================================================================
the endpoint sends                        kbsync keeps
========================================  =====================================================================
``wd:Q84``                                ``item``, ``Q84``
``"…"^^xsd:dateTime``                     ``time``, ``1969-07-20T00:00:00Z`` (no plus sign), detail: precision of
                                          the value node, 11 (day) where there is none
``"…"^^xsd:decimal``                      ``quantity``, ``+8849`` (signed, without needless zeros), detail: item id
                                          of the unit, empty for a bare number (unit ``Q199``) or without a value
                                          node
``"…"@fr``                                ``monolingual``, detail: language
``"…"``                                   ``string``; also for external ids, which a result does not distinguish
another IRI or literal                    ``other``, its text (web addresses, files, coordinates, properties)
a blank node or ``…/.well-known/genid/…``  no value: ``somevalue``
no ``ps:`` value, type ``wdno:P…``        no value: ``novalue``
========================================  =====================================================================

Qualifiers: of several start times the earliest counts, of several end times or points in time the latest. An
unknown *end* time means that the statement has ended (``UNKNOWN_TIME``); an unknown start time means nothing.

The rows may come in any order, and more than once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from kbsync.domain.errors import BadIdentifier, DataError
from kbsync.domain.statement import (
    UNKNOWN_TIME,
    ItemHead,
    ItemId,
    ItemRecord,
    Labels,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
    item_id,
    property_id,
)
from kbsync.wikidata.answers import Row, Term
from kbsync.wikidata.queries import ENTITY, LIVE, NO_UNIT, ONTOLOGY, STATEMENT, XSD


class Incomplete(DataError):
    """Rows are missing that a complete answer must have."""


DAY = 11
"""Precision of a time whose value node is not known: a day."""

_RANKS = {
    f"{ONTOLOGY}PreferredRank": Rank.PREFERRED,
    f"{ONTOLOGY}NormalRank": Rank.NORMAL,
    f"{ONTOLOGY}DeprecatedRank": Rank.DEPRECATED,
}
_TIME = re.compile(r"([+-]?)([0-9]{4,16}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.0+)?(?:Z|[+-]00:00)?\Z")


def heads(rows: Iterable[Row], asked: Sequence[ItemId]) -> list[ItemHead]:
    """Heads of items.

    Args:
        rows: Of the query ``queries.heads``.
        asked: The items that the query was about.

    Returns:
        A head for each of ``asked``, in that order. Of several revisions the newest counts; an item without any, and
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
        item = _local(row["item"])
        seen.add(item)
        if "rev" in row:
            revisions[item].append(_integer(row["rev"]))
        if "modified" in row:
            dates[item].append(_moment(row["modified"]))
        if "target" in row and (target := _item(row["target"])):
            targets[item].append(target)
    if missing := [item for item in asked if item not in seen]:
        raise Incomplete(f"The answer has no row for {len(missing)} of {len(asked)} items, {missing[0]} among them.")
    return [
        ItemHead(
            id=item,
            revision=max(revisions[item], default=0),
            modified=max(dates[item], default=None),
            redirect_to=min(targets[item], default=None),
            deleted=not revisions[item] and not targets[item],
        )
        for item in asked
    ]


def labels(rows: Iterable[Row], asked: Sequence[ItemId], language: str) -> list[Labels]:
    """Labels and aliases of items.

    Args:
        rows: Of the query ``queries.labels``.
        asked: The items that the query was about.
        language: Code of the language that was asked for. A label for all languages (``mul``) stands in where an item
            has none in this one.

    Returns:
        An entry for each of ``asked``, in that order, with its aliases sorted.
    """
    names: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    aliases: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        item = _local(row["item"])
        if "label" in row:
            names[item][row["label"].language].append(row["label"].text)
        if "alias" in row:
            aliases[item].add(row["alias"].text)
    result = []
    for item in asked:
        candidates = names[item].pop(language, []) or [n for rest in names[item].values() for n in rest]
        label = min(candidates, default=None)
        result.append(Labels(item=item, label=label, aliases=tuple(sorted(aliases[item] - {label}))))
    return result


def records(rows: Sequence[Row], asked: Sequence[ItemId], language: str) -> tuple[list[ItemRecord], dict[ItemId, str]]:
    """Records of items.

    An item that changes while the query runs may show two revisions; then the newest counts that has both a head and
    statements. A statement with two values or ranks, or with no value at all, counts as an unknown value until a later
    revision is clear.

    Args:
        rows: Of the query ``queries.records``.
        asked: The items that the query was about.
        language: As for ``labels``.

    Returns:
        A record for each of ``asked``, in that order; and those items whose rows contradict each other → how.

    Raises:
        DataError: A row holds something that Wikidata has not.
        Incomplete: As for ``heads``.
    """
    groups: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if "st" in row:
            groups[_local(row["item"])][row["st"].text].append(row)
    head_rows = [row for row in rows if "st" not in row and "label" not in row and "alias" not in row]
    result: list[ItemRecord] = []
    contradictory: dict[ItemId, str] = {}
    for head, named in zip(heads(head_rows, asked), labels(rows, asked, language), strict=True):
        statements: list[Statement] = []
        if not head.redirect_to and groups[head.id]:
            revision, current, stale = _newest(groups[head.id], head.revision)
            if stale:
                contradictory[head.id] = f"its statements are of revision {revision}, its head of {head.revision}"
                head = ItemHead(id=head.id, revision=revision, modified=head.modified)
            for iri, group in sorted(current.items()):
                statement, problem = _statement(head.id, iri, group)
                statements.append(statement)
                if problem:
                    contradictory[head.id] = f"statement {statement.id} has {problem}"
        result.append(ItemRecord(head=head, labels=named, statements=tuple(statements)))
    return result, contradictory


def subjects(rows: Iterable[Row]) -> list[ItemId]:
    """The results of ``queries.subjects`` that are items."""
    return [item for row in rows if "item" in row and (item := _item(row["item"]))]


def server_time(rows: Iterable[Row]) -> datetime | None:
    """The date of the live node, or else of the dump's; None where there is neither.

    Of several the oldest counts, because a mirror that was loaded in parts is no newer. Raises ``DataError`` for a date
    that is no date.
    """
    dates: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        dates[row["root"].text].append(_moment(row["t"]))
    return min(dates.get(LIVE) or dates.get(f"{ONTOLOGY}Dump") or [], default=None)


def _moment(term: Term) -> datetime:
    try:
        at = datetime.fromisoformat(term.text)
    except ValueError:
        raise DataError(f"{term.text!r} is not a date and time.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _newest(groups: dict[str, list[Row]], head_revision: int) -> tuple[int, dict[str, list[Row]], bool]:
    """The revision whose statements count, these statements' rows by IRI, and whether it differs from the head's."""
    revisions = {_integer(row["rev"]) for group in groups.values() for row in group}
    revision = head_revision if head_revision in revisions else max(revisions)
    current = {iri: [row for row in group if _integer(row["rev"]) == revision] for iri, group in groups.items()}
    return revision, {iri: group for iri, group in current.items() if group}, revision != head_revision


def _statement(subject: ItemId, iri: str, group: list[Row]) -> tuple[Statement, str]:
    """The statement that a group of rows is about, and how these contradict each other (empty: not at all)."""
    terms = {row["value"] for row in group if "value" in row}
    ranks = {row["rank"].text for row in group}
    if unknown := ranks - _RANKS.keys():
        raise DataError(f"Statement {iri} has the unknown rank {min(unknown)}.")
    has_none = any(row["none"].text in ("true", "1") for row in group)
    problem = ""
    if len(terms) > 1:
        problem = f"{len(terms)} values"
    elif len(ranks) > 1:
        problem = f"{len(ranks)} ranks"
    elif not terms and not has_none:
        problem = "neither a value nor the mark of none"
    snak, value = Snak.SOMEVALUE, None
    if not problem and not terms:
        snak = Snak.NOVALUE
    elif not problem and not _is_unknown(term := next(iter(terms))):
        snak, value = Snak.VALUE, _value(term, group)
    statement = Statement(
        id=_local(group[0]["st"], STATEMENT).replace("-", "$", 1),
        subject=subject,
        property=_property(group),
        snak=snak,
        value=value,
        rank=min(_RANKS[r] for r in ranks) if len(ranks) == 1 else Rank.NORMAL,
        start=_qualifier(group, "start"),
        end=_qualifier(group, "end"),
        point_in_time=_qualifier(group, "point"),
        references=max(_integer(row["refs"]) for row in group),
    )
    return statement, problem


def _property(group: list[Row]) -> PropertyId:
    return property_id(_local(group[0]["property"]))


def _is_unknown(term: Term) -> bool:
    return term.kind == "bnode" or (term.kind == "uri" and "/.well-known/genid/" in term.text)


def _value(term: Term, group: list[Row]) -> Value:
    if term.kind == "uri":
        item = _item(term)
        return Value(ValueKind.ITEM, item) if item else Value(ValueKind.OTHER, term.text)
    if term.language:
        return Value(ValueKind.MONOLINGUAL, term.text, term.language)
    if term.datatype == f"{XSD}dateTime" and (time := _TIME.match(term.text)):
        precision = min((_integer(row["precision"]) for row in group if "precision" in row), default=DAY)
        return Value(ValueKind.TIME, _iso(time), str(precision))
    if term.datatype in (f"{XSD}decimal", f"{XSD}integer"):
        units = {_local(row["unit"]) for row in group if "unit" in row} - {_local(Term("uri", NO_UNIT))}
        return Value(ValueKind.QUANTITY, _decimal(term.text), min(units, default=""))
    if term.datatype in ("", f"{XSD}string"):
        return Value(ValueKind.STRING, term.text)
    return Value(ValueKind.OTHER, term.text)


def _qualifier(group: list[Row], name: str) -> TimePoint | None:
    """The time of the qualifier ``name`` (start, end, point), from its value nodes where there are any."""
    nodes = {(row[f"{name}Time"].text, _integer(row[f"{name}Precision"])) for row in group if f"{name}Time" in row}
    simple = {(row[name].text, DAY) for row in group if name in row and not _is_unknown(row[name])}
    times = [TimePoint(_iso(time), precision) for text, precision in nodes or simple if (time := _TIME.match(text))]
    if times:
        choose = min if name == "start" else max
        return choose(times, key=TimePoint.sort_key)
    is_set = any(name in row for row in group)
    return UNKNOWN_TIME if is_set and name == "end" else None


def _iso(time: re.Match[str]) -> str:
    return f"{'-' if time[1] == '-' else ''}{time[2]}Z"


def _decimal(text: str) -> str:
    """``8848.860`` and ``+8848.86`` are one value, and engines differ in which of them they write."""
    plain = format(Decimal(text), "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    if plain in ("-0", "0"):
        return "+0"
    return plain if plain.startswith("-") else f"+{plain}"


def _item(term: Term) -> ItemId | None:
    if term.kind != "uri" or not term.text.startswith(ENTITY):
        return None
    try:
        return item_id(term.text.removeprefix(ENTITY))
    except BadIdentifier:
        return None


def _local(term: Term, namespace: str = ENTITY) -> str:
    """What follows ``namespace`` in an IRI. Raises ``DataError`` for another namespace."""
    if not term.text.startswith(namespace):
        raise DataError(f"{term.text!r} is not in {namespace}.")
    return term.text.removeprefix(namespace)


def _integer(term: Term) -> int:
    try:
        return int(term.text)
    except ValueError:
        raise DataError(f"{term.text!r} is not a whole number.") from None

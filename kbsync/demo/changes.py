"""Changes of the demonstration's world as SPARQL updates: real events of ``changes.tsv``, a retraction, a vandalism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kbsync.demo import rdf
from kbsync.demo.snapshot import FIRST_REVISION
from kbsync.demo.table import ChangeRow, Kind, Row, Table, load_table
from kbsync.domain.errors import DataError
from kbsync.domain.statement import ItemId, Rank
from kbsync.wikidata.local import OxigraphServer

AGE = {Kind.CHANGE: timedelta(days=4), Kind.RETRACTION: timedelta(days=4), Kind.VANDALISM: timedelta(minutes=2)}
"""How long ago each kind happened: more than the 72 hours after which a change is trusted, except for the vandalism,
which has not even settled."""
NEXT_REVISION = FIRST_REVISION + 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of the world."""

    kind: str
    subject: str
    property: str
    old: str
    """Item id of the old value."""
    new: str
    """Item id of the new value; empty if the statement was removed."""
    text: str
    """The change in words."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The N-Triples lines that one change removes and adds."""

    removed: tuple[str, ...]
    added: tuple[str, ...]


def apply_changes(server: OxigraphServer, now: datetime) -> list[Event]:
    """Apply everything in ``changes.tsv`` to the server, and set the server's time to ``now`` (aware).

    Each change is one update: the item's statements, revision and date change together.
    """
    table = load_table()
    for number, change in enumerate(table.changes):
        lines = lines_of(change, table.group(change.subject, change.property))
        head = rdf.head_lines(change.subject, NEXT_REVISION + number, now - AGE[change.kind])
        server.update(_update(change.subject, lines, list(head)))
    server.update(
        f"DELETE {{ {rdf.ROOT} {rdf.MODIFIED} ?t }} INSERT {{ {rdf.server_time_line(now)} }} "
        f"WHERE {{ {rdf.ROOT} {rdf.MODIFIED} ?t }}"
    )
    return [_event(change, table) for change in table.changes]


def lines_of(change: ChangeRow, rows: Sequence[Row]) -> Lines:
    """What ``change`` does to the statements ``rows`` of its subject and property.

    Raises ``DataError`` when no live statement has the old value.
    """
    old = next((row for row in rows if row.object == change.old and row.end is None), None)
    if old is None:
        raise DataError(f"{change.subject} {change.property} has no live statement with the value {change.old}.")
    others = [row for row in rows if row is not old]
    match change.kind:
        case Kind.RETRACTION:
            return _difference(rows, others)
        case Kind.VANDALISM:
            new = _new(change)
            return Lines(
                (rdf.value_line(old, old.object), rdf.truthy_line(old, old.object)),
                (rdf.value_line(old, new), rdf.truthy_line(old, new)),
            )
        case Kind.CHANGE:
            # If the new statement is preferred, the ended one becomes normal; else the ended one keeps its rank.
            rank = Rank.NORMAL if change.rank is Rank.PREFERRED else old.rank
            successor = Row(
                subject=change.subject,
                property=change.property,
                object=_new(change),
                rank=change.rank,
                start=change.start,
                end=None,
                references=change.references,
            )
            return _difference(rows, [*others, replace(old, end=change.end, rank=rank), successor])


def _difference(before: Sequence[Row], after: Sequence[Row]) -> Lines:
    """The lines that differ. Value and reference nodes are never removed: other statements may use them, too."""
    old, new = list(dict.fromkeys(rdf.group_lines(before))), list(dict.fromkeys(rdf.group_lines(after)))
    removed = [line for line in old if line not in new and line.startswith(f"<{rdf.ENTITY}")]
    return Lines(tuple(removed), tuple(line for line in new if line not in old))


def _update(item: ItemId, lines: Lines, head: Sequence[str]) -> str:
    node, newline = rdf.entity(item), "\n"
    return f"""DELETE {{ {node} {rdf.VERSION} ?revision ; {rdf.MODIFIED} ?modified }}
INSERT {{
{newline.join(head)}
}}
WHERE {{ {node} {rdf.VERSION} ?revision ; {rdf.MODIFIED} ?modified }} ;
DELETE DATA {{
{newline.join(lines.removed)}
}} ;
INSERT DATA {{
{newline.join(lines.added)}
}}"""


def _new(change: ChangeRow) -> ItemId:
    if change.new is None:
        raise DataError(f"The {change.kind} of {change.subject} {change.property} has no new value.")
    return change.new


def _event(change: ChangeRow, table: Table) -> Event:
    fact = f"{table.properties[change.property]} of {table.label(change.subject)}"
    old, new = table.label(change.old), table.label(change.new) if change.new else ""
    text = {
        Kind.CHANGE: f"{fact}: {old} → {new} since {_date(change)}",
        Kind.RETRACTION: f"{fact}: the statement {old} is removed",
        Kind.VANDALISM: f"{fact}: {old} is overwritten by {new}",
    }[change.kind]
    return Event(
        kind=change.kind.value,
        subject=change.subject,
        property=change.property,
        old=change.old,
        new=change.new or "",
        text=text,
    )


def _date(change: ChangeRow) -> str:
    return change.start.iso[:10] if change.start else "an unknown time"

"""The demonstration's world before it changes, as Turtle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from kbsync.demo import rdf
from kbsync.demo.table import Row, Table, load_table
from kbsync.domain.statement import ItemId, PropertyId

SERVER_BEHIND = timedelta(days=5)
"""How far the snapshot's server is behind Wikidata. All changes that come later are younger than this."""
LAST_EDITED = timedelta(days=30)
"""Age of the snapshot's youngest item; each further one is an hour older. All are old enough to be trusted."""
FIRST_REVISION = 2_000_000_000


def snapshot_turtle(now: datetime, table: Table | None = None) -> str:
    """``table`` (default: the shipped one) as Turtle (N-Triples lines); all dates are relative to ``now`` (aware)."""
    return "\n".join(snapshot_lines(table or load_table(), now)) + "\n"


def snapshot_lines(table: Table, now: datetime) -> Iterator[str]:
    yield rdf.server_time_line(now - SERVER_BEHIND)
    for prop, label in table.properties.items():
        yield from rdf.property_lines(prop, label)
    for place, item in enumerate(table.items.values()):
        yield from rdf.item_lines(item)
        yield from rdf.head_lines(item.id, FIRST_REVISION + place, now - LAST_EDITED - place * timedelta(hours=1))
    groups: dict[tuple[ItemId, PropertyId], list[Row]] = defaultdict(list)
    for row in table.statements:
        groups[row.subject, row.property].append(row)
    for rows in groups.values():
        yield from rdf.group_lines(rows)

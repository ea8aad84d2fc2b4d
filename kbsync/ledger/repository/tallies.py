"""How many facts are in which state, counted while facts and verdicts are written.

A count of a million rows takes seconds, and the status page asks for it at every look. So whoever writes facts or
verdicts does so inside ``tallied``, which counts the written facts before and after. The table holds nothing that could
not be counted anew: ``problems`` does so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, select, true

from kbsync.domain.fact import FactKey, value_hash
from kbsync.ledger import tables
from kbsync.ledger.repository.base import batches
from kbsync.ledger.table_parts import has_key

FACTS, BELIEVED, ASKABLE, WAITING = "facts", "believed", "askable", "waiting"
"""States of facts. They are counted for the empty fingerprint and the empty hash, verdicts by their kind for each."""

_Tally = tuple[str, str, str, str]
"""Property, fingerprint of the model, hash of the phrasings, state or kind."""
_NOTHING = value_hash(())
"""Hash of what is believed where no statement holds."""


def askable() -> ColumnElement[bool]:
    """Whether a row of ``facts`` is believed and has a value to ask for."""
    believed = tables.facts.c.believed_hash
    return believed.is_not(None) & (believed != _NOTHING)


def judges() -> ColumnElement[bool]:
    """Whether a row of ``verdicts``, by whatever model, is about what its row of ``facts`` believes now."""
    facts, verdicts = tables.facts.c, tables.verdicts.c
    return (
        (verdicts.subject == facts.subject)
        & (verdicts.property == facts.property)
        & (verdicts.value_hash == facts.believed_hash)
        & (verdicts.names_hash == facts.names_hash)
    )


def read(connection: Connection, property: str, model: str = "", template_hash: str = "") -> dict[str, int]:
    """By state, or by kind of verdict, the number of facts; those without any are left out."""
    table = tables.tallies.c
    about = (table.property == property) & (table.model == model) & (table.template_hash == template_hash)
    return {row.state: row.facts for row in connection.execute(select(table.state, table.facts).where(about))}


@contextmanager
def tallied(connection: Connection, keys: Sequence[FactKey]) -> Iterator[None]:
    """Keep the tallies right while the block writes rows of ``facts`` and ``verdicts`` that are about ``keys``."""
    distinct = list(dict.fromkeys(keys))
    before = _counted_among(connection, distinct)
    yield
    change = _counted_among(connection, distinct)
    change.subtract(before)
    for tally, count in change.items():
        if count:
            _add(connection, tally, count)


def recount(connection: Connection) -> None:
    """Count everything anew."""
    connection.execute(delete(tables.tallies))
    _put(connection, _counted(connection, true(), true()))


def problems(connection: Connection) -> list[str]:
    """A sentence for each tally that is not what the facts and verdicts give."""
    table = tables.tallies.c
    columns = (table.property, table.model, table.template_hash, table.state, table.facts)
    stored = {(p, m, t, s): count for p, m, t, s, count in connection.execute(select(*columns))}
    right = _counted(connection, true(), true())
    different = (tally for tally in stored.keys() | right.keys() if stored.get(tally) != (right[tally] or None))
    wrong = sorted(different, key=repr)  # what somebody else wrote need not be text
    named = ((" ".join(str(part)[:12] for part in tally if part), tally) for tally in wrong)
    return [f"tallies: {name} is {stored.get(tally, 0)} and should be {right[tally]}" for name, tally in named]


def _counted_among(connection: Connection, keys: Sequence[FactKey]) -> Counter[_Tally]:
    counted: Counter[_Tally] = Counter()
    for batch in batches(keys):
        facts, verdicts = tables.facts.c, tables.verdicts.c
        own = has_key((facts.subject, facts.property), batch)
        counted += _counted(connection, own, own & verdicts.subject.in_([key.subject for key in batch]))
    return counted


def _counted(connection: Connection, among: ColumnElement[bool], judged: ColumnElement[bool]) -> Counter[_Tally]:
    facts, verdicts = tables.facts.c, tables.verdicts.c
    counted: Counter[_Tally] = Counter()
    states = (
        func.count(),
        func.count(facts.believed_hash),
        func.count(case((askable(), 1))),
        func.sum(case((facts.believed_hash == facts.observed_hash, 0), else_=1)),
    )
    for property, *found in connection.execute(select(facts.property, *states).where(among).group_by(facts.property)):
        counted += Counter(
            {
                (property, "", "", state): int(count)
                for state, count in zip((FACTS, BELIEVED, ASKABLE, WAITING), found, strict=True)
            }
        )
    by = (verdicts.property, verdicts.model_fingerprint, verdicts.template_hash, verdicts.kind)
    query = select(*by, func.count()).join(tables.facts, judges()).where(judged).group_by(*by)
    for property, model, template_hash, kind, count in connection.execute(query):
        counted[property, model, template_hash, str(kind.value)] += count
    return counted


def _add(connection: Connection, tally: _Tally, count: int) -> None:
    table = tables.tallies
    same = (
        (table.c.property == tally[0])
        & (table.c.model == tally[1])
        & (table.c.template_hash == tally[2])
        & (table.c.state == tally[3])
    )
    now = (connection.scalar(select(table.c.facts).where(same)) or 0) + count
    connection.execute(delete(table).where(same))
    _put(connection, Counter({tally: now}))


def _put(connection: Connection, counted: Counter[_Tally]) -> None:
    """Insert the tallies; of what there is none, there is no row."""
    names = ("property", "model", "template_hash", "state")
    rows = [dict(zip(names, tally, strict=True)) | {"facts": n} for tally, n in counted.items() if n > 0]
    if rows:
        connection.execute(insert(tables.tallies), rows)

"""From statements to facts: what holds now, and how far it may be believed (pure functions)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from kbsync.domain.canonical import content_hash, later
from kbsync.domain.relation import Cardinality, TrustPolicy
from kbsync.domain.standing import Clocks, Origin, Standing
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, Value, ValueKind


class FactKey(NamedTuple):
    """What a fact is about: an item and a watched property."""

    subject: ItemId
    property: PropertyId

    def __str__(self) -> str:
        return f"{self.subject} {self.property}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactState:
    """What the statements of (subject, relation) say at one moment, without labels."""

    values: tuple[Value, ...]
    """What holds now, sorted; empty where nothing holds."""
    former: tuple[Value, ...]
    """The other values of the statements: they held once, will hold, or have a lower rank."""
    statement_ids: tuple[str, ...]
    """The statements that hold ``values``."""
    references: int
    """The fewest references that one of the statements has."""
    revision: int
    """The item's revision that brought the values."""
    since: datetime
    """Since when the values are known to be unchanged, by this machine's clock."""
    since_there: datetime | None = later(None)
    """The same by the source's time; None where an earlier kbsync recorded the state."""
    origin: Origin = later(())
    """The revisions that the values were last seen in; empty where an earlier kbsync recorded the state."""

    @property
    def standing(self) -> Standing:
        """Since when the values stand, and where they were read."""
        return Standing(here=self.since, there=self.since_there or self.since, origin=self.origin)

    def standing_as(self, standing: Standing) -> FactState:
        """The same state with another standing."""
        return replace(self, since=standing.here, since_there=standing.there, origin=standing.origin)

    @property
    def value_hash(self) -> str:
        """Identifies the values; labels, statement ids and revisions do not change it."""
        return value_hash(self.values)


def value_hash(values: tuple[Value, ...]) -> str:
    """SHA-256 of the values, whatever their order."""
    return content_hash(sorted(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A right answer: a value with its names."""

    value: Value
    label: str | None
    """None where the item has no label in the relation's language."""
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The label first, then the aliases."""
        return ((self.label,) if self.label else ()) + self.aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A state with names: what the model is asked about and taught."""

    key: FactKey
    subject_label: str | None
    """None where the subject has no label in the relation's language."""
    answers: tuple[Answer, ...]
    """One for each value that holds."""
    former: tuple[Answer, ...]
    """One for each value that held once."""
    state: FactState
    subject_aliases: tuple[str, ...] = ()
    """Other names of the subject."""

    @property
    def value_hash(self) -> str:
        """Identifies the values that hold."""
        return self.state.value_hash

    @property
    def names_hash(self) -> str:
        """Identifies the names that the model is asked by, and those that its answer is judged by."""
        answers = [sorted((a.value, a.names) for a in group) for group in (self.answers, self.former)]
        return content_hash([self.subject_label, *answers])


def holding(statements: list[Statement], cardinality: Cardinality, now: datetime) -> list[Statement]:
    """Choose the statements that hold at ``now``, sorted by id.

    Deprecated statements, ended ones (P582) and those that have not begun (P580) are dropped first; of the rest, those
    with the best rank stay. Ends are looked at before ranks, because editors often end a preferred statement and add
    its successor with normal rank. With cardinality ``latest``, the latest start (or point in time) stays, with all
    that are as late. Statements with an unknown value or none hold, too, but give no answer, so they are dropped last.
    """
    live = [
        s
        for s in statements
        if s.rank is not Rank.DEPRECATED
        and not (s.end and s.end.reached(now))
        and not (s.start and not s.start.reached(now))
    ]
    if any(s.rank is Rank.PREFERRED for s in live):
        live = [s for s in live if s.rank is Rank.PREFERRED]
    if cardinality is Cardinality.LATEST and live:
        newest = max(_begin(s) for s in live)
        live = [s for s in live if _begin(s) == newest]
    return sorted((s for s in live if s.snak is Snak.VALUE), key=lambda s: s.id)


def _begin(statement: Statement) -> tuple[int, ...]:
    point = statement.start or statement.point_in_time
    return point.sort_key() if point else (-(10**17),)


def observe(
    statements: list[Statement],
    cardinality: Cardinality,
    *,
    revision: int,
    since: datetime,
    now: datetime,
    kind: ValueKind | None = None,
) -> FactState:
    """Derive the state of a fact.

    Args:
        statements: All statements of one subject and property.
        cardinality: What several statements that hold at once mean.
        revision: The item's revision that the statements are of.
        since: Since when the values are unchanged, as far as the caller knows.
        now: The moment that the state is of.
        kind: Values of this kind count (None: of all kinds).
    """
    statements = [typed for s in statements if (typed := _of_kind(s, kind))]
    held = holding(statements, cardinality, now)
    values = {s.value for s in held if s.value is not None}
    former = {s.value for s in statements if s.value is not None} - values
    return FactState(
        values=tuple(sorted(values)),
        former=tuple(sorted(former)),
        statement_ids=tuple(s.id for s in held),
        references=min((s.references for s in held), default=0),
        revision=revision,
        since=since,
    )


def began(statements: list[Statement], cardinality: Cardinality, now: datetime, after: datetime) -> datetime | None:
    """When what holds at ``now`` began to hold, if a start or an end came after ``after``; None where none did.

    That a start or an end arrives is a change, though nobody edits the item then.
    """
    points = {point for s in statements for point in (s.start, s.end) if point is not None and point.reached(now)}
    moments = sorted({at for point in points if (at := point.earliest()) is not None and at > after}, reverse=True)
    held = {s.value for s in holding(statements, cardinality, now)}
    for moment in moments:
        if {s.value for s in holding(statements, cardinality, moment - timedelta(seconds=1))} != held:
            return moment
    return None


def _of_kind(statement: Statement, kind: ValueKind | None) -> Statement | None:
    """The statement, if its value is of ``kind`` or it has none; else None.

    Wikidata's RDF does not tell external identifiers from other strings. The relation does.
    """
    value = statement.value
    if kind is None or value is None or value.kind is kind:
        return statement
    if kind is ValueKind.EXTERNAL_ID and value.kind is ValueKind.STRING:
        return replace(statement, value=replace(value, kind=kind))
    return None


class Trust(StrEnum):
    """How far an observed state may be believed."""

    OBSERVED = "observed"
    """It has just changed and may be reverted."""
    SETTLED = "settled"
    """Nobody reverted it at once, but it is too young or too badly referenced to be believed."""
    TRUSTED = "trusted"
    """It is believed."""


def trust(state: FactState, policy: TrustPolicy, now: Clocks) -> tuple[Trust, str]:
    """Judge an observed state by its age and its references, and say why."""
    age = max(state.standing.age(now), timedelta(0))
    if age < policy.settle:
        return Trust.OBSERVED, f"changed {_span(age)} ago, settles after {_span(policy.settle)}"
    if age < policy.trust:
        return Trust.SETTLED, f"unchanged for {_span(age)}, trusted after {_span(policy.trust)}"
    if state.values and state.references < policy.min_references:
        return Trust.SETTLED, f"has {state.references} of {policy.min_references} demanded references"
    told = f"{state.references} reference{'' if state.references == 1 else 's'}"
    return Trust.TRUSTED, f"unchanged for {_span(age)}, {told}"


def _span(delta: timedelta) -> str:
    """The two largest units, as in ``3 d 4 h``."""
    left, parts = int(delta.total_seconds()), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRecord:
    """The ledger's row for one fact."""

    key: FactKey
    observed: FactState
    """What the statements say now."""
    believed: FactState | None
    """The last state that was trusted; None where none was yet."""
    believed_at: datetime | None = None
    """When it became trusted."""
    names_hash: str | None = None
    """``Fact.names_hash`` of what is believed, as the last pull or the last verdict found it; None: it is not known."""

    @property
    def pending(self) -> bool:
        """Whether something is observed that is not believed yet."""
        return self.believed is None or self.believed.value_hash != self.observed.value_hash


def settle(record: FactRecord, policy: TrustPolicy, now: Clocks) -> FactRecord:
    """Believe what is observed if it is trusted; else the old belief stands.

    A change that was reverted before it was trusted leaves no trace in ``believed``.
    """
    if not record.pending:
        return record
    level, _ = trust(record.observed, policy, now)
    if level is not Trust.TRUSTED:
        return record
    return replace(record, believed=record.observed, believed_at=now.here)

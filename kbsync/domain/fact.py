"""From statements to facts: what holds now, and what may be believed (pure functions)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from kbsync.domain.canonical import content_hash
from kbsync.domain.relation import Cardinality, TrustPolicy
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, Value, ValueKind


class FactKey(NamedTuple):
    subject: ItemId
    property: PropertyId

    def __str__(self) -> str:
        return f"{self.subject} {self.property}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactState:
    """What the statements of (subject, relation) say at one moment, without labels.

    ``values`` hold now (sorted; empty: nothing holds); ``former`` did once; ``since`` is the time since when the
    values are known to be unchanged; ``revision`` is the item's revision that brought them.
    """

    values: tuple[Value, ...]
    former: tuple[Value, ...]
    statement_ids: tuple[str, ...]
    references: int
    revision: int
    since: datetime

    @property
    def value_hash(self) -> str:
        """Identity of the answer: neither labels, nor ids, nor revisions change it."""
        return value_hash(self.values)


def value_hash(values: tuple[Value, ...]) -> str:
    return content_hash(sorted(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A value with the names it goes by. ``label`` is None where the object has no label in the language."""

    value: Value
    label: str | None
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return ((self.label,) if self.label else ()) + self.aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A believed state with labels: what the model is asked about and taught."""

    key: FactKey
    subject_label: str | None
    answers: tuple[Answer, ...]
    former: tuple[Answer, ...]
    state: FactState

    @property
    def value_hash(self) -> str:
        return self.state.value_hash


def holding(statements: list[Statement], cardinality: Cardinality, now: datetime) -> list[Statement]:
    """The statements that hold at ``now``.

    Deprecated and ended ones (P582) and those not begun (P580) are dropped first; of the rest the best rank stays.
    Ended before ranked, because editors often end a preferred statement and add its successor with normal rank.
    Unknown and no value hold without an answer and are dropped last. ``latest`` keeps the latest start (or point
    in time), ties included.
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
    """The state that these statements (of one subject and property) make at ``now``; of values, those of ``kind``
    count (None: all)."""
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


def _of_kind(statement: Statement, kind: ValueKind | None) -> Statement | None:
    """The statement, if its value is of ``kind`` or it has none.

    The RDF does not tell external identifiers from other strings; the relation does.
    """
    value = statement.value
    if kind is None or value is None or value.kind is kind:
        return statement
    if kind is ValueKind.EXTERNAL_ID and value.kind is ValueKind.STRING:
        return replace(statement, value=replace(value, kind=kind))
    return None


class Trust(StrEnum):
    OBSERVED = "observed"
    SETTLED = "settled"
    TRUSTED = "trusted"


def trust(state: FactState, policy: TrustPolicy, now: datetime) -> tuple[Trust, str]:
    """How far an observed state may be believed, and why."""
    age = now - state.since
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
    """The ledger's row for one fact: what is observed now, and the last state that was trusted (``believed``)."""

    key: FactKey
    observed: FactState
    believed: FactState | None
    believed_at: datetime | None = None

    @property
    def pending(self) -> bool:
        return self.believed is None or self.believed.value_hash != self.observed.value_hash


def settle(record: FactRecord, policy: TrustPolicy, now: datetime) -> FactRecord:
    """Move a trusted observation into ``believed``; an untrusted one leaves the old belief standing.

    A state that returned to the believed values (a reverted change) is forgotten without a trace in ``believed``.
    """
    if not record.pending:
        return record
    level, _ = trust(record.observed, policy, now)
    if level is not Trust.TRUSTED:
        return record
    return FactRecord(key=record.key, observed=record.observed, believed=record.observed, believed_at=now)

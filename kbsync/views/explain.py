"""Why does the model say this? Everything the ledger knows about one fact, from statement to weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.errors import NotFound
from kbsync.domain.fact import FactKey, FactRecord, FactState, trust
from kbsync.domain.naming import Names, mentioned_items
from kbsync.domain.plan import PlanEntry
from kbsync.domain.relation import Relation
from kbsync.domain.statement import UNKNOWN_TIME, ItemId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.domain.verdict import VerdictKey, VerdictKind
from kbsync.domain.version import Outcome, Version
from kbsync.ports import Belief, LedgerReader, StatementChange
from kbsync.stages.pull.watch import MOST_HOPS, Redirects
from kbsync.stages.release.promote import current_number
from kbsync.views.status import left_out, probed_model


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One change of one statement: ``before`` null: it appeared; ``after`` null: it disappeared."""

    seen_at: datetime
    revision: int
    statement_id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """What holds (``values``) and what did (``former``), named; unchanged since ``since``, brought by ``revision``."""

    values: tuple[str, ...]
    former: tuple[str, ...]
    since: datetime
    revision: int
    references: int
    statement_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeliefView:
    """What was believed ``since`` a moment, ``until`` another (null: it still is), as ``revision`` said it; ``how``:
    trusted by the relation's rules, or by whose decision."""

    since: datetime
    until: datetime | None
    values: tuple[str, ...]
    revision: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """What the base was asked and said. Log-probabilities are natural, summed over the answer's tokens."""

    kind: str
    prompt: str
    answer: str
    matched: str | None
    logprob_answer: float | None
    logprob_former: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldView:
    """The fact in one version. ``change`` against its predecessor, with ``reason``; ``target`` null: not held any
    more; ``before`` is the base's answer, ``after`` the version's (null while not evaluated); ``left_out`` says why
    the edit could not be made."""

    version: int
    state: str
    current: bool
    change: str
    reason: str
    target: str | None
    before: str | None
    after: str | None
    right: bool | None
    left_out: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainView:
    """One fact from source to weights. Where the item became a redirect, ``redirect_to`` is the one whose statements
    tell the fact now, and ``history`` has those of both. ``observed`` is what the source says now, ``believed`` what was trusted last
    (at ``believed_at``), ``beliefs`` everything that ever was, oldest first, ``trust`` how far ``observed`` is believed and ``trust_reason`` why."""

    item: str
    label: str | None
    redirect_to: str | None
    relation: str
    property: str
    history: tuple[ChangeView, ...]
    observed: StateView
    believed: StateView | None
    believed_at: datetime | None
    beliefs: tuple[BeliefView, ...]
    trust: str
    trust_reason: str
    model: str | None
    verdict: VerdictView | None
    quarantine: str | None
    decision: str | None
    versions: tuple[HeldView, ...]


def explain(tx: LedgerReader, item: ItemId, relation: Relation, now: datetime) -> ExplainView:
    """Raises ``NotFound`` for a fact that the ledger does not hold."""
    key = FactKey(item, relation.property)
    record = tx.fact(key)
    if record is None:
        raise NotFound(
            f"The ledger holds no fact {item} {relation.property} ({relation.name}).",
            next_step=f"Is {item} among the subjects of relation {relation.name}? `kbsync pull` fetches what is watched.",
        )
    target = _led_to(tx, item)
    history = sorted(
        [change for told in {item, target} for change in tx.statement_history(told, relation.property)],
        key=lambda c: c.seq,
    )
    beliefs = tx.beliefs(key)
    states = [record.observed, *(belief.state for belief in beliefs)]
    labels = tx.labels(sorted({item, target, *_mentioned(states, history)}))
    names = Names(labels, relation.language)
    level, reason = trust(record.observed, relation.trust, now)
    quarantined, decided = tx.quarantine().get(key), tx.decisions().get(key)
    model = probed_model(tx)
    return ExplainView(
        item=item,
        label=labels[item].label if item in labels else None,
        redirect_to=None if target == item else target,
        relation=relation.name,
        property=relation.property,
        history=tuple(_change(change, names) for change in history),
        observed=_state(record.observed, names),
        believed=_state(record.believed, names) if record.believed else None,
        believed_at=record.believed_at,
        beliefs=_beliefs(tx, key, beliefs, names),
        trust=level.value,
        trust_reason=reason,
        model=model,
        verdict=_verdict(tx, record, relation, names, model),
        quarantine=quarantined.reason if quarantined else None,
        decision=str(decided) if decided else None,
        versions=_held(tx, key, left_out(tx)),
    )


def _led_to(tx: LedgerReader, item: ItemId) -> ItemId:
    redirects, asked = Redirects(), [item]
    for _ in range(MOST_HOPS):
        heads = tx.heads(asked)
        redirects.note(heads)
        asked = [head.redirect_to for head in heads.values() if head.redirect_to]
    return redirects.resolve(item)


def _verdict(
    tx: LedgerReader, record: FactRecord, relation: Relation, names: Names, model: str | None
) -> VerdictView | None:
    if record.believed is None or not record.believed.values or model is None:
        return None
    found = tx.verdict(VerdictKey.of(relation, names.fact(record.key, record.believed), model))
    if found is None:
        return None
    evidence = found.evidence
    return VerdictView(
        kind=VerdictKind(found.kind).value,
        prompt=evidence.prompt,
        answer=evidence.greedy,
        matched=evidence.matched,
        logprob_answer=evidence.logprob_answer,
        logprob_former=evidence.logprob_former,
        reason=evidence.reason,
    )


def _held(tx: LedgerReader, key: FactKey, dropped: Mapping[int, Mapping[str, str]]) -> tuple[HeldView, ...]:
    current, entries, outcomes, held = current_number(tx), tx.plan_entries(key), tx.outcomes(key, "edited"), []
    for version in tx.versions():
        entry, outcome = entries.get(version.plan_hash), outcomes.get(version.number)
        if entry is not None:
            missing = dropped.get(version.number, {}).get(str(key))
            held.append(_in_version(version, entry, outcome, missing, current=version.number == current))
    return tuple(held)


def _in_version(
    version: Version, entry: PlanEntry, outcome: Outcome | None, missing: str | None, *, current: bool
) -> HeldView:
    request = entry.request
    return HeldView(
        version=version.number,
        state=version.state.value,
        current=current,
        change=entry.change.value,
        reason=entry.reason,
        target=request.target if request else None,
        before=outcome.base_answer if outcome else request.base_answer if request else None,
        after=outcome.answer if outcome else None,
        right=outcome.right if outcome else None,
        left_out=missing,
    )


def _state(state: FactState, names: Names) -> StateView:
    return StateView(
        values=tuple(_value(v, names) for v in state.values),
        former=tuple(_value(v, names) for v in state.former),
        since=state.since,
        revision=state.revision,
        references=state.references,
        statement_ids=state.statement_ids,
    )


def _change(change: StatementChange, names: Names) -> ChangeView:
    return ChangeView(
        seen_at=change.seen_at,
        revision=change.revision,
        statement_id=change.statement_id,
        before=_statement(change.before, names) if change.before else None,
        after=_statement(change.after, names) if change.after else None,
    )


def _statement(statement: Statement, names: Names) -> str:
    """``Charles III (Q43274), preferred, from 2022-09-08, 2 references``."""
    said = _value(statement.value, names) if statement.value else _NO_ANSWER[statement.snak]
    parts = [said] if statement.rank is Rank.NORMAL else [said, statement.rank.value]
    for word, point in (("from", statement.start), ("until", statement.end), ("at", statement.point_in_time)):
        if point:
            parts.append(f"{word} {_date(point)}")
    count = statement.references
    return ", ".join([*parts, "1 reference" if count == 1 else f"{count} references"])


def _date(point: TimePoint) -> str:
    """As precise as Wikidata is: ``2021-12-08``, ``2021-12``, ``2021``; coarser ones as their year."""
    if point == UNKNOWN_TIME:
        return "an unknown time"
    year, month, day = point.iso.lstrip("+").split("T")[0].rsplit("-", 2)
    return "-".join((year, month, day)[: max(1, min(3, point.precision - 8))])


_NO_ANSWER = {Snak.SOMEVALUE: "unknown value", Snak.NOVALUE: "no value"}


def _value(value: Value, names: Names) -> str:
    label = names.value(value).label
    if value.kind is not ValueKind.ITEM:
        return label or value.text
    return f"{label} ({value.text})" if label else f"{value.text} (no label)"


def _mentioned(states: Iterable[FactState], history: Iterable[StatementChange]) -> set[ItemId]:
    values = [v for state in states for v in (*state.values, *state.former)]
    values += [s.value for c in history for s in (c.before, c.after) if s and s.value]
    return {item for v in values for item in mentioned_items(v)}


def _beliefs(tx: LedgerReader, key: FactKey, beliefs: Sequence[Belief], names: Names) -> tuple[BeliefView, ...]:
    decided = {
        event.at: f"{word} by {event.actor}" + (f": {event.body['reason']}" if event.body.get("reason") else "")
        for kind, word in (("fact approve", "approved"), ("fact pin", "pinned"))
        for event in tx.audit(kind=kind)
        if event.body["fact"] == str(key)
    }
    ends = [belief.at for belief in beliefs[1:]] + [None]
    return tuple(
        BeliefView(
            since=belief.at,
            until=end,
            values=tuple(_value(v, names) for v in belief.state.values),
            revision=belief.state.revision,
            how=decided.get(belief.at, "trusted"),
        )
        for belief, end in zip(beliefs, ends, strict=False)
    )
